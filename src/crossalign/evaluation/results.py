"""From outcomes to numbers with intervals."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from crossalign.alignment.calibration import calibration_error, reliability, wilson
from crossalign.evaluation import metrics, significance
from crossalign.evaluation.classes import ClassList
from crossalign.evaluation.run import Outcomes

TOP = 5
CONFUSIONS = 20
_CURVE_POINTS = 50
SIGNIFICANT = 0.05


def summarise(outcomes: Outcomes, class_list: ClassList) -> dict[str, Any]:
    """Give the numbers of one encoder and method.

    Args:
        outcomes: Its outcomes, of at least one image that could be read.
        class_list: The classes.

    Returns:
        Plain values: shares between 0 and 1 for each run and over the runs, and what the plots
        need.
    """
    usable = outcomes.usable
    count = int(usable.sum())
    labels, right = outcomes.labels[usable], outcomes.right[:, usable]
    confidence = outcomes.confidence[:, usable].astype(np.float64)
    # Confidences of a sharp softmax tie near 1; the lead over the runner-up goes on telling apart.
    margin = outcomes.margin[:, usable].astype(np.float64)
    top = outcomes.rank[:, usable] < TOP
    runs = [
        {
            "top1": float(hits.mean()),
            "top5": float(near.mean()),
            "per_class": metrics.per_class_mean(labels, hits),
            "calibration_error": calibration_error(reliability(sure, hits)),
            "risk": metrics.area_under_risk(lead, hits),
        }
        for hits, near, sure, lead in zip(right, top, confidence, margin, strict=True)
    ]
    over = {
        name: dataclasses.asdict(metrics.spread([run[name] for run in runs])) for name in runs[0]
    }
    low, high = wilson(float(right.sum(axis=1).mean()), count)
    over["top1"].update(low=low, high=high)
    bins = [one for one in reliability(confidence[0], right[0]) if one.photos]
    coverage, risk = metrics.risk_coverage(margin[0], right[0])
    chosen = np.unique(np.linspace(0, len(coverage) - 1, _CURVE_POINTS).round().astype(int))
    return {
        "images": count,
        "failed": int((~usable).sum()),
        "runs": runs,
        **over,
        "reliability": {
            "confidence": [one.confidence for one in bins],
            "accuracy": [one.right for one in bins],
            "count": [one.photos for one in bins],
        },
        "risk_coverage": {
            "coverage": coverage[chosen].tolist(),
            "risk": risk[chosen].tolist(),
        },
        "confusions": _confusions(outcomes, class_list),
        "classes": _class_shares(labels, right, class_list),
    }


def _confusions(outcomes: Outcomes, class_list: ClassList) -> list[list[Any]]:
    """Most frequent mistakes of the first run: [true class, predicted class, images]."""
    usable = outcomes.usable
    counts = metrics.confusion(
        outcomes.labels[usable], outcomes.predicted[0, usable].astype(np.int64)
    )
    mistakes = ((pair, count) for pair, count in counts.items() if pair[0] != pair[1])
    return [
        [class_list.names[true], class_list.names[predicted], count]
        for (true, predicted), count in itertools.islice(mistakes, CONFUSIONS)
    ]


def _class_shares(labels: Any, right: Any, class_list: ClassList) -> list[list[Any]]:
    """Accuracy of each class that has images: [class, images, share right, mean over runs]."""
    classes = len(class_list.names)
    counts = np.bincount(labels, minlength=classes)
    sums = np.bincount(labels, weights=right.mean(axis=0), minlength=classes)
    return [
        [class_list.names[place], int(counts[place]), float(sums[place] / counts[place])]
        for place in np.flatnonzero(counts).tolist()
    ]


def comparisons(
    outcomes: Mapping[tuple[str, str], Outcomes], baseline: str | None = None
) -> list[dict[str, Any]]:
    """Compare methods that share an encoder, and encoders that share a method, image by image.

    Args:
        outcomes: Outcomes by (encoder, method).
        baseline: Compare every method with this one alone, for each encoder; by default every two.

    Returns:
        For each pair the difference (second less first) with its interval, the p value of the
        paired test, the same adjusted for the number of pairs given here (Holm), and whether the
        difference is significant. The intervals are not adjusted.
    """
    rows = []
    for one, two in _pairs(list(outcomes), baseline):
        first, second = outcomes[one], outcomes[two]
        if len(first.labels) != len(second.labels) or not (first.usable & second.usable).any():
            continue
        both = first.usable & second.usable
        result = significance.compare(first.right[:, both], second.right[:, both])
        rows.append({"first": list(one), "second": list(two), **dataclasses.asdict(result)})
    adjusted = significance.holm([row["p"] for row in rows]) if rows else ()
    for row, value in zip(rows, adjusted, strict=True):
        row["p_adjusted"] = float(value)
        row["significant"] = bool(value < SIGNIFICANT)
    return rows


_Entry: TypeAlias = tuple[str, str]


def _pairs(entries: Sequence[_Entry], baseline: str | None) -> list[tuple[_Entry, _Entry]]:
    if baseline is not None:
        return [((model, baseline), (model, m)) for model, m in entries if m != baseline]
    every = itertools.combinations(entries, 2)
    return [(one, two) for one, two in every if one[0] == two[0] or one[1] == two[1]]
