"""Top-1 accuracy of every method on labelled photo folders, as one table with intervals.

    python benchmarks/accuracy.py ../shared                    # all sets and methods: 20 minutes
    python benchmarks/accuracy.py ../shared --sets pets37 --methods clip cupl wca

The folder holds ``data/<set>/classes.csv`` (``folder,class_name``), ``data/<set>/<folder>/*.jpg``
and, where there are any, descriptions: ``prompts/<set>/cupl.json``, ``prompts/<set>/clip-d.json``.
Methods that average descriptions take, in this order, CuPL's sentences, sentences made of CLIP-D's
descriptors, or the template ensemble; the table says which. ``wca-flat`` is WCA with equal weights.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import sys
import time
from pathlib import Path

from crossalign import METHODS, Classifier, CropSpec, DescriptionSet, load_encoder
from crossalign.alignment.calibration import wilson
from crossalign.texts.descriptors import descriptor_sentences

FLAT = dataclasses.replace(METHODS["wca"], name="wca-flat", crop_scale=0.0, description_scale=0.0)
VARIANTS = {**METHODS, FLAT.name: FLAT}
SETS = ("imagenet_val650", "pets37", "grocery43", "dtd10", "pacs_photo", "pacs_sketch")
PROMPTS = {"imagenet_val650": "imagenet"}


@dataclasses.dataclass(frozen=True)
class PhotoSet:
    """Labelled photos and the descriptions that exist for their classes."""

    name: str
    classes: tuple[str, ...]
    photos: tuple[Path, ...]
    labels: tuple[str, ...]
    sentences: DescriptionSet | None
    descriptors: DescriptionSet | None


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="+", default=SETS, choices=SETS)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(VARIANTS))
    parser.add_argument("--encoder", default="builtin")
    parser.add_argument("--crops", type=int, default=60)
    parser.add_argument(
        "--side", type=float, nargs=2, help="range of the crop side (default: the method's)"
    )
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if not (options.folder / "data").is_dir():
        parser.error(f"{options.folder} has no folder 'data' with labelled photos")

    encoder = load_encoder(options.encoder)
    spec = METHODS["wca"].crops or CropSpec()
    side = tuple(options.side) if options.side else spec.side
    spec = CropSpec(count=options.crops, side=side, seed=options.seed)
    print(f"encoder {encoder.card.name} {encoder.card.revision}; {spec}\n")
    print("| set | photos | classes | method | texts | top-1 | 95 % interval | s a photo |")
    print("|---|--:|--:|---|---|--:|---|--:|")
    for name in options.sets:
        photos = read_set(options.folder, name)
        for method in options.methods:
            given = texts_for(method, photos)
            if given is None:
                continue
            classes, origin = given
            classifier = Classifier(
                classes,
                encoder=encoder,
                method=VARIANTS[method],
                crops=spec,
                bank=False,  # names alone mean templates here; benchmarks/bank.py measures the bank
            )
            classifier.prepare()
            start = time.perf_counter()
            predictions = classifier.predict(photos.photos)
            right = sum(
                prediction.label == label
                for prediction, label in zip(predictions, photos.labels, strict=True)
            )
            seconds = (time.perf_counter() - start) / len(photos.photos)
            low, high = wilson(right, len(photos.photos))
            print(
                f"| {name} | {len(photos.photos)} | {len(photos.classes)} | {method} | {origin} "
                f"| {right / len(photos.photos):.3f} | {low:.3f} to {high:.3f} | {seconds:.3f} |",
                flush=True,
            )
    return 0


def read_set(folder: Path, name: str) -> PhotoSet:
    """Read a set's classes, photos and descriptions."""
    root = folder / "data" / name
    with (root / "classes.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    classes = tuple(row["class_name"] for row in rows)
    pairs = [
        (path, row["class_name"])
        for row in rows
        for path in sorted((root / row["folder"]).glob("*.jpg"))
    ]
    prompts = folder / "prompts" / PROMPTS.get(name, name)

    def load(file: str) -> DescriptionSet | None:
        path = prompts / file
        return DescriptionSet.load(path).subset(classes) if path.is_file() else None

    return PhotoSet(
        name=name,
        classes=classes,
        photos=tuple(path for path, _ in pairs),
        labels=tuple(label for _, label in pairs),
        sentences=load("cupl.json"),
        descriptors=load("clip-d.json"),
    )


def texts_for(method: str, photos: PhotoSet) -> tuple[DescriptionSet, str] | None:
    """Choose a method's texts; None where it has none."""
    names = DescriptionSet.from_classes(photos.classes)
    kind = VARIANTS[method].texts
    if kind == "descriptors":
        return (photos.descriptors, "CLIP-D descriptors") if photos.descriptors else None
    if kind == "descriptions":
        if photos.sentences is not None:
            return photos.sentences, "CuPL sentences"
        if photos.descriptors is not None:
            made = zip(photos.classes, descriptor_sentences(photos.descriptors), strict=True)
            return DescriptionSet.from_mapping(dict(made)), "CLIP-D sentences"
        return names, "template ensemble"
    return names, {"label": "label prompt", "templates": "template ensemble"}.get(
        kind, "random words"
    )


if __name__ == "__main__":
    sys.exit(main())
