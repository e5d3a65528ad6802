"""Stage by stage, and how time grows with crops, descriptions, classes and images.

    python benchmarks/growth.py                      # the demo's photos
    python benchmarks/growth.py PHOTO... --encoder builtin

The first table takes one image apart; the others change one number at a time.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from _common import Table, finish, in_turns, parser, seconds, spread
from crossalign import Classifier, CropSpec, alignment, load_encoder, load_image
from crossalign.images import crops
from crossalign.images.examples import PHOTOS, photo_folder
from crossalign.images.load import content_digest
from crossalign.texts.everyday import everyday_classes


def main() -> int:
    """Print the tables."""
    options_ = parser(__doc__)
    options_.add_argument("photos", nargs="*", type=Path)
    options_.add_argument("--encoder", default="builtin")
    options_.add_argument("--rounds", type=int, default=5)
    options = options_.parse_args()
    photos = options.photos or [photo_folder() / photo.file for photo in PHOTOS]
    encoder = load_encoder(options.encoder)
    return finish(
        options,
        stages(encoder, photos, options.rounds),
        growth(
            "crops", (1, 5, 15, 30, 60, 120), options.rounds, lambda n: classify(encoder, photos, n)
        ),
        growth("images", (1, 4, 16, 64), options.rounds, lambda n: many(encoder, photos, n)),
        growth("classes", (10, 100, 1000), options.rounds, scoring),
        growth("descriptions", (100, 400, 1600), options.rounds, lambda n: texts(encoder, n)),
    )


def stages(encoder: object, photos: list[Path], rounds: int) -> Table:
    """Take one image with 60 crops apart."""
    classifier = Classifier(everyday_classes(), encoder=encoder)  # type: ignore[arg-type]
    side, spec = classifier.prepare(), classifier.method.crops or CropSpec()
    steps = classifier.encoder.preprocess
    shares: dict[str, list[float]] = {}
    for path in photos:
        image = load_image(path)
        digest = content_digest(image)
        boxes = crops.boxes(spec, image.size, digest)
        pixels = steps.views(image, boxes)
        rows = classifier.encoder.encode_images(pixels)

        def score(rows: np.ndarray = rows) -> object:
            pooled = alignment.image_vectors(rows[0], rows[1:], scale=classifier.method.crop_scale)
            return alignment.scores(pooled, side.vectors)

        jobs: dict[str, Callable[[], object]] = {
            "read and decode": lambda path=path: load_image(path),  # type: ignore[misc]
            "hash the pixels": lambda image=image: content_digest(image),  # type: ignore[misc]
            "lay out 60 boxes": lambda image=image, digest=digest: crops.boxes(  # type: ignore[misc]
                spec, image.size, digest
            ),
            "cut 61 views": lambda image=image, boxes=boxes: steps.views(image, boxes),  # type: ignore[misc]
            "encode 61 views": lambda pixels=pixels: classifier.encoder.encode_images(pixels),  # type: ignore[misc]
            "weigh and score, 48 classes": score,
        }
        for name, times in in_turns(jobs, rounds).items():
            shares.setdefault(name, []).append(statistics.median(times))
    total = sum(statistics.median(times) for times in shares.values())
    table = Table("stages", "stage", "ms an image: median (least to most)", "share")
    for name, times in shares.items():
        share = 100 * statistics.median(times) / total
        table.add(name, spread(times, 1e-3), f"{share:.1f} %")
    return table


def growth(
    what: str, counts: tuple[int, ...], rounds: int, make: Callable[[int], Callable[[], object]]
) -> Table:
    """Time one number at several values."""
    table = Table(what, what, "ms: median (least to most)", "ms each")
    for count in counts:
        job = make(count)
        job()
        times = [seconds(job) for _ in range(rounds)]
        each = statistics.median(times) / count
        table.add(f"{count:,}", spread(times, 1e-3, 1), f"{each * 1e3:.3f}")
    return table


def classify(encoder: object, photos: list[Path], count: int) -> Callable[[], object]:
    """Label the first photo with so many crops."""
    classifier = Classifier(everyday_classes(), encoder=encoder, crops=count)  # type: ignore[arg-type]
    classifier.prepare()
    return lambda: classifier(photos[0])


def many(encoder: object, photos: list[Path], count: int) -> Callable[[], object]:
    """Label so many photos with 15 crops."""
    classifier = Classifier(everyday_classes(), encoder=encoder, crops=15)  # type: ignore[arg-type]
    classifier.prepare()
    return lambda: list(classifier.predict([photos[n % len(photos)] for n in range(count)]))


def scoring(count: int) -> Callable[[], object]:
    """Weigh 60 crops and score them against so many classes."""
    generator = np.random.default_rng(0)
    rows = alignment.unit(generator.normal(size=(61, 1664)).astype(np.float32))
    classes = alignment.unit(generator.normal(size=(count, 1664)).astype(np.float32))
    return lambda: alignment.scores(alignment.image_vectors(rows[0], rows[1:], scale=54.6), classes)


def texts(encoder: object, count: int) -> Callable[[], object]:
    """Encode so many descriptions."""
    made = [
        f"the {n % 7} shaded part of thing number {n}, seen from the side" for n in range(count)
    ]
    return lambda: encoder.encode_texts(made)  # type: ignore[attr-defined]


if __name__ == "__main__":
    sys.exit(main())
