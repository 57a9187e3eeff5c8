"""How the learner's process is begun, without numpy here: it is an extra that only it needs."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path

import msgspec

from octoplex.optimizer.course import Course

MODULE = "octoplex.optimizer.learner"
LOCK = "learner.lock"
"""Held by the one that learns, and touched whenever it has heard what there was."""
ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""Sums of one thread come out the same each time."""


def command(data: Path, *more: str) -> tuple[str, ...]:
    """The learner of a data folder, as a command."""
    return (sys.executable, "-P", "-m", MODULE, str(data), *more)


def environment() -> dict[str, str]:
    """Its whole environment: none of the keys is in it."""
    return {"PYTHONPATH": os.pathsep.join(sys.path), **ENVIRONMENT}


def wishes(courses: Iterable[Course]) -> bytes:
    """The line that it is told: what the file says of learning, by route."""
    told = {
        course.route: {
            "plan": {
                "variants": course.variants,
                "loss": course.table.promise.quality_loss,
                "confidence": course.table.promise.confidence,
                "feedback": course.table.learn.shadow,
                "segments": course.segments,
                "labels": course.table.learn.labels,
            },
            "judges": course.table.learn.judge,
            "about": course.version,
        }
        for course in courses
    }
    return msgspec.json.encode(told) + b"\n"
