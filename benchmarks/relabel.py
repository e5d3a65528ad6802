"""What labelling costs once the pictures' embeddings are in a store.

    python benchmarks/relabel.py ../shared/data/imagenet_val650 --images 1000

Pictures are encoded into a new store, then labelled again among 100 new classes with 20
descriptions each. The image side is all that is done per picture: reading and hashing the file,
finding its embeddings, weighing and scoring them. Expected: under 2 % of the time of encoding.
Embeddings are kept with 16 bits a number; the second table says what that does to scores, beside
what half precision would do.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

from _common import Table, finish, parser, spread
from crossalign import Classifier, alignment, load_encoder
from crossalign.engine.cache.quantization import pack, unpack
from crossalign.images.examples import PHOTOS, photo_folder
from crossalign.texts.everyday import everyday_classes

WORDS = ("small", "large", "old", "new", "red", "round", "flat", "bright", "dark", "wet")


def main() -> int:
    """Print the tables."""
    options_ = parser(__doc__)
    options_.add_argument("photos", nargs="?", type=Path, help="the demo's by default")
    options_.add_argument("--images", type=int, default=1000)
    options_.add_argument("--crops", type=int, default=60)
    options_.add_argument("--rounds", type=int, default=3)
    options_.add_argument("--encoder", default="builtin")
    options = options_.parse_args()
    found = [photo_folder() / photo.file for photo in PHOTOS]
    if options.photos is not None:
        found = sorted(path for path in options.photos.rglob("*") if path.suffix == ".jpg")
        if not found:
            options_.error(f"no .jpg below {options.photos}")

    encoder = load_encoder(options.encoder)
    classes = {
        f"thing {number}": [
            f"a {WORDS[number % 10]} {WORDS[text % 10]} thing number {number} of kind {text}"
            for text in range(20)
        ]
        for number in range(100)
    }
    with tempfile.TemporaryDirectory() as folder:
        # Beyond the photos that there are, other pictures: turned, and a little darker each time.
        photos = [copy(path, number, Path(folder), len(found)) for number, path in
                  enumerate(islice(cycle(found), options.images))]  # fmt: skip
        store = Path(folder) / "store"
        first = Classifier(everyday_classes(), encoder=encoder, crops=options.crops, store=store)
        first.prepare()
        start = time.perf_counter()
        for _ in first.predict(photos):
            pass
        encoding = time.perf_counter() - start
        again, texts = [], []
        for number in range(options.rounds):
            shutil.rmtree(Path(folder) / "copy", ignore_errors=True)
            shutil.copytree(store, Path(folder) / "copy")
            second = Classifier(classes, encoder=encoder, crops=options.crops,
                                store=Path(folder) / "copy")  # fmt: skip
            start = time.perf_counter()
            second.prepare()
            texts.append(time.perf_counter() - start)
            start = time.perf_counter()
            for prediction in second.predict(photos):
                if prediction.error is not None:
                    raise RuntimeError(prediction.error)
            again.append(time.perf_counter() - start)
            del second, number
        size = sum(file.stat().st_size for file in store.iterdir())
        rounding = measure_rounding(encoder, photos[:100], options.crops)
    table = Table("relabel", f"{options.images} images, {options.crops} crops", "seconds",
                  "share of encoding")  # fmt: skip
    table.add("encode and label", f"{encoding:.1f}", "100 %")
    table.add("2,000 new texts", spread(texts), "")
    table.add("label again, image side", spread(again), f"{100 * min(again) / encoding:.2f} % to "
              f"{100 * max(again) / encoding:.2f} %")  # fmt: skip
    print(f"\nstore: {size / 1e6:.1f} MB, {size / options.images / 1e3:.0f} KB an image")
    error = Table("rounding", "embeddings kept as", "largest change of a score")
    for name, value in rounding.items():
        error.add(name, f"{value:.1e}")
    return finish(options, table, error, megabytes=round(size / 1e6, 1), images=options.images)


def copy(path: Path, number: int, folder: Path, there: int) -> Path:
    """Give a photo under a name of its own; from the second time on it is another picture."""
    target = folder / f"{number:06}{path.suffix}"
    if number < there:
        target.symlink_to(path.resolve())
    else:
        image = Image.open(path).convert("RGB").transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        ImageEnhance.Brightness(image).enhance(0.995 ** (number // there)).save(target)
    return target


def measure_rounding(encoder: object, photos: list[Path], crops: int) -> dict[str, float]:
    """Largest change of any score by two ways of keeping embeddings."""
    classifier = Classifier(everyday_classes(), encoder=encoder, crops=crops)  # type: ignore[arg-type]
    vectors = classifier.prepare().vectors
    scale = classifier.method.crop_scale
    worst = {"float16": 0.0, "16 bits and a scale": 0.0}
    for prediction in classifier.predict(photos, keep_evidence=True):
        views = prediction._evidence.views if prediction._evidence else None
        if views is None:
            continue
        half = views.astype(np.float16).astype(np.float32)
        for name, kept in (("float16", half), ("16 bits and a scale", unpack(pack(views)))):
            pooled = alignment.image_vectors(kept[0], kept[1:], scale=scale)
            change = np.abs(alignment.scores(pooled, vectors) - prediction.scores).max()
            worst[name] = max(worst[name], float(change))
    return worst


if __name__ == "__main__":
    sys.exit(main())
