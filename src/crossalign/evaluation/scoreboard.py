"""The outcomes of an encoder and a method, side by side as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crossalign.evaluation.journal import Journal
from crossalign.evaluation.run import Walk


@dataclass(frozen=True, slots=True, eq=False)
class Scoreboard:
    """The outcomes of an encoder and a method as arrays.

    Args:
        labels: True classes, shape (n,).
        usable: Whether an image could be read, shape (n,).
        predicted: Shape (R, n).
        rank: Shape (R, n).
        confidence: Shape (R, n).
        margin: Lead over the runner-up, shape (R, n).
        crops: How many crops were taken, shape (R, n); -1 where it is the same for every image.
    """

    labels: Any
    usable: Any
    predicted: Any
    rank: Any
    confidence: Any
    margin: Any
    crops: Any

    @property
    def right(self) -> Any:
        """Hits, bool, shape (R, n)."""
        return self.rank == 0


def scoreboard(walks: Sequence[Walk]) -> Scoreboard:
    """Read the journals of one encoder and method.

    Args:
        walks: Its passes.

    Returns:
        Their outcomes; some twenty bytes an image and run.
    """
    parts = [_arrays(walk.journal, walk.step.runs) for walk in walks]
    labels, usable = parts[0][:2]
    for other in parts[1:]:
        usable = usable & other[1]
    runs = (np.concatenate([part[place] for part in parts]) for place in range(2, 7))
    return Scoreboard(labels, usable, *runs)


def _arrays(journal: Journal, runs: int) -> tuple[Any, ...]:
    count = journal.done
    labels, usable = np.zeros(count, np.int64), np.zeros(count, np.bool_)
    predicted, rank = np.zeros((runs, count), np.int32), np.full((runs, count), -1, np.int32)
    confidence, margin = np.zeros((2, runs, count), np.float32)
    crops = np.full((runs, count), -1, np.int32)
    for place, outcome in enumerate(journal):
        labels[place] = outcome.label
        if outcome.error is None:
            usable[place] = True
            predicted[:, place] = outcome.predicted
            rank[:, place] = outcome.rank
            confidence[:, place] = outcome.confidence
            margin[:, place] = outcome.margin
            crops[:, place] = -1 if outcome.crops is None else outcome.crops
    return labels, usable, predicted, rank, confidence, margin, crops
