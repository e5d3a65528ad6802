"""What labelling costs an image, and what a billion images would take.

    python benchmarks/labelling.py [--photos DIR] [--model builtin] [--method wca] [--count 200]
    python benchmarks/labelling.py --model vit --dtype int8 --count 30
    python benchmarks/labelling.py --plan-only --seconds 0.14

Labels photos as ``crossalign label`` does, with a store, then once more from the store, and once
more with another threshold from the scores in the job file. Prints the seconds an image on all
processors of this machine and the bytes an image of table, job file and store, beyond what they
take without any image; then what that makes for a number of images. ``--model vit`` is a CLIP of
the shape of ViT-B/32 with random weights, which takes as long as a trained one; it is made on the
spot as by ``benchmarks/encoders.py`` and needs the extras transformers and export.
"""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
import tempfile
import time
from pathlib import Path

from crossalign import Classifier, load_encoder, load_image
from crossalign.encoders import Encoder
from crossalign.engine.cache.store import Store
from crossalign.images.examples import PHOTOS, photo_folder
from crossalign.images.load import IMAGE_ENDINGS
from crossalign.labeling import Decisions, JobFile, job_path, open_source, run_job
from crossalign.methods import get_method
from crossalign.texts.everyday import everyday_classes


def main() -> None:
    """Measure and plan."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--photos", type=Path, help="a folder; the demo's photos by default")
    parser.add_argument("--model", default="builtin", help="an encoder's name, or vit")
    parser.add_argument("--engine", help="of an onnx: encoder, onnxruntime or openvino")
    parser.add_argument("--dtype", help="the encoder's precision")
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
        with tempfile.TemporaryDirectory() as name:
            seconds = measure(Path(name), options)
    plan(seconds, options.images, os.cpu_count() or 1, options.price)


def measure(folder: Path, options: argparse.Namespace) -> float:
    """Label photos; give the seconds an image."""
    copies(options.photos, folder / "photos", options.count)
    encoder = encoder_of(folder, options)
    with Store(folder / "store") as store:
        classifier_of(encoder, options, store).prepare()
    with JobFile(folder / "empty.job"):
        pass
    before = size(folder / "store")
    first = label(folder, encoder, options, "first.csv")
    views = 1 + (options.crops if get_method(options.method).crops else 0)
    sizes = {
        "table": size(folder / "first.csv"),
        "job file": size(job_path(folder / "first.csv")) - size(folder / "empty.job"),
        "store": size(folder / "store") - before,
    }
    again = label(folder, encoder, options, "again.csv")
    decided = label(folder, encoder, options, "again.csv", Decisions(threshold=0.1))
    print(f"{options.count} photos, {encoder.card.name}, {options.method}, {views} views")
    print(f"seconds an image: {first:.4f}; from the store {again:.4f}; decided anew {decided:.5f}")
    for what, total in sizes.items():
        print(f"bytes an image, {what}: {total / options.count:.0f}")
    print(f"bytes a view, store: {sizes['store'] / options.count / views:.0f}")
    return first


def encoder_of(folder: Path, options: argparse.Namespace) -> Encoder:
    """Load the encoder, or make one first."""
    name = options.model
    if name == "vit":
        from encoders import prepare

        texts = [text for group in everyday_classes().texts for text in group]
        _, places = prepare(folder, texts, False)
        name = places["int8" if options.dtype == "int8" else "fp32"]
    wanted = {"engine": options.engine, "dtype": options.dtype}
    return load_encoder(name, **{key: value for key, value in wanted.items() if value})


def classifier_of(encoder: Encoder, options: argparse.Namespace, store: Store) -> Classifier:
    """Make a classifier of everyday things."""
    return Classifier(
        everyday_classes(),
        encoder=encoder,
        method=options.method,
        crops=options.crops if get_method(options.method).crops else None,
        store=store,
    )


def size(path: Path) -> int:
    """Bytes of a file, or of all files of a folder."""
    return sum(one.stat().st_size for one in (path.iterdir() if path.is_dir() else [path]))


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


def label(
    folder: Path,
    encoder: Encoder,
    options: argparse.Namespace,
    out: str,
    decisions: Decisions | None = None,
) -> float:
    """Label once; seconds an image."""
    with Store(folder / "store") as store:
        classifier = classifier_of(encoder, options, store)
        classifier.prepare()
        start = time.perf_counter()
        run_job(open_source(folder / "photos"), folder / out, classifier, decisions)
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
