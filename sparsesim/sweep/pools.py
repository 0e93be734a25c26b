"""Where points are evaluated: worker processes of this machine, or a dask.distributed cluster."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import wait
from typing import Any, Protocol

from sparsesim.errors import InputError, SparseSimError

CONNECT_SECONDS = 10


class Pool(Protocol):
    """Workers behind a `concurrent.futures` interface."""

    @property
    def slots(self) -> int:
        """How many points may be under way at a time."""

    def submit(self, task: Callable[..., Any], /, *arguments: Any) -> Future[Any]:
        """Start `task`; raises BrokenExecutor when `rebuild` is needed first."""

    def is_death(self, error: BaseException) -> bool:
        """Whether the `error` of a future means that its worker died."""

    def rebuild(self) -> None:
        """Replace dead workers; nothing may be under way."""

    def close(self) -> None:
        """Let the workers go; nothing is under way."""

    def stop(self) -> None:
        """End everything under way at once and leave no worker behind."""


def usable_cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class LocalPool:
    """`slots` worker processes, started with the first task."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self._executor: ProcessPoolExecutor | None = None

    def submit(self, task: Callable[..., Any], /, *arguments: Any) -> Future[Any]:
        with _interrupts_stay_here():
            if self._executor is None:
                self._executor = self._started()
            return self._executor.submit(task, *arguments)

    def _started(self) -> ProcessPoolExecutor:
        # spawn: the parent has threads (the executor's own, the progress bar's), whose locks a
        # fork could copy while held; it is as fast to start here as a fork server.
        executor = ProcessPoolExecutor(
            self.slots, multiprocessing.get_context("spawn"), initializer=_die_with_parent
        )
        try:
            executor.submit(os.getpid).result()
        except BrokenExecutor:
            raise SparseSimError(
                "worker processes die at start (a script that sweeps needs "
                "`if __name__ == '__main__':` around it)"
            ) from None
        return executor

    def is_death(self, error: BaseException) -> bool:
        return isinstance(error, BrokenExecutor)

    def rebuild(self) -> None:
        self.close()

    def close(self) -> None:
        if self._executor is not None:
            self._executor.shutdown(wait=True)
            self._executor = None

    def stop(self) -> None:
        if self._executor is None:
            return
        # Public only from Python 3.14 on (`kill_workers`); a point may run for minutes.
        workers = list((self._executor._processes or {}).values())
        self._executor.shutdown(wait=False, cancel_futures=True)
        self._executor = None
        for worker in workers:
            worker.kill()
        for worker in workers:
            worker.join()


class DistributedPool:
    """The workers of the dask scheduler at `address`; by default one point per worker thread.

    Raises:
        InputError: distributed is not installed, or no scheduler with workers answers.
    """

    def __init__(self, address: str, slots: int | None) -> None:
        try:
            import distributed
        except ImportError:
            raise InputError(
                "--scheduler: needs the package distributed (pip install 'sparsesim[distributed]')"
            ) from None
        try:
            self._client = distributed.Client(
                address, timeout=CONNECT_SECONDS, set_as_default=False
            )
        except (OSError, ValueError, TypeError) as error:
            problem = " ".join(str(error).split())
            raise InputError(f"--scheduler {address}: cannot be reached ({problem})") from None
        try:
            self._client.wait_for_workers(1, timeout=CONNECT_SECONDS)
        except TimeoutError:
            self._client.close()
            raise InputError(f"--scheduler {address}: has no workers") from None
        self.slots = slots or sum(self._client.nthreads().values())
        self._executor = self._client.get_executor(pure=False)
        self._killed_worker = distributed.KilledWorker

    def submit(self, task: Callable[..., Any], /, *arguments: Any) -> Future[Any]:
        future: Future[Any] = self._executor.submit(task, *arguments)
        return future

    def is_death(self, error: BaseException) -> bool:
        return isinstance(error, self._killed_worker)

    def rebuild(self) -> None:
        """Nothing to do: the cluster restarts its own workers."""

    def close(self) -> None:
        self._client.close()

    def stop(self) -> None:
        self._executor.shutdown(wait=False)
        self._client.close()


@contextmanager
def open_pool(slots: int | None, scheduler: str | None) -> Iterator[Pool]:
    """A pool of `slots` workers; closed at the end of the block, stopped if the block fails."""
    pool: Pool = (
        LocalPool(slots or usable_cores())
        if scheduler is None
        else DistributedPool(scheduler, slots)
    )
    try:
        yield pool
    except BaseException:
        pool.stop()
        raise
    pool.close()


def _die_with_parent() -> None:
    """End this worker when its parent is killed, which leaves the parent no time to tell it."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def _interrupts_stay_here() -> Iterator[None]:
    """Processes started in the block ignore Ctrl-C: the parent decides what to stop."""
    # A blocked signal stays blocked in a new process; one that arrives here is only delayed.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
