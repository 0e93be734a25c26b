"""Runs points on a pool; a worker that dies costs only the points that keep killing theirs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait

from sparsesim.errors import SparseSimError
from sparsesim.sweep.evaluation import Evaluation, Point, Simulate, evaluate, one_line_error
from sparsesim.sweep.pools import Pool

WORKER_DIED = "worker died (killed or out of memory)"


def run_points(
    points: Iterable[Point],
    pool: Pool,
    simulate: Simulate | None,
    on_end: Callable[[Point, Evaluation], None],
) -> None:
    """Evaluate all `points`, at most `pool.slots` at a time, calling `on_end` as each ends.

    A dead worker implicates every point then under way: each is tried once more, alone, and has
    failed if its worker dies again.

    Raises:
        SparseSimError: the pool was lost (the scheduler went away).
    """
    queue = deque(points)
    suspects: deque[Point] = deque()
    running: dict[Future[Evaluation], Point] = {}
    alone: Point | None = None
    broken = False

    def start(point: Point) -> bool:
        try:
            running[pool.submit(evaluate, point, simulate)] = point
        except BrokenExecutor:  # a worker died between two points
            return False
        return True

    while queue or suspects or running:
        if not running:
            if broken:
                pool.rebuild()
                broken = False
            alone = suspects.popleft() if suspects else None
            if alone is not None and not start(alone):
                suspects.appendleft(alone)
                broken = True
                continue
        while queue and alone is None and not broken and len(running) < pool.slots:
            if start(queue[0]):
                queue.popleft()
            else:
                broken = True
        if not running:
            continue
        ended, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in ended:
            point = running.pop(future)
            if future.cancelled():
                raise SparseSimError("the scheduler went away; --resume continues the sweep")
            error = future.exception()
            if error is None:
                on_end(point, future.result())
            elif not pool.is_death(error):
                on_end(point, Evaluation(error=one_line_error(error)))
            elif point is alone:
                broken = True
                on_end(point, Evaluation(error=WORKER_DIED))
            else:
                broken = True
                suspects.append(point)
