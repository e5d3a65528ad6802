"""The plan of an image whose crops come in rounds, until its decision is settled."""

from __future__ import annotations

import numpy as np

from crossalign.alignment.adaptive import SequentialTest, order_crops
from crossalign.encoders.base import Preprocess
from crossalign.engine.stream import Plan, Planner, all_views
from crossalign.engine.views import Views


def in_rounds(test: SequentialTest, preprocess: Preprocess) -> Planner:
    """Plan images one after the other, each with no more crops than its decision needs.

    Args:
        test: When there are enough crops to decide between the classes.
        preprocess: What the encoder sees of an image and of its crops.

    Returns:
        What makes the plan of an image.
    """

    def planner(views: Views) -> Plan:
        if not len(views.boxes):
            yield from all_views(views)
            return
        seen = preprocess.shown(views.size)
        order = order_crops(preprocess.visible(views.boxes), seen, test.scale)
        # The first crops do not depend on the whole image, so they come in the same round.
        first = order.indices[: test.rule.minimum]
        rows = yield np.concatenate([[0], first + 1])
        trial = test.start(rows[0], order)
        trial.add(rows[1:])
        while not trial.settled:
            rows = yield trial.wanted + 1
            trial.add(rows)

    return planner
