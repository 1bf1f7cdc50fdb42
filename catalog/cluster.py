"""Runs on a Dask cluster: an optional extra."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager

from catalog import CatalogError, worker

PATIENCE = 10  # seconds that a scheduler has to answer


@contextmanager
def pool(address, mnist):
    """A function submit(problem, script, arguments, timeout) -> future, on a cluster.

    The scripts travel with the run, and MNIST from a directory where they read it, so that workers
    need numpy and no copy of this repository. Raises CatalogError where no scheduler answers.
    """
    client = _connected(address)
    cargo = {}  # slug: its files, or what stands for them on the cluster

    def run(*task):  # nested: what can be imported by name, Dask would not send
        return worker.measured(*task)

    with client:
        executor = client.get_executor(pure=False, retries=0)

        def submit(problem, script, arguments, timeout):
            if problem.slug not in cargo:
                cargo[problem.slug] = _cargo(client, problem, mnist)
            where = f"{problem.slug}/{script.name}"
            environment = {"MNIST_DIR": ""}  # data/mnist beside the script's folder
            task = (where, arguments, timeout, cargo[problem.slug], environment)
            return executor.submit(run, *task)

        try:
            yield submit
        finally:
            executor.shutdown(wait=False)


def _connected(address):
    try:
        import cloudpickle
        from distributed import Client
    except ModuleNotFoundError:
        text = "--scheduler needs Dask: pip install 'schmidhuber-problems[cluster]'"
        raise CatalogError(text) from None
    cloudpickle.register_pickle_by_value(worker)
    try:
        asyncio.run(asyncio.wait_for(_greet(address), PATIENCE))
        return Client(address, timeout=PATIENCE)
    except Exception as error:  # whatever the transport raises: OSError, ValueError, TypeError, …
        reason = " ".join(str(error).split()) or f"no answer within {PATIENCE} s"
        raise CatalogError(f"no Dask scheduler at {address}: {reason}") from None


async def _greet(address):
    """Raises unless a scheduler answers; Client alone would wait for ever for one that is mute."""
    from distributed import Security, rpc

    security = Security().get_connection_args("client")
    async with rpc(address, connection_args=security) as server:
        kind = (await server.identity())["type"]
    if kind != "Scheduler":
        raise ValueError(f"a {kind.lower()} answers there")


def _cargo(client, problem, mnist):
    """The files that a problem's run needs, by path; with MNIST among them they travel once."""
    scripts = problem.folder.glob("*.py")
    files = {f"{problem.slug}/{path.name}": path.read_bytes() for path in scripts}
    if not any(b"MNIST_DIR" in content for content in files.values()):
        return files
    files |= {f"data/mnist/{path.name}": path.read_bytes() for path in mnist.glob("*-ubyte.gz")}
    try:
        return client.scatter([files], broadcast=True)[0]
    except Exception as error:  # no workers, or a scheduler that went away
        raise CatalogError(f"no worker took {problem.slug}'s data: {error}") from None
