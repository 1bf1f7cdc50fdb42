"""Runs on a Dask cluster: an optional extra."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager

from catalog import CatalogError, data, worker

PATIENCE = 10  # seconds that a scheduler has to answer


@contextmanager
def pool(address, places):
    """A function submit(problem, script, arguments, timeout) -> future, on a cluster.

    The scripts travel with the run, and shared data from `places` that they read, so that workers
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
                cargo[problem.slug] = _cargo(client, problem, places)
            where = f"{problem.slug}/{script.name}"
            environment = dict.fromkeys(data.SHARED, "")  # data/ beside the script's folder
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


def _cargo(client, problem, places):
    """The files that a problem's run needs, by path; with shared data among them they travel once.

    places: where shared data lie, see data.environment().
    """
    own = data.own_files(problem.folder)
    files = {f"{problem.slug}/{path.name}": path.read_bytes() for path in own}
    shared = data.shared_files(files.values(), places)
    if not shared:
        return files
    files |= shared
    try:
        return client.scatter([files], broadcast=True)[0]
    except Exception as error:  # no workers, or a scheduler that went away
        raise CatalogError(f"no worker took {problem.slug}'s data: {error}") from None
