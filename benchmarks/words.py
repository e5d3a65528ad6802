"""How far the words that explanations show beside regions can be relied on.

    python benchmarks/words.py ../shared                  # 120 photos and 60 pairs: 2 minutes
    python benchmarks/words.py ../shared --photos 200 --pairs 100

The folder is laid out as ``benchmarks/accuracy.py`` says; descriptions are those of the bank, and
photos whose class it does not know are left out. Rules are compared on the regions that a page
would frame (:func:`crossalign.reports.summary.distinct_regions`) of each photo's own class:

- *largest term*: each region gets the description whose terms are larger there, weight for weight,
  than over all crops, by most;
- *mean*: as :func:`crossalign.explain.standout`, but measured against the mean crop alone;
- *standout*: the rule that is used, with several values of ``LEAST_LIFT``.

*shown* is the share of regions that get words. *again* is the share of these in which fresh crops
(another seed) at nearly the same place, with an overlap of 0.6 or more, answer the words better
than the mean of all fresh crops: half of words drawn at random would. *right half* is a test with a
known answer: two photos of different classes are put side by side as a picture of one class that
has the descriptions of both, and a crop that lies in one half should get words of that half.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image

from accuracy import read_set
from crossalign import Classifier, DescriptionSet, Explanation, load_encoder
from crossalign.encoders import Encoder
from crossalign.explain import LEAST_LIFT
from crossalign.reports.summary import distinct_regions
from crossalign.texts import bank

SETS = ("pacs_photo", "pets37", "imagenet_val650")
SIDE = 320
NEAR, INSIDE = 0.6, 0.9

Photo: TypeAlias = tuple[Path, str, tuple[str, ...]]
Rule: TypeAlias = Callable[[Explanation, int], int | None]


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=120)
    parser.add_argument("--pairs", type=int, default=60)
    parser.add_argument("--encoder", default="builtin")
    options = parser.parse_args()
    encoder = load_encoder(options.encoder)
    photos = described(options.folder, max(options.photos, 2 * options.pairs))
    twice = [explained(encoder, photo) for photo in photos[: options.photos]]
    halves = list(filter(None, map(paired(encoder), photos[::2], photos[1::2])))[: options.pairs]
    regions = sum(len(distinct_regions(first)) for first, _ in twice)
    print(f"{len(twice)} photos, {regions} regions; {len(halves)} pairs; {encoder.card.name}\n")
    print("| rule | shown | again | right half |\n|---|--:|--:|--:|")
    for name, rule in rules().items():
        shown, again = replicated(rule, twice)
        right = in_right_half(rule, halves)
        print(f"| {name} | {share(shown)} | {share(again)} | {share(right)} |")
    return 0


def rules() -> dict[str, Rule]:
    """Name what is compared."""

    def largest_term(made: Explanation, crop: int) -> int | None:
        return int((made.terms[crop] - made.crop_weights[crop] * made.by_description).argmax())

    def standing_out(least: float, *, photo: bool) -> Rule:
        def rule(made: Explanation, crop: int) -> int | None:
            here, usual = made.similarity[crop], made.similarity.mean(axis=0)
            if photo:
                usual = np.maximum(usual, made.whole_similarity)
            out = (here - usual > least * made.similarity.std(axis=0)) & (here >= here.mean())
            return int(np.where(out, here, -np.inf).argmax()) if out.any() else None

        return rule

    named: dict[str, Rule] = {
        "largest term": largest_term,
        f"mean, {LEAST_LIFT}": standing_out(LEAST_LIFT, photo=False),
    }
    for least in sorted({0.0, 0.25, 0.75, LEAST_LIFT}):
        named[f"standout, {least}"] = standing_out(least, photo=True)
    return named


def described(folder: Path, count: int) -> list[Photo]:
    """Choose photos whose class the bank describes, the sets in turns."""
    groups = []
    for name in SETS:
        photos = read_set(folder, name)
        known = [
            (path, label, entry.descriptions)
            for path, label in zip(photos.photos, photos.labels, strict=True)
            if (entry := bank.find(label)) is not None
        ]
        random.Random(0).shuffle(known)
        groups.append(known[: -(-count // len(SETS))])
    mixed = [photo for group in groups for photo in group]
    random.Random(1).shuffle(mixed)
    return mixed[:count]


def explained(encoder: Encoder, photo: Photo) -> tuple[Explanation, Explanation]:
    """Explain a photo with two draws of crops."""
    path, label, texts = photo
    classifier = Classifier(DescriptionSet.from_mapping({label: texts}), encoder=encoder)
    return classifier(path).explain(), classifier.with_crops(60, 1)(path).explain()


def paired(encoder: Encoder) -> Callable[[Photo, Photo], tuple[int, Explanation] | None]:
    """Put two photos side by side, and explain them as one class; None for two of one class."""

    def pair(left: Photo, right: Photo) -> tuple[int, Explanation] | None:
        count = min(len(left[2]), len(right[2]))
        texts = (*left[2][:count], *right[2][:count])
        if left[1] == right[1] or len(set(texts)) < len(texts):
            return None
        both = Image.new("RGB", (2 * SIDE, SIDE))
        for place, (path, _, _) in enumerate((left, right)):
            with Image.open(path) as image:
                both.paste(image.convert("RGB").resize((SIDE, SIDE)), (place * SIDE, 0))
        classes = DescriptionSet.from_mapping({"both": texts})
        return count, Classifier(classes, encoder=encoder)(both).explain()

    return pair


def replicated(
    rule: Rule, twice: Sequence[tuple[Explanation, Explanation]]
) -> tuple[list[bool], list[bool]]:
    """Say for each region whether it gets words, and of these whether fresh crops bear it out."""
    shown, again = [], []
    for first, fresh in twice:
        for region in distinct_regions(first):
            chosen = rule(first, region.crop)
            shown.append(chosen is not None)
            near = overlaps(np.array(region.box), fresh.boxes) >= NEAR
            if chosen is not None and near.any():
                column = fresh.similarity[:, chosen]
                again.append(bool(column[near].mean() > column.mean()))
    return shown, again


def in_right_half(rule: Rule, halves: Sequence[tuple[int, Explanation]]) -> list[bool]:
    """Say of the words beside each crop that lies in one half whether they belong there."""
    right = []
    for count, made in halves:
        for crop, (start, _, stop, _) in enumerate(made.boxes.tolist()):
            left = max(0, min(stop, SIDE) - start) / (stop - start)
            chosen = rule(made, crop) if not 1 - INSIDE < left < INSIDE else None
            if chosen is not None:
                right.append((chosen < count) == (left > 0.5))
    return right


def share(cases: Sequence[bool]) -> str:
    """Write the share of them that are true; a dash for none."""
    return f"{np.mean(cases):.3f}" if cases else "-"


def overlaps(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of a box with others."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=1)
    areas = np.prod(others[:, 2:] - others[:, :2], axis=1) + np.prod(box[2:] - box[:2])
    return shared / (areas - shared)


if __name__ == "__main__":
    sys.exit(main())
