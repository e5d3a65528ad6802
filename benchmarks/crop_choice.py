"""Does it matter how the crops are laid out? Spread of the scores over seeds, at equal counts.

    python benchmarks/crop_choice.py ../shared --json crop_choice.json         # 20 minutes
    python benchmarks/crop_choice.py ../shared --sets pets37 --photos 20 --seeds 4

The folder is laid out as ``benchmarks/accuracy.py`` says. Some photos of every set are cut under
several seeds with each kind of layout. The table gives, for the published weights (``wca``) and for
equal ones (``wca-flat``), the variance over seeds of the margin between the two leading classes
and of all scores, as ratios to those of plain random crops, with a 95 % interval from resampling
the photos; how often two seeds agree; and how often the answer is that of many crops.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from pathlib import Path
from typing import Any, get_args

import numpy as np

import accuracy
from adaptive import drawn, thinned
from crossalign import Classifier, CropSpec, alignment, load_encoder
from crossalign.encoders import Encoder
from crossalign.images.crops import Kind

METHODS = ("wca", "wca-flat")
SETS = ("imagenet_val650", "pets37", "dtd10", "pacs_photo")
KINDS = [kind for kind in get_args(Kind) if kind != "grid"]


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="+", default=SETS, choices=accuracy.SETS)
    parser.add_argument("--kinds", nargs="+", default=KINDS, choices=KINDS)
    parser.add_argument("--encoder", default="builtin")
    parser.add_argument("--photos", type=int, default=25, help="of each set")
    parser.add_argument("--crops", type=int, default=16)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--side", type=float, nargs=2, default=(0.5, 0.9))
    parser.add_argument("--many", type=int, default=120, help="crops of the answer compared with")
    parser.add_argument("--json", type=Path, help="write all numbers to this file")
    options = parser.parse_args()
    if not (options.folder / "data").is_dir():
        parser.error(f"{options.folder} has no folder 'data' with labelled photos")

    encoder = load_encoder(options.encoder)
    side = tuple(options.side)
    kinds = ["random", *(kind for kind in options.kinds if kind != "random")]
    measured: dict[tuple[str, str], list[dict[str, np.ndarray]]] = {}
    for name in options.sets:
        photos = thinned(accuracy.read_set(options.folder, name), options.photos)
        # Seeds beyond those compared, so that no crop stands on both sides.
        many = views(photos, encoder, CropSpec(options.many, side), (options.seeds,))
        for kind in kinds:
            spec = CropSpec(options.crops, side, kind=kind)
            few = views(photos, encoder, spec, tuple(range(options.seeds)))
            for method in METHODS:
                full = scores(photos, encoder, method, many)
                drawn = scores(photos, encoder, method, few)
                measured.setdefault((method, kind), []).append(spread(drawn, full[:, 0]))
    rows = [
        row(method, kind, joined(measured[method, kind]), joined(measured[method, "random"]))
        for method in METHODS
        for kind in kinds
    ]
    print(f"encoder {encoder.card.name}; {options.crops} crops, {options.seeds} seeds\n")
    print("| weights | kind | margin's variance | 95 % interval | scores' variance | seeds agree |"
          f" as {options.many} crops |")  # fmt: skip
    print("|---|---|--:|---|--:|--:|--:|")
    for one in rows:
        low, high = one["interval"]
        print(
            f"| {one['weights']} | {one['kind']} | {one['margin']:.2f} | {low:.2f} to {high:.2f} "
            f"| {one['scores']:.2f} | {one['seeds_agree']:.4f} | {one['as_many']:.4f} |"
        )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return 0


def views(
    photos: accuracy.PhotoSet, encoder: Encoder, spec: CropSpec, seeds: tuple[int, ...]
) -> np.ndarray:
    """Encode a set's photos under several seeds: shape (photos, seeds, 1 + N, D)."""
    draws = [
        np.stack([one.views for one in drawn(photos.photos, encoder, spec, seed)]) for seed in seeds
    ]
    return np.stack(draws, axis=1)


def scores(
    photos: accuracy.PhotoSet, encoder: Encoder, method: str, encoded: np.ndarray
) -> np.ndarray:
    """Score every photo under every seed: shape (photos, seeds, C)."""
    given = accuracy.texts_for(method, photos)
    if given is None:
        raise SystemExit(f"{photos.name} has no texts for {method}")
    variant = accuracy.VARIANTS[method]
    classes = Classifier(given[0], encoder=encoder, method=variant).prepare().vectors
    vectors = alignment.image_vectors(
        encoded[:, :, 0], encoded[:, :, 1:], scale=variant.crop_scale, form=variant.form
    )
    return np.asarray(alignment.scores(vectors, classes))


def spread(drawn: np.ndarray, full: np.ndarray) -> dict[str, np.ndarray]:
    """What changes over seeds, one number a photo: drawn (photos, seeds, C), full (photos, C)."""
    leading = np.argsort(-full, axis=1)[:, None, :2]
    first, second = np.moveaxis(np.take_along_axis(drawn, leading, axis=2), 2, 0)
    chosen = drawn.argmax(axis=2)
    pairs = itertools.combinations(range(chosen.shape[1]), 2)
    return {
        "margin": (first - second).var(axis=1, ddof=1),
        "scores": drawn.var(axis=1, ddof=1).mean(axis=1),
        "seeds_agree": np.mean([chosen[:, a] == chosen[:, b] for a, b in pairs], axis=0),
        "as_many": (chosen == leading[:, :, 0]).mean(axis=1),
    }


def joined(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Put the photos of all sets together."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def row(
    method: str, kind: str, found: dict[str, np.ndarray], plain: dict[str, np.ndarray]
) -> dict[str, Any]:
    """One line of the table."""
    again = np.random.default_rng(0).integers(0, len(plain["margin"]), (2000, len(plain["margin"])))
    ratios = found["margin"][again].sum(axis=1) / plain["margin"][again].sum(axis=1)
    return {
        "weights": method,
        "kind": kind,
        "margin": float(found["margin"].sum() / plain["margin"].sum()),
        "interval": [float(edge) for edge in np.quantile(ratios, (0.025, 0.975))],
        "scores": float(found["scores"].sum() / plain["scores"].sum()),
        "seeds_agree": float(found["seeds_agree"].mean()),
        "as_many": float(found["as_many"].mean()),
    }


if __name__ == "__main__":
    sys.exit(main())
