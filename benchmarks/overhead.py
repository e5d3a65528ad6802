"""What classifying a photo costs beside the encoder's own time for the same views.

    python benchmarks/overhead.py                      # the demo's photos
    python benchmarks/overhead.py PHOTO... --crops 60

Both are timed in turns in one run, so that a machine that slows down slows both. Expected: a ratio
of at most 1.3 with 60 crops on photos of everyday size.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable
from pathlib import Path

from _common import Table, finish, parser, seconds
from crossalign import Classifier, CropSpec, load_encoder, load_image
from crossalign.images.crops import boxes
from crossalign.images.examples import PHOTOS, photo_folder
from crossalign.images.load import content_digest
from crossalign.texts.everyday import everyday_classes


def main() -> int:
    """Print a line for each photo."""
    options_ = parser(__doc__)
    options_.add_argument("photos", nargs="*", type=Path)
    options_.add_argument("--encoder", default="builtin")
    options_.add_argument("--crops", type=int, default=60)
    options_.add_argument("--rounds", type=int, default=7)
    options = options_.parse_args()
    photos = options.photos or [photo_folder() / photo.file for photo in PHOTOS]

    encoder = load_encoder(options.encoder)
    spec = CropSpec(count=options.crops)
    classifier = Classifier(everyday_classes(), encoder=encoder, crops=spec)
    classifier.prepare()
    print(f"encoder {encoder.card.name}, {1 + spec.count} views a photo, {options.rounds} rounds")
    table = Table(
        "overhead", "photo", "pixels", "decode and cut, ms", "encoder alone, ms", "classify, ms",
        "ratio",
    )  # fmt: skip
    ratios = []
    for path in photos:
        image = load_image(path)
        views = encoder.preprocess.views(image, boxes(spec, image.size, content_digest(image)))

        def prepare(path: Path = path) -> object:
            opened = load_image(path)
            chosen = boxes(spec, opened.size, content_digest(opened))
            return encoder.preprocess.views(opened, chosen)

        jobs: list[Callable[[], object]] = [
            prepare,
            lambda views=views: encoder.encode_images(views),  # type: ignore[misc]
            lambda path=path: classifier(path),  # type: ignore[misc]
        ]
        for job in jobs:
            job()
        rounds = [[seconds(job) for job in jobs] for _ in range(options.rounds)]
        cut, alone, whole = (
            statistics.median(column) * 1e3 for column in zip(*rounds, strict=True)
        )
        ratio = statistics.median(whole / alone for _, alone, whole in rounds)
        ratios.append(ratio)
        size = f"{image.width} x {image.height}"
        table.add(path.name, size, f"{cut:.0f}", f"{alone:.0f}", f"{whole:.0f}", f"{ratio:.2f}")
    print(f"\nmedian ratio {statistics.median(ratios):.2f}, largest {max(ratios):.2f}")
    middle, most = f"{statistics.median(ratios):.2f}", f"{max(ratios):.2f}"
    return finish(options, table, median_ratio=middle, largest_ratio=most)


if __name__ == "__main__":
    sys.exit(main())
