"""How many crops the adaptive rule takes, and how often its answer is that of all crops.

    python benchmarks/adaptive.py ../shared --embeddings CACHE --json adaptive.json
    python benchmarks/adaptive.py ../shared --sets pets37 --risks 0.01 0.1

The folder is laid out as ``benchmarks/accuracy.py`` says. Every photo is encoded with two
independent draws of crops (seeds 0 and 1); their full answers agree as often as the method agrees
with itself. The rule runs on both draws, for each accepted risk, with the published weights
(``wca``) and with equal ones (``wca-flat``). ``--embeddings`` names a folder to keep the embeddings
in, so that a second run takes seconds a set. Encoding takes 0.7 s a photo: 20 minutes for all sets.

Two tables. The first: crops on average, agreement with the full answer and what the rule itself
expected it to be, agreement of the two draws, and accuracy, beside that of all crops. The second:
how often a decision before the end was not the full answer, by the risk that was stated for it.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import accuracy
from crossalign import Classifier, CropSpec, load_encoder
from crossalign.alignment.adaptive import Adaptive, CropOrder, SequentialTest, order_crops
from crossalign.encoders import Encoder
from crossalign.images.crops import shown
from crossalign.predictions import EncodedImage

METHODS = ("wca", "wca-flat")
RISKS = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
BINS = (0.0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
SEEDS = (0, 1)


@dataclasses.dataclass(frozen=True)
class Encoded:
    """A set's photos: whole image first, then the crops of each seed.

    Args:
        views: float32, shape (photos, 1 + seeds * N, D).
        boxes: int64, shape (photos, seeds * N, 4).
        sizes: Width and height, shape (photos, 2).
        labels: Class numbers, shape (photos,).
    """

    views: np.ndarray
    boxes: np.ndarray
    sizes: np.ndarray
    labels: np.ndarray


@dataclasses.dataclass(frozen=True)
class Run:
    """One photo and draw: the full answer, and what the rule knew after each number of crops.

    Args:
        label: The right class.
        full: The class that all crops choose.
        steps: Crops, risk and class after each round.
    """

    label: int
    full: int
    steps: tuple[tuple[int, float, int], ...]

    def stop(self, risk: float) -> tuple[int, float, int]:
        """Find where the rule stops."""
        return next(step for step in self.steps if step[1] <= risk)


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="+", default=accuracy.SETS, choices=accuracy.SETS)
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=METHODS)
    parser.add_argument("--encoder", default="builtin")
    parser.add_argument("--crops", type=int, default=60)
    parser.add_argument("--side", type=float, nargs=2, default=(0.5, 0.9))
    parser.add_argument("--risks", type=float, nargs="+", default=RISKS)
    parser.add_argument("--minimum", type=int, default=Adaptive().minimum)
    parser.add_argument("--step", type=int, default=Adaptive().step)
    parser.add_argument("--photos", type=int, help="at most so many of a set, evenly chosen")
    parser.add_argument("--embeddings", type=Path, help="folder to keep embeddings in")
    parser.add_argument("--json", type=Path, help="write all numbers to this file")
    options = parser.parse_args()
    if not (options.folder / "data").is_dir():
        parser.error(f"{options.folder} has no folder 'data' with labelled photos")

    encoder = load_encoder(options.encoder)
    spec = CropSpec(options.crops, tuple(options.side))
    rule = Adaptive(minimum=options.minimum, step=options.step, maximum=options.crops)
    print(f"encoder {encoder.card.name} {encoder.card.revision}; {spec}; {rule}\n")
    curves: list[dict[str, Any]] = []
    runs: dict[str, list[Run]] = {method: [] for method in options.methods}
    print("| set | weights | risk | crops | agreement | expected | seeds agree | top-1 | all |")
    print("|---|---|--:|--:|--:|--:|--:|--:|--:|")
    for name in options.sets:
        photos = accuracy.read_set(options.folder, name)
        photos = thinned(photos, options.photos)
        encoded = encode(photos, encoder, spec, options.embeddings)
        for method in options.methods:
            found = list(run(encoded, contest(photos, method, encoder, rule), encoder))
            runs[method] += found
            for risk in options.risks:
                curves.append(curve(name, method, risk, found))
                print(line(curves[-1]), flush=True)
    for method in options.methods:
        for risk in options.risks:
            curves.append(curve("all", method, risk, runs[method]))
            print(line(curves[-1]))
    print("\n| weights | stated risk | mean of it | decisions | not the full answer |")
    print("|---|---|--:|--:|--:|")
    calibration = [row for method in options.methods for row in calibrate(method, runs[method])]
    for row in calibration:
        low, high = row["risk"]
        print(
            f"| {row['weights']} | {low:g} to {high:g} | {row['stated']:.4f} | {row['decisions']} "
            f"| {row['changed']:.4f} |"
        )
    if options.json:
        result = {"rule": dataclasses.asdict(rule), "curves": curves, "calibration": calibration}
        options.json.write_text(json.dumps(result, indent=1), encoding="utf-8")
    return 0


def thinned(photos: accuracy.PhotoSet, most: int | None) -> accuracy.PhotoSet:
    """Keep every so many photos of a set."""
    step = 1 if most is None else max(1, math.ceil(len(photos.photos) / most))
    return dataclasses.replace(photos, photos=photos.photos[::step], labels=photos.labels[::step])


def encode(
    photos: accuracy.PhotoSet, encoder: Encoder, spec: CropSpec, folder: Path | None
) -> Encoded:
    """Encode a set's photos, or read them where that was done before."""
    known = [encoder.card.name, encoder.card.revision, repr(spec), *map(str, photos.photos)]
    numbers = {label: number for number, label in enumerate(photos.classes)}
    labels = np.array([numbers[label] for label in photos.labels])
    stem = folder / photos.name if folder else None
    if stem and stem.with_suffix(".npz").is_file():
        with np.load(stem.with_suffix(".npz")) as saved:
            if saved["known"].tolist() == known:
                views = np.load(stem.with_suffix(".npy"), mmap_mode="r")
                return Encoded(views, saved["boxes"], saved["sizes"], labels)
    draws = [drawn(photos.photos, encoder, spec, seed) for seed in SEEDS]
    each = list(zip(*draws, strict=True))
    views = np.stack([np.concatenate([a.views, b.views[1:]]) for a, b in each])
    places = np.stack([np.concatenate([a.boxes, b.boxes]) for a, b in each])
    sizes = np.array([one.size for one in draws[0]])
    if folder and stem:
        folder.mkdir(parents=True, exist_ok=True)
        np.save(stem.with_suffix(".npy"), views)
        np.savez(stem.with_suffix(".npz"), known=known, boxes=places, sizes=sizes)
    return Encoded(views, places, sizes, labels)


def drawn(photos: list[Path], encoder: Encoder, spec: CropSpec, seed: int) -> list[EncodedImage]:
    """Encode photos with the crops of one seed."""
    crops = dataclasses.replace(spec, seed=seed)
    classifier = Classifier(["anything"], encoder=encoder, crops=crops, workers=2)
    found = [one._evidence for one in classifier.predict(photos, keep_evidence=True)]
    unread = [str(path) for path, one in zip(photos, found, strict=True) if one is None]
    if unread:
        raise SystemExit(f"photos that cannot be read: {', '.join(unread)}")
    return [one for one in found if one is not None]


def contest(
    photos: accuracy.PhotoSet, method: str, encoder: Encoder, rule: Adaptive
) -> SequentialTest:
    """Encode a set's classes; the rule stops late, so that every risk can be looked up."""
    given = accuracy.texts_for(method, photos)
    if given is None:
        raise SystemExit(f"{photos.name} has no texts for {method}")
    variant = accuracy.VARIANTS[method]
    classes = Classifier(given[0], encoder=encoder, method=variant).prepare().vectors
    return SequentialTest(classes, variant.crop_scale, dataclasses.replace(rule, risk=1e-6))


def run(encoded: Encoded, classes: SequentialTest, encoder: Encoder) -> Iterator[Run]:
    """Let the rule watch every photo and draw to its end."""
    count = classes.rule.maximum
    for views, places, size, label in zip(
        encoded.views, encoded.boxes, encoded.sizes, encoded.labels, strict=True
    ):
        part = shown((int(size[0]), int(size[1])), encoder.preprocess.fit)
        for first in range(0, len(places), count):
            crops = np.array(views[1 + first : 1 + first + count])
            order = order_crops(places[first : first + count], part, classes.scale)
            yield watch(classes, np.array(views[0]), crops, order, int(label))


def watch(
    classes: SequentialTest, image: np.ndarray, crops: np.ndarray, order: CropOrder, label: int
) -> Run:
    """Note what the rule knows after each round."""
    trial = classes.start(image, order)
    steps = []
    while not trial.settled:
        trial.add(crops[trial.wanted])
        steps.append((trial.taken, trial.risk, trial.leader))
    if trial.taken < len(crops):
        trial.add(crops[order.indices[trial.taken :]])
        steps.append((trial.taken, trial.risk, trial.leader))
    return Run(label, trial.leader, tuple(steps))


def curve(name: str, method: str, risk: float, runs: list[Run]) -> dict[str, Any]:
    """One line of the first table."""
    stops = [one.stop(risk) for one in runs]
    full, right = np.array([one.full for one in runs]), np.array([one.label for one in runs])
    taken, risks, chosen = (np.array(column) for column in zip(*stops, strict=True))
    return {
        "set": name,
        "weights": method,
        "risk": risk,
        "runs": len(runs),
        "crops": float(taken.mean()),
        "agreement": float((chosen == full).mean()),
        "expected": float(1 - risks.mean()),
        "seeds_agree": float((full[::2] == full[1::2]).mean()),
        "accuracy": float((chosen == right).mean()),
        "full_accuracy": float((full == right).mean()),
    }


def line(row: dict[str, Any]) -> str:
    """Write a line of the first table."""
    shares = ("agreement", "expected", "seeds_agree", "accuracy", "full_accuracy")
    cells = [row["set"], row["weights"], f"{row['risk']:g}", f"{row['crops']:.1f}"]
    return "| " + " | ".join([*cells, *(f"{row[share]:.4f}" for share in shares)]) + " |"


def calibrate(method: str, runs: list[Run]) -> Iterator[dict[str, Any]]:
    """The second table: stated risk against what happened, over all unfinished rounds."""
    pairs = [(risk, leader != one.full) for one in runs for _, risk, leader in one.steps[:-1]]
    stated, changed = (np.array(column, float) for column in zip(*pairs, strict=True))
    for low, high in itertools.pairwise(BINS):
        inside = (stated >= low) & ((stated < high) | (high == BINS[-1]))
        if inside.any():
            yield {
                "weights": method,
                "risk": (low, high),
                "stated": float(stated[inside].mean()),
                "decisions": int(inside.sum()),
                "changed": float(changed[inside].mean()),
            }


if __name__ == "__main__":
    sys.exit(main())
