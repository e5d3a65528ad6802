"""What labelling costs an image, and what a billion images would take.

    python benchmarks/labelling.py [--photos DIR] [--model builtin] [--method wca] [--count 200]
    python benchmarks/labelling.py --seconds 0.14 --plan-only

Labels photos as ``crossalign label`` does, with a store, then once more from the store. Prints the
seconds an image on all processors of this machine, the share that is not the encoder's, and the
bytes an image of table, job file and store; then what that makes for a number of images.
"""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
import tempfile
import time
from pathlib import Path

from crossalign import Classifier, load_image
from crossalign.demo import PHOTOS, everyday_classes, photo_folder
from crossalign.images import IMAGE_ENDINGS
from crossalign.labeling import job_path, open_source, run_job


def main() -> None:
    """Measure and plan."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--photos", type=Path, help="a folder; the demo's photos by default")
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--method", default="wca")
    parser.add_argument("--crops", type=int, default=60)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--images", type=float, default=1e9, help="images to plan for")
    parser.add_argument("--seconds", type=float, help="seconds an image, in place of measuring")
    parser.add_argument("--price", type=float, default=0.04, help="of a processor's hour")
    parser.add_argument("--plan-only", action="store_true")
    options = parser.parse_args()
    seconds = options.seconds
    if not options.plan_only:
        seconds = measure(options)
    plan(seconds, options.images, os.cpu_count() or 1, options.price)


def measure(options: argparse.Namespace) -> float:
    """Label photos; give the seconds an image."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copies(options.photos, folder / "photos", options.count)
        seconds = [run(folder, options, "first.csv")]
        seconds.append(run(folder, options, "again.csv"))
        sizes = {
            "table": folder / "first.csv",
            "job file": job_path(folder / "first.csv"),
        }
        print(f"{options.count} photos, {options.model}, {options.method}")
        print(f"seconds an image: {seconds[0]:.4f}; from the store {seconds[1]:.4f}")
        for what, path in sizes.items():
            print(f"bytes an image, {what}: {path.stat().st_size / options.count:.0f}")
        store = sum(path.stat().st_size for path in (folder / "store").iterdir())
        print(f"bytes an image, store: {store / options.count:.0f}")
    return seconds[0]


def copies(source: Path | None, target: Path, count: int) -> None:
    """Different pictures, as many as wished: each copy is a column of pixels narrower."""
    target.mkdir()
    found = [photo_folder() / photo.file for photo in PHOTOS]
    if source is not None:
        found = [path for path in sorted(source.rglob("*")) if path.suffix.lower() in IMAGE_ENDINGS]
    for number, path in enumerate(itertools.islice(itertools.cycle(found), count)):
        if number < len(found):
            shutil.copy(path, target / f"{number:06}{path.suffix}")
            continue
        image = load_image(path)
        width = image.width - number // len(found)
        image.crop((0, 0, width, image.height)).save(target / f"{number:06}.jpg", quality=90)


def run(folder: Path, options: argparse.Namespace, out: str) -> float:
    """Label once; seconds an image."""
    classifier = Classifier(
        everyday_classes(),
        encoder=options.model,
        method=options.method,
        crops=options.crops,
        store=folder / "store",
    )
    classifier.prepare()
    start = time.perf_counter()
    run_job(open_source(folder / "photos"), folder / out, classifier)
    return (time.perf_counter() - start) / options.count


def plan(seconds: float, images: float, cpus: int, price: float) -> None:
    """Say what a number of images takes, were every machine like this one."""
    hours = seconds * images / 3600
    print(f"\n{images:.3g} images at {seconds:.4f} s on a machine of {cpus} processors:")
    print(f"  {hours:,.0f} machine-hours, {hours * cpus:,.0f} processor-hours")
    for machines in (100, 1000):
        print(f"  {machines:,} such machines: {hours / machines / 24:,.1f} days")
    print(f"  at {price} a processor-hour: {hours * cpus * price:,.0f}")


if __name__ == "__main__":
    main()
