"""Where in a picture a class is, and its words, as small crops that are no part of the score tell.

The crops that score are chosen to label well, and are often too large to say where anything is; see
:class:`~crossalign.LocalEvidence` for those that look closer. A place is a small crop that answers
its class better than this picture's crops do on average. Words get a place only where that stands
out against chance: each description is measured by what it says beyond its class, and so are texts
of other classes, which are not about the picture; their best answers are what chance brings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crossalign.errors import CrossalignError
from crossalign.explain.ranking import Box, _apart
from crossalign.images.crops import Boxes
from crossalign.images.layouts import iou
from crossalign.predictions import LocalEvidence
from crossalign.utils.validation import whole_number

CHANCE = 0.05
"""Words get a place only if so small a share of texts that are not about it would do as well."""

Values = npt.NDArray[np.float64]

# Crops that overlap so much see nearly the same; a crop's answer is averaged with theirs.
_NEAR = 0.3
# Words are looked for, and places lie, where a class is answered better than by the mean crop by
# at least this share of what the best does.
_LEAST_SHARE = 2 / 3


@dataclass(frozen=True, slots=True)
class PlacedWords:
    """A description, and where it is answered beyond its class, if anywhere.

    Args:
        label: Its class.
        description: Its number among the descriptions of its class.
        text: The description.
        lift: By how much its best place in the class answers what it says beyond its class better
            than the mean crop does, a difference of cosines.
        chance: Share of texts of other classes that reach as much in the same crops, 0 to 1.
        crop: Number of the local crop that is its place; None where chance would do as well.
        box: Where that is.
    """

    label: str
    description: int
    text: str
    lift: float
    chance: float
    crop: int | None
    box: Box | None


@dataclass(frozen=True, slots=True)
class Place:
    """A part of the picture that answers a class.

    Args:
        crop: Number of the local crop.
        box: Where it is.
        label: The class.
        lift: By how much it answers the class better than the mean crop, a difference of cosines.
        words: Descriptions that have their place here, the most telling first; often none.
    """

    crop: int
    box: Box
    label: str
    lift: float
    words: tuple[PlacedWords, ...]

    @property
    def text(self) -> str:
        """Its words, or that it answers the class as a whole."""
        return self.words[0].text if self.words else f"{self.label}, as a whole"

    @property
    def note(self) -> str:
        """How its words stand against chance; empty where it has none.

        Example:
            >>> words = PlacedWords("cat", 0, "a tail", lift=0.05, chance=0.01, crop=3, box=None)
            >>> Place(3, (0, 0, 9, 9), "cat", 0.2, (words,)).note
            '0.050 beyond its class; 1 of 100 texts of other classes would reach that'
        """
        if not self.words:
            return ""
        first = self.words[0]
        share = f"{max(1, round(100 * first.chance))} of 100"
        return f"{first.lift:.3f} beyond its class; {share} texts of other classes would reach that"

    @property
    def value(self) -> float:
        """What is shown beside it: its lift."""
        return self.lift

    @property
    def whole(self) -> bool:
        """It is never the whole photo."""
        return False


def place_words(local: LocalEvidence) -> tuple[PlacedWords, ...]:
    """Say of each description where it is answered, beyond what its class is.

    With d_ij the cosine of local crop i with the part of description j that is orthogonal to the
    mean of its class, less its mean over the crops, the lift of j is its largest d_ij among the
    crops of the class: those that answer the class, averaged with their neighbours, by at least
    two thirds as much above the mean as the best. Texts of everyday classes, each less the mean of
    its own class, are measured alike; the share that reach as much is the chance.

    Args:
        local: How local crops answer the class.

    Returns:
        One for each description, in their order.
    """
    here = _crops_of(local)
    lifts = _beyond_mean_crop(local.distinct, local.boxes)[here]
    by_chance = _beyond_mean_crop(local.chance, local.boxes)[here].max(axis=0)
    found = []
    for index, text in enumerate(local.descriptions):
        row = int(lifts[:, index].argmax())
        lift = float(lifts[row, index])
        reached = 1 + int((by_chance >= lift).sum())
        share = reached / (1 + len(by_chance))
        crop = int(here[row]) if share <= CHANCE and lift > 0 else None
        found.append(
            PlacedWords(
                label=local.label,
                description=index,
                text=text,
                lift=lift,
                chance=share,
                crop=crop,
                box=None if crop is None else _box(local.boxes, crop),
            )
        )
    return tuple(found)


def places(local: LocalEvidence, count: int = 4, *, max_overlap: float = 0.3) -> tuple[Place, ...]:
    """List the parts of a picture that answer a class best.

    Args:
        local: How local crops answer the class.
        count: How many at most.
        max_overlap: Largest intersection over union with a place listed before.

    Returns:
        Places, the best first, none with less than two thirds of the lift of the first; no place
        where all crops answer alike. Words stand at the place that overlaps theirs most, if one
        does by as much as neighbours do.

    Raises:
        CrossalignError: If ``count`` is below 1.
    """
    whole_number("count", count, 1, error=CrossalignError)
    lifts = _lifts(local)
    here = _crops_of(local)
    order = [int(crop) for crop in here[np.argsort(-lifts[here], kind="stable")]]
    chosen = [crop for crop in _apart(order, local.boxes, count, max_overlap) if lifts[crop] > 0]
    words: dict[int, list[PlacedWords]] = {crop: [] for crop in chosen}
    for one in sorted(place_words(local), key=lambda each: -each.lift):
        if one.crop is not None and chosen:
            near = iou(local.boxes[one.crop], local.boxes[chosen])
            if near.max() >= _NEAR:
                words[chosen[int(near.argmax())]].append(one)
    return tuple(
        Place(crop, _box(local.boxes, crop), local.label, float(lifts[crop]), tuple(words[crop]))
        for crop in chosen
    )


def _lifts(local: LocalEvidence) -> Values:
    """By how much each crop and its neighbours answer the class better than the mean crop."""
    return _beyond_mean_crop(local.answers[:, None], local.boxes)[:, 0]


def _crops_of(local: LocalEvidence) -> npt.NDArray[np.intp]:
    """Numbers of the crops that answer the class clearly better than the others; at least one."""
    lifts = _lifts(local)
    return np.flatnonzero(lifts >= _LEAST_SHARE * lifts.max())


def _beyond_mean_crop(cosines: npt.NDArray[np.float32], boxes: Boxes) -> Values:
    """Cosines less their mean over the crops, each averaged with those of its neighbours."""
    beyond = cosines - cosines.mean(axis=0, dtype=np.float64)
    near = np.stack([iou(box, boxes) for box in boxes])
    near[near < _NEAR] = 0.0
    smooth: Values = near @ beyond / near.sum(axis=1, keepdims=True)
    return smooth


def _box(boxes: Boxes, crop: int) -> Box:
    left, top, right, bottom = boxes[crop].tolist()
    return left, top, right, bottom
