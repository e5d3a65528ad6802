"""What refining descriptions does to top-1 accuracy, on the same photos before and after.

    python benchmarks/refinement.py ../shared                       # built-in model: 15 minutes
    python benchmarks/refinement.py ../shared --sets dtd10 --crops 4

The folder is laid out as for ``benchmarks/accuracy.py``. Every photo is embedded once, whole and in
a few crops; the refinements change the texts alone, so each row compares the same photos with other
texts: how many became right, how many became wrong, the exact McNemar test of these, and a paired
bootstrap interval of the difference in accuracy.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from accuracy import SETS, PhotoSet, read_set, texts_for
from crossalign import METHODS, CropSpec, DescriptionSet, Encoder, alignment, load_encoder
from crossalign.images import crops
from crossalign.images.load import content_digest, load_image
from crossalign.texts.filtering import by_cosine, by_coverage, by_usefulness, encode_descriptions

Refine = Callable[[DescriptionSet, Encoder], DescriptionSet]
REFINEMENTS: dict[str, Refine] = {
    "cosine 0.99": lambda texts, encoder: by_cosine(texts, encoder).kept,
    "cosine 0.95": lambda texts, encoder: by_cosine(texts, encoder, threshold=0.95).kept,
    "usefulness 0": lambda texts, encoder: by_usefulness(texts, encoder).kept,
    "usefulness 0.05": lambda texts, encoder: by_usefulness(texts, encoder, margin=0.05).kept,
    "coverage 10": lambda texts, encoder: by_coverage(texts, encoder, keep=10).kept,
    "coverage 3": lambda texts, encoder: by_coverage(texts, encoder, keep=3).kept,
}
RESAMPLES = 10_000


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--sets", nargs="+", default=("imagenet_val650", "pets37", "dtd10"), choices=SETS
    )
    parser.add_argument("--encoder", default="builtin")
    parser.add_argument("--crops", type=int, default=8, help="of a photo, for wca")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if not (options.folder / "data").is_dir():
        parser.error(f"{options.folder} has no folder 'data' with labelled photos")
    encoder = load_encoder(options.encoder)
    spec = CropSpec(count=options.crops, seed=options.seed)
    print(f"encoder {encoder.card.name} {encoder.card.revision}; {spec}\n")
    print(
        "| set | texts | method | refinement | kept | top-1 | difference | 95 % interval ", end=""
    )
    print("| became right | wrong | McNemar p |")
    print("|---|---|---|---|--:|--:|--:|---|--:|--:|--:|")
    for name in options.sets:
        photos = read_set(options.folder, name)
        texts, origin = texts_for("cupl", photos) or (None, "")
        if texts is None or not texts.has_descriptions:
            print(f"| {name} | none | | | | | | | | | |")
            continue
        wholes, pooled = embed(photos, encoder, spec)
        truth = np.array([texts.index(label) for label in photos.labels])
        total = sum(map(len, texts.texts))
        before = right(texts, encoder, wholes, pooled, truth)
        for method, hits in before.items():
            print(f"| {name} | {origin} | {method} | none | 1.00 | {hits.mean():.3f} | | | | | |")
        for title, refine in REFINEMENTS.items():
            kept = refine(texts, encoder)
            share = sum(map(len, kept.texts)) / total
            for method, hits in right(kept, encoder, wholes, pooled, truth).items():
                row = compare(before[method], hits)
                print(
                    f"| {name} | {origin} | {method} | {title} | {share:.2f} | {hits.mean():.3f} "
                    f"| {row}",
                    flush=True,
                )
    return 0


def embed(photos: PhotoSet, encoder: Encoder, spec: CropSpec) -> tuple[np.ndarray, np.ndarray]:
    """Embed every photo once: whole, and pooled over its crops as WCA does."""
    wholes, pooled = [], []
    scale = METHODS["wca"].crop_scale
    for path in photos.photos:
        image = load_image(path)
        boxes = crops.boxes(spec, image.size, content_digest(image))
        rows = encoder.encode_images(encoder.preprocess.views(image, boxes))
        wholes.append(rows[0])
        pooled.append(alignment.image_vectors(rows[0], rows[1:], scale=scale))
    return np.array(wholes), np.array(pooled)


def right(
    texts: DescriptionSet,
    encoder: Encoder,
    wholes: np.ndarray,
    pooled: np.ndarray,
    truth: np.ndarray,
) -> dict[str, np.ndarray]:
    """Tell for each photo whether it gets its label, by two methods."""
    encoded = encode_descriptions(texts, encoder)
    offsets = np.cumsum([0, *map(len, texts.texts)])
    hits = {}
    for name, images in (("cupl", wholes), ("wca", pooled)):
        vectors = alignment.class_vectors(
            encoded.labels, encoded.texts, offsets, scale=METHODS[name].description_scale
        )
        hits[name] = (images @ vectors.T).argmax(axis=1) == truth
    return hits


def compare(before: np.ndarray, after: np.ndarray) -> str:
    """Compare the same photos before and after, as the end of a row."""
    gained, lost = int(np.sum(after & ~before)), int(np.sum(before & ~after))
    difference = after.astype(float) - before
    draws = np.random.default_rng(0).integers(0, len(before), (RESAMPLES, len(before)))
    low, high = np.quantile(difference[draws].mean(axis=1), (0.025, 0.975))
    return (
        f"{difference.mean():+.3f} | {low:+.3f} to {high:+.3f} | {gained} | {lost} "
        f"| {mcnemar(gained, lost):.3f} |"
    )


def mcnemar(gained: int, lost: int) -> float:
    """Exact two-sided McNemar test: chance of so uneven a split of the photos that changed."""
    changed = gained + lost
    tail = sum(math.comb(changed, k) for k in range(min(gained, lost) + 1)) / 2**changed
    return min(1.0, 2.0 * tail)


if __name__ == "__main__":
    sys.exit(main())
