"""Peak memory of a stream of images, which must not grow with their number.

    python benchmarks/memory.py                          # 1,000, 10,000 and 100,000 images
    python benchmarks/memory.py --images 1000 5000

Each count runs in a process of its own, on small pictures under different names, with a model that
does nearly nothing, so that it is the engine that is measured. The second table has the built-in
model at work on photos of 640 x 480, and what each image in work adds to the memory.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from _common import Table, finish, parser
from crossalign import Classifier, ModelCard, Preprocess

PUBLISHED_MB_AN_IMAGE = 190  # what the published code holds for each image in flight


class Blank:
    """A model of means: the engine's memory is not hidden behind a network's."""

    card = ModelCard("blank", "1", 512, 224, 77, "Apache-2.0", 0)
    preprocess = Preprocess(224)

    def encode_images(self, pixels: Any) -> Any:
        """Embed by the means of blocks."""
        rows = np.ones((len(pixels), 512), np.float32)
        rows[:, :192] += pixels.reshape(len(pixels), 8, 28, 8, 28, 3).mean((2, 4)).reshape(-1, 192)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def encode_texts(self, texts: Any) -> Any:
        """Embed at random."""
        rows = np.random.default_rng(0).normal(size=(len(texts), 512)).astype(np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def main() -> int:
    """Print the tables."""
    options_ = parser(__doc__)
    options_.add_argument("--images", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    options_.add_argument("--child", nargs=3, help="for the benchmark itself")
    options = options_.parse_args()
    if options.child:
        return child(options.child[0], int(options.child[1]), int(options.child[2]))

    growth = Table("growth", "images of 64 x 48, 4 crops, no network", "peak, MB")
    for count in options.images:
        growth.add(f"{count:,}", f"{run('blank', count, 4)[0]:.0f}")
    work = Table("work", "built-in model, 60 crops", "peak, MB", "more than before the stream, MB")
    for count in (1, 8, 64):
        peak, more = run("builtin", count, 60)
        work.add(
            f"{count} {'image' if count == 1 else 'images'} of 640 x 480",
            f"{peak:.0f}",
            f"{more:.0f}",
        )
    return finish(options, growth, work, published_mb_an_image=PUBLISHED_MB_AN_IMAGE)


def run(model: str, count: int, crops: int) -> tuple[float, float]:
    """Run one count in a process of its own."""
    command = [sys.executable, __file__, "--child", model, str(count), str(crops)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    peak, more = done.stdout.split()
    return float(peak), float(more)


def child(model: str, count: int, crops: int) -> int:
    """Label ``count`` pictures and print the peak, and what the stream added to it."""
    encoder: Any = Blank() if model == "blank" else "builtin"
    size = (64, 48) if model == "blank" else (640, 480)
    classifier = Classifier(["a", "b"], encoder=encoder, crops=crops)
    classifier.prepare()
    noise = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        original = Path(folder) / "photo.jpg"
        Image.fromarray(noise).resize(size).save(original)
        classifier(original)  # the model is loaded
        before = megabytes()

        def names() -> Iterator[Path]:
            for number in range(count):
                name = Path(folder) / f"{number}.jpg"
                os.link(original, name)
                yield name

        for prediction in classifier.predict(names()):
            Path(prediction.image).unlink()
    print(megabytes(), megabytes() - before)
    return 0


def megabytes() -> float:
    """Peak resident memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    sys.exit(main())
