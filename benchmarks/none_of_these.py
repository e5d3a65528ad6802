"""How well the fit tells photos of the asked classes from others, plain pictures and nonsense.

    python benchmarks/none_of_these.py ../shared                    # built-in model: 3 minutes
    python benchmarks/none_of_these.py ../shared --method wca --encoder onnx:FOLDER

The folder is laid out as for ``benchmarks/accuracy.py``. Of photos of asked classes, right answers
count; they should be kept. All others should be caught. Every other photo served to choose the cut
(``even``); the figures to go by are those of the others (``odd``). AUROC is against all right
answers of the first four rows.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from accuracy import read_set
from crossalign import Classifier, load_encoder
from crossalign.alignment.calibration import wilson
from crossalign.alignment.fit import DEFAULT_CUT

OTHER = ("car", "guitar", "cup", "rocket", "house")
NONSENSE = ("flumph", "zorgle", "quux")
COLOURS = ((255, 0, 0), (0, 160, 60), (20, 40, 200), (250, 210, 40), (90, 0, 90), (139, 69, 19))


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--encoder", default="builtin")
    parser.add_argument("--method", default="cupl")
    options = parser.parse_args()
    if not (options.folder / "data").is_dir():
        parser.error(f"{options.folder} has no folder 'data' with labelled photos")
    names = ("pets37", "pacs_photo", "imagenet_val650", "grocery43")
    pets, pacs, imagenet, groceries = (read_set(options.folder, name) for name in names)
    encoder = load_encoder(options.encoder)
    base = Classifier(["a", "b"], encoder=encoder, method=options.method)
    seen: dict[str, int] = {}
    first = []
    for photo, label in zip(pets.photos, pets.labels, strict=True):
        seen[label] = seen.get(label, 0) + 1
        first += [photo] if seen[label] <= 3 else []
    # Classes asked for, images, and their labels where they are of these classes.
    kept: list[tuple[str, Sequence[str], Sequence[Any], Sequence[str] | None]] = [
        ("pets, 37 breeds", pets.classes, pets.photos, pets.labels),
        ("pets, cat and dog", ("cat", "dog"), first, None),
        ("PACS photos, 7 names", pacs.classes, pacs.photos, pacs.labels),
        ("ImageNet, 1000 names", imagenet.classes, imagenet.photos, imagenet.labels),
    ]
    caught: list[tuple[str, Sequence[str], Sequence[Any]]] = [
        ("pets, five other things", OTHER, pets.photos),
        ("pets, nonsense words", NONSENSE, pets.photos),
        ("groceries, 37 breeds", pets.classes, groceries.photos),
        ("groceries, cat and dog", ("cat", "dog"), groceries.photos),
    ]
    plain = plain_pictures()
    for what, classes in (("37 breeds", pets.classes), ("cat and dog", ("cat", "dog"))):
        caught.append((f"plain pictures, {what}", classes, plain))
    caught += [(f"plain pictures, {OTHER[0]} ...", OTHER, plain)]
    print(f"encoder {encoder.card.name} {encoder.card.revision}; {options.method}\n")
    print("| images, asked for | even | odd | 95 % interval | AUROC |")
    print("|---|---|---|---|--:|")
    right_fits: list[float] = []
    for title, classes, images, labels in kept:
        fits, found = measure(base.with_classes(classes), images)
        right = np.array([labels is None or one == labels[at] for at, one in enumerate(found)])
        right_fits += fits[right].tolist()
        row(f"{title}: kept", fits >= DEFAULT_CUT, right, "")
    for title, classes, images in caught:
        fits, found = measure(base.with_classes(classes), images)
        area = auroc(np.array(right_fits), fits)
        row(f"{title}: caught", fits < DEFAULT_CUT, np.ones(len(found), bool), f"{area:.3f}")
    return 0


def measure(classifier: Classifier, images: Sequence[Any]) -> tuple[Any, list[str | None]]:
    """Give the fits and the labels."""
    found = list(classifier.predict(images, keep_evidence=True))
    return np.array([one.fit for one in found], float), [one.label for one in found]


def row(title: str, hit: Any, counted: Any, area: str) -> None:
    """Print a line: both halves, and the interval of the second."""
    cells = []
    for half in (0, 1):
        chosen = hit[half::2][counted[half::2]]
        cells.append(f"{chosen.sum()} of {len(chosen)} ({chosen.mean():.3f})")
        low, high = wilson(float(chosen.sum()), len(chosen))
    print(f"| {title} | {' | '.join(cells)} | {low:.3f} to {high:.3f} | {area} |", flush=True)


def auroc(above: Any, below: Any) -> float:
    """How often a right answer fits better than one that should be caught."""
    order = np.searchsorted(np.sort(below), above, "left")
    ties = np.searchsorted(np.sort(below), above, "right") - order
    return float((order + ties / 2).mean() / len(below))


def plain_pictures() -> list[Any]:
    """Draw colours, their gradients, stripes and coloured noise; none of them a grey."""
    rng = np.random.default_rng(1)
    rows, columns = np.mgrid[0:224, 0:224]
    pictures: list[Any] = []
    for colour, other in zip(COLOURS, (*COLOURS[1:], COLOURS[0]), strict=True):
        ends = np.array([colour, other], float)
        slope = (columns if len(pictures) % 2 else rows)[..., None] / 223
        stripes = (rows // 16 % 2)[..., None]
        speckle = rng.random((224, 224, 1))
        shares = (0 * slope, slope, stripes, speckle)
        pictures += [(ends[0] + (ends[1] - ends[0]) * share).astype(np.uint8) for share in shares]
    return pictures


if __name__ == "__main__":
    sys.exit(main())
