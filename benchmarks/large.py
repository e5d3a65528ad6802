"""Memory that large pictures take, which must not grow with their number.

    python benchmarks/large.py                  # a minute
    python benchmarks/large.py --images 1 50

Each row is a process of its own, with a model that does nearly nothing, 4 crops and two threads.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from _common import Table, finish, parser
from crossalign import Classifier
from memory import Blank, megabytes

# What is photographed, and what is stitched or scanned.
PICTURES = {
    "12 megapixels, JPEG": (4000, 3000, "jpg"),
    "36 megapixels, PNG": (6000, 6000, "png"),
    "63 megapixels, PNG": (9000, 7000, "png"),
}


def main() -> int:
    """Print the table."""
    options_ = parser(__doc__)
    options_.add_argument("--images", type=int, nargs="+", default=[1, 4, 16])
    options_.add_argument("--make", nargs=3, help="for the benchmark itself")
    options_.add_argument("--child", nargs=2, help="for the benchmark itself")
    options = options_.parse_args()
    if options.make:
        return make(Path(options.make[0]), int(options.make[1]), int(options.make[2]))
    if options.child:
        return child(options.child[0], int(options.child[1]))

    columns = [f"{count} {'image' if count == 1 else 'images'}, MB" for count in options.images]
    table = Table("large", "added to the memory", *columns)
    with tempfile.TemporaryDirectory() as folder:
        for name, (width, height, ending) in PICTURES.items():
            path = Path(folder) / f"{width}.{ending}"
            # In other processes: a new one may begin with the peak of the one that started it.
            run("--make", path, width, height)
            table.add(name, *(f"{float(run('--child', path, n)):.0f}" for n in options.images))
    return finish(options, table)


def run(*arguments: object) -> str:
    """Run this file once more."""
    command = [sys.executable, __file__, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def make(path: Path, width: int, height: int) -> int:
    """Write a picture."""
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((width, height)).save(path, quality=90, compress_level=1)
    return 0


def child(path: str, count: int) -> int:
    """Label a picture ``count`` times and print what that added to the peak."""
    classifier = Classifier(["a", "b"], encoder=Blank(), crops=4, workers=2, bank=False)
    list(classifier.predict([Image.new("RGB", (64, 48))] * 8))
    before = megabytes()
    for prediction in classifier.predict([path] * count):
        if prediction.error is not None:
            raise RuntimeError(prediction.error)
    print(megabytes() - before)
    return 0


if __name__ == "__main__":
    sys.exit(main())
