"""The engines of one chip running a whole trace (SimPy)."""

from sparsesim.timeline.engines import Job, JobTime, run_jobs

__all__ = ["Job", "JobTime", "run_jobs"]
