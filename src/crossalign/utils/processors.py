"""What this process may compute with."""

from __future__ import annotations

import os


def usable_processors() -> int:
    """Count the processors that this process may use (a container may allow fewer than exist).

    Returns:
        At least 1.
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
