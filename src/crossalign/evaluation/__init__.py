"""Evaluation that can say how each of its numbers came to be.

    from pathlib import Path
    from crossalign.evaluation import Request, evaluate

    evaluate(Request("photos", methods=("clip", "wca"), runs=3), Path("results"))

reads a labelled data set, runs every encoder, method and seed over it, and writes results with
intervals, per-image predictions, a report and a receipt that :func:`check` can repeat.
"""

from __future__ import annotations

from crossalign.evaluation.ablation import ablate
from crossalign.evaluation.datasets import DATASETS, Dataset, load_dataset
from crossalign.evaluation.differences import Difference, compare
from crossalign.evaluation.evaluate import check, evaluate
from crossalign.evaluation.factors import FACTORS
from crossalign.evaluation.request import PROTOCOLS, Protocol, Request

__all__ = [
    "DATASETS",
    "FACTORS",
    "PROTOCOLS",
    "Dataset",
    "Difference",
    "Protocol",
    "Request",
    "ablate",
    "check",
    "compare",
    "evaluate",
    "load_dataset",
]
