"""One run of a script in a process of its own, here or on another machine.

This module needs nothing but the standard library, so that a cluster's workers can be handed it
whole. A run comes to its record, to {"error": one line} where the script is at fault, or to
{"undone": one line} where the reason says nothing about what the script computes.
"""

import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

LIBRARIES = ("OMP", "OPENBLAS", "MKL", "NUMEXPR")
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in LIBRARIES} | {"VECLIB_MAXIMUM_THREADS": "1"}
LONGEST = 1_000_000  # seconds, about what the system's poll takes
PROBE = """
import json, time
import numpy as np
rng = np.random.default_rng(0)
big, small = rng.normal(size=(384, 384)), rng.normal(size=(8, 8))
long = rng.normal(size=200_000)
def kernel():
    start = time.process_time()
    for _ in range(12):
        big @ big
    for _ in range(20_000):
        np.tanh(small @ small)
    for _ in range(12):
        np.sort(long)
        np.exp(long)
    return time.process_time() - start
blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
text = f"{blas.get('name', '')} {blas.get('version', '')}".strip()
print(json.dumps([min(kernel() for _ in range(3)), {"numpy": np.__version__, "blas": text}]))
"""
RUNNING = set()  # the processes under way, so that an interrupted sweep can end them
KNOWN = []  # what probe() found here
stopped = False


def run_once(script, arguments, timeout, files=None, environment=None):
    """Run a script with --json and the arguments; returns its record, error or why it is undone.

    files: {path: content} are written to an empty directory first and the script is taken from
    there: for a worker that does not share this file system. environment is added to the present
    one.
    """
    with tempfile.TemporaryDirectory() as directory:
        for name, content in (files or {}).items():
            path = Path(directory, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        script = Path(directory, script)  # an absolute path stays what it is
        if stopped:
            return {"undone": "stopped"}
        process = subprocess.Popen(
            [sys.executable, str(script), "--json", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=directory,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
        RUNNING.add(process)
        try:
            if stopped:
                end(process)
            output, complaint = process.communicate(timeout=min(timeout, LONGEST))
        except subprocess.TimeoutExpired:
            return {"error": f"exceeded {timeout:g} s"}
        finally:
            end(process)
            RUNNING.discard(process)
    return {"undone": "stopped"} if stopped else _judged(process.returncode, output, complaint)


def _judged(status, output, complaint):
    """What a script that has ended comes to."""
    if status < 0:
        return {"error": f"killed by signal {signal.Signals(-status).name}"}
    if status:
        line = (complaint.strip().splitlines() or [f"exit status {status}"])[-1][:300]
        return {"undone" if status == 2 else "error": line}  # 2: bad input or missing data
    try:
        record = json.loads(output.strip().splitlines()[-1], parse_constant=int)  # NaN: ValueError
        if {"config", "metrics", "seconds"} <= record.keys():
            return record
    except (ValueError, IndexError, AttributeError):
        pass
    return {"error": "printed no record"}


def end(process):
    """Kill a process and, where the system has groups, what it started; quietly if it has ended."""
    try:
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    except (ProcessLookupError, PermissionError):
        pass
    process.wait()


def stop():
    """End every run under way, and every one that would still start."""
    global stopped
    stopped = True
    for process in list(RUNNING):
        end(process)


def processor():
    """The model name of the processor."""
    try:
        if sys.platform == "darwin":
            command = ["sysctl", "-n", "machdep.cpu.brand_string"]
            return subprocess.run(command, capture_output=True, text=True).stdout.strip()
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def probe():
    """(kernel, machine): processor seconds of a fixed numpy kernel, one thread, and what ran it.

    The kernel's time is the best of three. Raises RuntimeError where numpy does not run.
    """
    command = [sys.executable, "-c", PROBE]
    environment = {**os.environ, **ONE_THREAD}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or ["numpy does not run"])[-1])
    kernel, libraries = json.loads(done.stdout)
    machine = {"processor": processor(), "cores": os.cpu_count()}
    machine |= {"python": platform.python_version(), **libraries}
    machine |= {"system": f"{platform.system()} {platform.machine()}"}
    return round(kernel, 4), machine


def measured(script, arguments, timeout, files=None, environment=None):
    """run_once with one BLAS thread; a record gets this machine and its kernel's time."""
    if not KNOWN:
        KNOWN[:] = probe()
    environment = {**ONE_THREAD, **(environment or {})}
    result = run_once(script, arguments, timeout, files, environment)
    kernel, machine = KNOWN
    return result if "undone" in result else {**result, "calibration": kernel, "machine": machine}
