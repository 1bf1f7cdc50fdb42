"""One run of a script in a process of its own, here or on another machine.

This module needs nothing but the standard library, so that a cluster's workers can be handed it whole.
"""

import functools
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

ONE_THREAD = dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
        "NUMEXPR_NUM_THREADS",
    ),
    "1",
)
CALIBRATION = """
import time, numpy as np
rng = np.random.default_rng(0)
big, small, long = rng.normal(size=(384, 384)), rng.normal(size=(8, 8)), rng.normal(size=200_000)
def kernel():
    start = time.process_time()
    for _ in range(12): big @ big
    for _ in range(20_000): np.tanh(small @ small)
    for _ in range(12): np.sort(long); np.exp(long)
    return time.process_time() - start
print(min(kernel() for _ in range(3)))
"""
RUNNING = set()  # the processes under way, so that an interrupted sweep can end them


def run_once(script, arguments, timeout, files=None, environment=None):
    """Run a script with --json and the arguments; returns its record, or {"error": one line} if it crashed or took too long.

    files: {name: text} are written to an empty directory first and the script is taken from there: for a worker that does not
    share this file system.
    """
    with tempfile.TemporaryDirectory() as directory:
        if files:
            for name, text in files.items():
                Path(directory, name).write_text(text, encoding="utf-8")
            script = Path(directory, script)
        command = [sys.executable, str(script), "--json", *arguments]
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=directory,
            env={**os.environ, **ONE_THREAD, **(environment or {})},
            start_new_session=True,
        )
        RUNNING.add(process)
        try:
            output, complaint = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            return {"error": f"exceeded {timeout:g} s"}
        finally:
            end(process)
            RUNNING.discard(process)
    if process.returncode < 0:
        return {"error": f"killed by signal {signal.Signals(-process.returncode).name}"}
    if process.returncode:
        return {
            "error": (complaint.strip().splitlines() or [f"exit status {process.returncode}"])[-1][
                :300
            ]
        }
    try:
        return json.loads(output.strip().splitlines()[-1])
    except (ValueError, IndexError):
        return {"error": "printed no record"}


def end(process):
    """Kill a process and whatever it started; quietly if it has ended."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
    process.wait()


@functools.lru_cache
def calibration():
    """Processor seconds that a fixed numpy kernel takes on this machine with one thread: the best of three."""
    done = subprocess.run(
        [sys.executable, "-c", CALIBRATION],
        capture_output=True,
        text=True,
        env={**os.environ, **ONE_THREAD},
    )
    return round(float(done.stdout), 4) if done.returncode == 0 else None


def measured(*task):
    """run_once with the machine's calibration added."""
    kernel = calibration()
    return {**run_once(*task), "calibration": kernel}
