"""Whether explanations point: photos of known objects pasted on others, and where the maps look.

    python benchmarks/pointing.py                            # scikit-image's photos
    python benchmarks/pointing.py --photos ../shared/data/pacs_photo --part second
        --classes dog guitar horse elephant --backgrounds ../shared/data/dtd10

Folders hold one folder a class, with ``classes.csv`` (``folder,class_name``) where names differ.
One object of 12 or 25 % of the area is pasted with a soft edge at a random place, or two of
different classes of 12 % each, one in each half. The class explained is the true one. Columns:

- *points*: share of maps whose maximum lies inside the object; by *local* crops, as explanations
  show them, and by the crops that *scored*; beside them, what chance would give.
- *inside*: the share of the map inside the object, as a multiple of its share of the area.
- *why*: "why A, not B" has its highest place in A, and its lowest in B.
- *words*: of the descriptions that get a place, the share whose place has its middle in their
  object; and how many of all descriptions get one.

Intervals are Wilson's, 95 %. Settings were chosen on the first half of the photos of each class.
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from _common import Table, finish, parser
from _pasted import Box, Pasted, Photo, backgrounds_of, one_object, photos_of, two_objects
from crossalign import Classifier, explain, load_encoder
from crossalign.alignment.calibration import wilson
from crossalign.explain import place_words


def main() -> int:
    """Print the tables."""
    options = parser(__doc__)
    options.add_argument("--photos", type=Path, help="objects; scikit-image's by default")
    options.add_argument("--backgrounds", type=Path, help="what to paste on; likewise")
    options.add_argument("--classes", nargs="+", help="only these classes of the photos")
    options.add_argument("--part", choices=("first", "second", "all"), default="all")
    options.add_argument("--count", type=int, default=30, help="pictures of each kind and seed")
    options.add_argument("--seeds", type=int, default=2)
    options.add_argument("--encoder", default="builtin")
    chosen = options.parse_args()
    photos = _part(photos_of(chosen.photos), chosen.classes, chosen.part)
    names = sorted({label for _, label in photos})
    if len(names) < 2:
        options.error("expected photos of two classes or more")
    backgrounds = backgrounds_of(chosen.backgrounds)
    classifier = Classifier(names, encoder=load_encoder(chosen.encoder))
    classifier.prepare()
    seeds = range(chosen.seeds)
    kinds = {
        "one, 12 %": [one_object(photos, backgrounds, 0.12, chosen.count, seed) for seed in seeds],
        "one, 25 %": [one_object(photos, backgrounds, 0.25, chosen.count, seed) for seed in seeds],
        "two, 12 %": [two_objects(photos, backgrounds, 0.12, chosen.count, seed) for seed in seeds],
    }
    columns = "objects", "chance", "scored: points", "local: points", "inside", "why", "words"
    table = Table("pointing", "pictures", *columns, "with a place")
    for name, streams in kinds.items():
        found: dict[str, list[float]] = defaultdict(list)
        for stream in streams:
            for picture in stream:
                _measure(classifier, picture, found)
        table.add(
            name,
            len(found["local"]),
            f"{np.mean(found['area']):.2f}",
            _share(found["scored"]),
            _share(found["local"]),
            f"{np.mean(found['inside']):.1f}",
            _share(found["why"]),
            _share(found["words"]),
            f"{np.mean(found['placed']):.2f}",
        )
    slow, fast = np.median(found["explained"]), np.median(found["labelled"])
    print(f"\nlabel and look closer: {slow / fast:.2f} times the time of the label alone")
    return finish(chosen, table)


def _part(photos: Sequence[Photo], classes: Sequence[str] | None, part: str) -> list[Photo]:
    groups: dict[str, list[Photo]] = defaultdict(list)
    for photo in photos:
        if classes is None or photo[1] in classes:
            groups[photo[1]].append(photo)
    taken = {"first": slice(0, None, 2), "second": slice(1, None, 2), "all": slice(None)}[part]
    return [photo for group in groups.values() for photo in group[taken]]


def _measure(classifier: Classifier, picture: Pasted, found: dict[str, list[float]]) -> None:
    start = time.perf_counter()
    prediction = classifier(picture.image)
    labelled = time.perf_counter() - start
    for label, box in zip(picture.labels, picture.boxes, strict=True):
        explanation = prediction.explain(label)
        heat = explain.heat_map(explanation)
        if label == picture.labels[0]:
            found["labelled"].append(labelled)
            found["explained"].append(time.perf_counter() - start)
        area = (box[2] - box[0]) * (box[3] - box[1]) / heat.size
        found["area"].append(area)
        found["local"].append(_points(heat, box))
        found["scored"].append(_points(explain.heat_map(explanation, crops="scoring"), box))
        found["inside"].append(float(heat[box[1] : box[3], box[0] : box[2]].sum()) / area)
        assert explanation.local is not None
        for words in place_words(explanation.local):
            found["placed"].append(words.box is not None)
            if words.box is not None:
                left, top, right, bottom = words.box
                x, y = (left + right) / 2, (top + bottom) / 2
                found["words"].append(box[0] <= x < box[2] and box[1] <= y < box[3])
    if len(picture.labels) == 2:
        why = explain.signed_heat_map(explain.why(prediction, *picture.labels))
        first, second = picture.boxes
        found["why"].append(_points(why, first) and _points(-why, second))


def _points(heat: np.ndarray, box: Box) -> bool:
    y, x = np.unravel_index(heat.argmax(), heat.shape)
    return bool(box[0] <= x < box[2] and box[1] <= y < box[3])


def _share(cases: Sequence[float]) -> str:
    if not cases:
        return "-"
    low, high = wilson(int(sum(cases)), len(cases))
    return f"{np.mean(cases):.2f} ({low:.2f} to {high:.2f})"


if __name__ == "__main__":
    sys.exit(main())
