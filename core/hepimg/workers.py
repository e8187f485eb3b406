"""Workers: processes of this machine, or of a Dask cluster, that tell how many rows they have made."""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any

from hepimg.errors import DataError


@contextmanager
def start_workers(jobs: int, scheduler: str | None) -> Iterator[tuple[Executor, Any]]:
    """Processes of this machine, or of the Dask cluster at an address; and a queue of the numbers of rows made."""
    if scheduler is not None:
        with _dask(scheduler) as executor:
            yield executor, queue.Queue()
        return
    context = multiprocessing.get_context("spawn")
    made = context.Queue()
    executor = ProcessPoolExecutor(jobs, mp_context=context, initializer=_start_worker, initargs=(made,))
    try:
        yield executor, made
    except BaseException:
        # Futures are left to the executor: cancelling them while its processes die is a race that it loses aloud.
        for process in list((executor._processes or {}).values()):
            process.terminate()
        raise
    finally:
        executor.shutdown(wait=True)
        made.close()


@contextmanager
def _dask(address: str) -> Iterator[Executor]:
    try:
        from distributed import Client
    except ImportError as error:
        raise DataError("--scheduler needs dask", fix='Install it: pip install "hepimg[dask]"') from error
    try:
        client = Client(address, timeout=10)
    except (OSError, ValueError) as error:
        raise DataError(f"no Dask scheduler answers ({error})", where=address, needed="tcp://host:port") from error
    with client:
        yield client.get_executor()


_made: Any = None


def _start_worker(made: Any) -> None:
    """Prepare a worker process: report rows, leave Ctrl-C to the parent, and end when the parent has died."""
    global _made
    _made = made
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def follow() -> None:
        if parent is not None:
            parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def usable_cores() -> int:
    """The cores that this process may use: those of a batch job, not of the whole node."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def report_rows(rows: int) -> None:
    """Tell the parent, if there is one that listens, that so many rows were made."""
    if _made is not None:
        _made.put(rows)
