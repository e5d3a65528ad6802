"""The engine behind ``predict``: full batches, little look-ahead, and nothing left behind."""

from __future__ import annotations

import gc
import itertools
import math
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image

from crossalign import Classifier, CropError, ImageError, load_image
from crossalign.encoders import ModelCard, Preprocess
from crossalign.engine.stream import PIXEL_BYTES_PER_WORKER, all_views, encode_stream
from crossalign.engine.views import Views
from crossalign.predictions import EncodedImage

Cut = Callable[[int, int], np.ndarray]


class Ramp:
    """Embeds a view as its first pixel, so that each row can be traced to its image and crop."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.callers: set[str] = set()
        self.card = ModelCard("ramp", "1", 2, 4, 1, "MIT", 0)
        self.preprocess = Preprocess(4)

    def encode_images(self, pixels: np.ndarray) -> np.ndarray:
        self.batches.append(len(pixels))
        self.callers.add(threading.current_thread().name)
        return pixels[:, 0, 0, :2].astype(np.float32)

    def encode_texts(self, texts: Any) -> np.ndarray:
        raise NotImplementedError


def prepare(source: Any, views: int = 5) -> tuple[Views, Cut]:
    """Lay out ``views`` views of number ``source``; an exception in its place is raised."""
    if isinstance(source, BaseException):
        raise source
    pixels = np.zeros((views, 4, 4, 3), np.uint8)
    pixels[:, :, :, 0] = source
    pixels[:, :, :, 1] = np.arange(views)[:, None, None]
    boxes = np.zeros((views - 1, 4), np.int64)
    return Views((4, 4), b"", boxes), lambda start, stop: pixels[start:stop]


class Pixels:
    """Stands in for a decoded picture, of which it holds what cuts it."""

    made: ClassVar[list[Pixels]] = []

    def __init__(self, cut: Cut, size: int = 0) -> None:
        self._cut = cut
        self.bytes = size
        self.cuts_left: int | None = None
        self.made.append(self)

    def last(self, cuts: int) -> None:
        self.cuts_left = cuts

    def cut(self, places: np.ndarray, boxes: np.ndarray, preprocess: Preprocess) -> np.ndarray:
        views = np.concatenate([self._cut(place, place + 1) for place in places.tolist()])
        if self.cuts_left is not None:
            self.cuts_left -= 1
        return views


class Maker:
    """Stands in for what opens images."""

    store = None

    def __init__(self, encoder: Ramp, make: Any, size: int) -> None:
        self.encoder = encoder
        self._make = make
        self._size = size

    def look(self, source: Any) -> tuple[None, int]:
        return None, self._size

    def __call__(self, source: Any, data: None) -> tuple[Views, Any]:
        views, cut = self._make(source)
        return views, Pixels(cut, self._size)


def run(
    sources: Any,
    encoder: Ramp,
    batch_size: int = 4,
    workers: int = 2,
    make: Any = prepare,
    plan: Any = all_views,
    size: int = 0,
) -> Iterator[EncodedImage]:
    opener: Any = Maker(encoder, make, size)
    return encode_stream(sources, opener, plan, batch_size=batch_size, workers=workers)


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("crossalign")]


@pytest.fixture(autouse=True)
def _no_thread_stays() -> Iterator[None]:
    yield
    assert threads() == []


def assert_embedded(encoded: EncodedImage, number: int, views: int) -> None:
    assert encoded.error is None
    assert encoded.source == number
    assert encoded.views.dtype == np.float32
    assert encoded.views.tolist() == [[number, view] for view in range(views)]


# --------------------------------------------------------------------------------------- batches


@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.parametrize("batch_size", [1, 3, 5, 7, 32, 1000])
@pytest.mark.parametrize("views", [1, 5])
def test_batches_are_full_across_images(batch_size: int, workers: int, views: int) -> None:
    encoder = Ramp()
    images = 23
    results = list(
        run(range(images), encoder, batch_size, workers, lambda source: prepare(source, views))
    )
    for number, encoded in enumerate(results):
        assert_embedded(encoded, number, views)
    assert len(results) == images
    full, rest = divmod(images * views, batch_size)
    assert encoder.batches == [batch_size] * full + [rest] * (rest > 0)


def test_images_of_different_sizes_share_batches() -> None:
    encoder = Ramp()
    counts = [1, 9, 2, 30, 1, 1, 4]
    results = list(run(range(7), encoder, 8, 2, lambda source: prepare(source, counts[source])))
    for number, encoded in enumerate(results):
        assert_embedded(encoded, number, counts[number])
    assert encoder.batches == [8] * 6


def test_the_encoder_runs_in_the_callers_thread_and_preparation_in_others() -> None:
    encoder = Ramp()
    seen: set[str] = set()

    def watched(source: int) -> tuple[Views, Cut]:
        seen.add(threading.current_thread().name)
        return prepare(source)

    list(run(range(8), encoder, make=watched))
    assert encoder.callers == {threading.current_thread().name}
    assert all(name.startswith("crossalign") for name in seen)


def test_workers_prepare_at_the_same_time() -> None:
    together = threading.Barrier(3, timeout=10)  # broken, and so raising, unless three meet there

    def meet(source: int) -> tuple[Views, Cut]:
        together.wait()
        return prepare(source)

    assert len(list(run(range(6), Ramp(), workers=3, make=meet))) == 6


def test_slow_images_do_not_change_the_order() -> None:
    def slow_first(source: int) -> tuple[Views, Cut]:
        time.sleep(0.03 if source % 4 == 0 else 0.0)
        return prepare(source)

    results = list(run(range(12), Ramp(), workers=4, make=slow_first))
    assert [encoded.source for encoded in results] == list(range(12))


# ------------------------------------------------------------------------------------ look-ahead


@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.parametrize(("batch_size", "views"), [(1, 1), (4, 5), (32, 61), (32, 9), (32, 1)])
def test_reads_a_few_images_ahead_and_no_more(workers: int, batch_size: int, views: int) -> None:
    read = 0

    def source() -> Iterator[int]:
        nonlocal read
        for number in range(200):
            read += 1
            yield number

    # Those being opened, those that fill two batches, and the one in hand.
    bound = 2 * workers + math.ceil(2 * batch_size / views) + 1
    stream = run(source(), Ramp(), batch_size, workers, lambda number: prepare(number, views))
    assert read == 0, "nothing is read before the first result is asked for"
    for given, _ in enumerate(stream):
        assert read - given <= bound
    assert read == 200


@pytest.mark.parametrize(
    ("options", "most"),
    [
        ({"crops": 60}, 6), ({"crops": 12}, 9), ({"crops": 2}, 26), ({"crops": "auto"}, 17),
        ({"method": "clip"}, 40), ({"crops": 2, "batch_size": 1, "workers": 1}, 3),
    ],
)  # fmt: skip
def test_images_read_before_the_first_result(
    encoder: Any, picture: Any, options: dict[str, Any], most: int
) -> None:
    """As docs/speed.md says."""
    read = itertools.count(1)
    pictures = [picture(number=number) for number in range(50)]
    classifier = Classifier(["red", "blue"], encoder=encoder, **{"workers": 2, **options})
    stream = classifier.predict(image for image in pictures if next(read))
    next(iter(stream))
    assert next(read) - 1 == most


def test_an_endless_source_gives_results_at_once() -> None:
    def forever() -> Iterator[int]:
        while True:
            yield 3

    stream = run(forever(), Ramp(), workers=2)
    for _ in range(50):
        assert_embedded(next(stream), 3, 5)
    stream.close()


def test_pictures_are_let_go_as_the_stream_moves_on() -> None:
    alive: weakref.WeakSet[Any] = weakref.WeakSet()

    class Picture:
        pass

    def source() -> Iterator[Picture]:
        for _ in range(60):
            picture = Picture()
            alive.add(picture)
            yield picture

    most = 0
    for _ in run(source(), Ramp(), make=lambda _: prepare(0)):
        gc.collect(0)
        most = max(most, len(alive))
    assert most <= 2 * 2 + 4


# ---------------------------------------------------------------------------------------- errors

BAD = [
    pytest.param([0], id="first"),
    pytest.param([5], id="middle"),
    pytest.param([9], id="last"),
    pytest.param([0, 1, 2], id="several at the start"),
    pytest.param([3, 4, 9], id="a few"),
    pytest.param(list(range(10)), id="all"),
]


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("batch_size", [1, 4, 1000])
@pytest.mark.parametrize("kind", [ImageError, CropError, MemoryError])
def test_a_bad_image_keeps_its_place_and_costs_no_other(
    bad: list[int], batch_size: int, kind: type[Exception]
) -> None:
    encoder = Ramp()
    sources: list[Any] = [kind("broken") if n in bad else n for n in range(10)]
    results = list(run(sources, encoder, batch_size))
    assert len(results) == 10
    for number, encoded in enumerate(results):
        if number in bad:
            assert encoded.error is sources[number]
            assert encoded.views is None
            assert encoded.boxes.shape == (0, 4)
        else:
            assert_embedded(encoded, number, 5)
    assert sum(encoder.batches) == 5 * (10 - len(bad))
    assert all(batch == batch_size for batch in encoder.batches[:-1]), "gaps do not split a batch"


def test_nothing_in_nothing_out() -> None:
    encoder = Ramp()
    assert list(run([], encoder)) == []
    assert encoder.batches == []


def test_the_callers_own_iterator_may_raise() -> None:
    def source() -> Iterator[int]:
        yield from range(9)
        raise OSError("the disk is gone")

    stream = run(source(), Ramp(), workers=2)
    with pytest.raises(OSError, match="the disk is gone"):
        list(stream)
    assert threads() == []


def test_the_encoder_may_raise() -> None:
    class Broken(Ramp):
        def encode_images(self, pixels: np.ndarray) -> np.ndarray:
            if len(self.batches) == 3:
                raise RuntimeError("out of device memory")
            return super().encode_images(pixels)

    with pytest.raises(RuntimeError, match="out of device memory"):
        list(run(range(50), Broken()))
    assert threads() == []


@pytest.mark.parametrize("failure", [ZeroDivisionError, KeyboardInterrupt])
def test_a_mistake_of_the_program_is_not_taken_for_a_bad_image(
    failure: type[BaseException],
) -> None:
    with pytest.raises(failure):
        list(run([0, 1, failure(), 3], Ramp()))
    assert threads() == []


def test_what_is_not_iterable_is_a_type_error() -> None:
    with pytest.raises(TypeError):
        list(run(5, Ramp()))


def test_an_image_that_breaks_half_way_is_a_bad_image_too() -> None:
    def breaks(source: int) -> tuple[Views, Cut]:
        views, whole = prepare(source, 100)

        def cut(start: int, stop: int) -> np.ndarray:
            if source == 2 and stop > 50:
                raise MemoryError
            return whole(start, stop)

        return views, cut

    for number, encoded in enumerate(run(range(5), Ramp(), 7, make=breaks)):
        if number == 2:
            assert isinstance(encoded.error, MemoryError)
            assert encoded.views is None
            assert len(encoded.boxes) == 0
        else:
            assert_embedded(encoded, number, 100)


# ---------------------------------------------------------------------------------- stopping early


@pytest.mark.parametrize("taken", [0, 1, 10])
def test_stopping_early_ends_the_threads_and_the_work(taken: int) -> None:
    begun: list[int] = []

    def watched(source: int) -> tuple[Views, Cut]:
        begun.append(source)
        time.sleep(0.002)
        return prepare(source)

    stream = run(range(1000), Ramp(), make=watched)
    for _ in range(taken):
        next(stream)
    stream.close()
    assert threads() == []
    count = len(begun)
    assert count <= taken + 2 * 2 + 2
    time.sleep(0.02)
    assert len(begun) == count, "no work goes on"


def test_closing_predict_ends_the_threads(encoder: Any, picture: Any) -> None:
    predictions = Classifier(["red", "blue"], encoder=encoder, crops=3, workers=2).predict(
        picture(number=n) for n in range(1000)
    )
    next(predictions)
    assert threads() != []
    predictions.close()
    assert threads() == []


def test_leaving_a_loop_ends_the_threads(encoder: Any, picture: Any) -> None:
    classifier = Classifier(["red", "blue"], encoder=encoder, crops=3, workers=2)

    def first(images: Any) -> str | None:
        for prediction in classifier.predict(images):
            return prediction.label
        return None

    assert first(picture(number=n) for n in range(1000)) == "red"
    gc.collect()
    assert threads() == []


def test_a_stream_that_is_never_begun_starts_nothing(encoder: Any, picture: Any) -> None:
    classifier = Classifier(["red", "blue"], encoder=encoder, crops=3)
    predictions = classifier.predict([picture()])
    assert threads() == []
    assert encoder.image_batches == []
    del predictions


# ------------------------------------------------------------------------- bounded, whatever comes


def test_bad_images_behind_a_part_filled_batch_do_not_pile_up() -> None:
    read = []

    def sources() -> Iterator[Any]:
        yield 0
        for number in itertools.count(1):  # endless: without a bound nothing would ever come out
            read.append(number)
            yield ImageError(f"bad {number}")

    stream = run(sources(), Ramp(), batch_size=32)
    first = next(stream)
    assert_embedded(first, 0, 5)
    assert len(read) <= 32 + 2 * 2 + 2 * 2
    stream.close()


def test_decoded_images_are_dropped_as_soon_as_their_views_are_cut(
    encoder: Any, picture: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive: list[weakref.ref[Image.Image]] = []
    most = []

    def watched(*args: Any, **kwargs: Any) -> Image.Image:
        image = load_image(*args, **kwargs)
        alive.append(weakref.ref(image))
        most.append(sum(ref() is not None for ref in alive))
        return image

    monkeypatch.setattr("crossalign.engine.views.load_image", watched)
    classifier = Classifier(
        ["red", "blue"], encoder=encoder, method="clip", batch_size=50, workers=2
    )
    assert len(list(classifier.predict(picture(number=n) for n in range(200)))) == 200
    # Four opened ahead; and what the two threads and the loop hold at that moment.
    assert max(most) <= 4 + 6


# --------------------------------------------------------------------------- plans of many rounds


def rounds(*wanted: list[int]) -> Any:
    """A plan that asks for these places, round after round, and notes what it is sent."""
    received: list[list[list[float]]] = []

    def plan(views: Views) -> Iterator[np.ndarray]:
        for places in wanted:
            embeddings = yield np.array(places)  # type: ignore[misc]
            received.append(embeddings.tolist())

    plan.received = received  # type: ignore[attr-defined]
    return plan


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("batch_size", [1, 3, 4, 32])
def test_a_plan_is_sent_what_it_asked_for_in_its_own_order(batch_size: int, workers: int) -> None:
    plan = rounds([0, 3], [4, 1])
    results = list(run(range(9), Ramp(), batch_size, workers, plan=plan))
    for number, encoded in enumerate(results):
        assert encoded.views.tolist() == [[number, view] for view in (0, 1, 3, 4)]
        assert len(encoded.boxes) == 3, "the crops that were asked for"
    for number in range(9):
        assert [[number, 0], [number, 3]] in plan.received
        assert [[number, 4], [number, 1]] in plan.received


def test_rounds_of_several_images_fill_batches() -> None:
    encoder = Ramp()
    assert len(list(run(range(40), encoder, 8, plan=rounds([0, 1], [2], [3], [4])))) == 40
    assert sum(encoder.batches) == 40 * 5
    assert encoder.batches[:-6] == [8] * len(encoder.batches[:-6])


def test_batches_do_not_depend_on_timing() -> None:
    seen = []
    for pause in (0.0, 0.001, 0.003):

        def slow(source: int, pause: float = pause) -> tuple[Views, Cut]:
            time.sleep(pause * (source % 3))
            return prepare(source)

        encoder = Ramp()
        composition: list[list[float]] = []
        embed = encoder.encode_images
        encoder.encode_images = lambda pixels, embed=embed, into=composition: (  # type: ignore[method-assign]
            into.append(pixels[:, 0, 0, 0].tolist()) or embed(pixels)
        )
        list(run(range(30), encoder, 7, workers=3, make=slow, plan=rounds([0], [1, 2], [3])))
        seen.append(composition)
    assert seen[0] == seen[1] == seen[2]


def test_images_are_done_in_different_rounds_and_come_in_order() -> None:
    def plan(views: Views) -> Iterator[np.ndarray]:
        embeddings = yield np.array([0])  # type: ignore[misc]
        for place in range(1, 1 + int(embeddings[0, 0]) % 5):
            yield np.array([place])

    results = list(run(range(25), Ramp(), 6, plan=plan))
    assert [encoded.source for encoded in results] == list(range(25))
    assert [len(encoded.views) for encoded in results] == [1 + n % 5 for n in range(25)]


def test_an_image_that_breaks_in_a_later_round_is_a_bad_image() -> None:
    def breaks(source: int) -> tuple[Views, Cut]:
        views, whole = prepare(source)

        def cut(start: int, stop: int) -> np.ndarray:
            if source == 2 and start == 3:
                raise ImageError("gone")
            return whole(start, stop)

        return views, cut

    results = list(run(range(5), Ramp(), 4, make=breaks, plan=rounds([0], [2], [3, 4])))
    assert [encoded.error is not None for encoded in results] == [False, False, True, False, False]


def test_few_large_pictures_are_open_at_a_time() -> None:
    most = 0

    def make(source: int) -> tuple[Views, Cut]:
        nonlocal most
        most = max(most, sum(pixels.cuts_left != 0 for pixels in Pixels.made))
        return prepare(source)

    Pixels.made.clear()
    assert len(list(run(range(40), Ramp(), batch_size=1000, make=make, size=2**30))) == 40
    assert most <= 1, "the one before, whose last view may just have been cut"


class Sized(Maker):
    """Opens pictures of different sizes, watches how much is open, and takes its time."""

    def __init__(self, encoder: Ramp, seed: int, delay: float) -> None:
        super().__init__(encoder, prepare, 0)
        self._rng, self._delay = np.random.default_rng(seed), delay
        self._sizes = np.random.default_rng(seed).integers(0, 300, 60).tolist()
        self._lock, self.open, self.most = threading.Lock(), 0, 0

    def _wait(self) -> None:
        with self._lock:
            seconds = self._delay * self._rng.random()
        time.sleep(seconds)

    def look(self, source: Any) -> tuple[None, int]:
        self._wait()
        if source % 11 == 3:
            raise ImageError("no file")
        return None, self._sizes[source]

    def __call__(self, source: Any, data: None) -> tuple[Views, Any]:
        with self._lock:
            self.open += 1
            alone = self.open == 1
        size = self._sizes[source]
        self._wait()
        try:
            if source % 7 == 2:
                raise ImageError("broken")
            views, cut = self._make(source)

            def slow(start: int, stop: int) -> np.ndarray:
                self._wait()
                if source % 13 == 5 and start == 3:
                    raise CropError("broken later")
                return cut(start, stop)

            assert alone or size <= 2 * 100, "what is larger than the room is opened alone"
            return views, Pixels(slow, size)
        finally:
            with self._lock:
                self.open -= 1


@pytest.mark.parametrize("seed", range(4))
def test_room_is_never_waited_for_in_vain(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    monkeypatch.setattr("crossalign.engine.stream.PIXEL_BYTES_PER_WORKER", 100)
    plan = all_views if seed % 2 else rounds([0], [1, 3], [2], [4])
    seen = []
    for delay in (0.0, 0.003):
        encoder, batches = Ramp(), []
        embed = encoder.encode_images
        encoder.encode_images = (
            lambda pixels, embed=embed, into=batches: (  # type: ignore[method-assign]
                into.append(pixels[:, 0, 0, :2].tolist()) or embed(pixels)
            )
        )
        opener: Any = Sized(encoder, seed, delay)
        results = list(encode_stream(range(60), opener, plan, batch_size=7, workers=2))
        assert [encoded.source for encoded in results] == list(range(60))
        for encoded in results:
            number = encoded.source
            broken = number % 11 == 3 or number % 7 == 2 or number % 13 == 5
            assert (encoded.error is not None) is broken
            if not broken:
                assert_embedded(encoded, number, 5)
        seen.append(batches)
    assert seen[0] == seen[1], "which views share a batch does not depend on timing"


MEMORY = """
import os, sys
import numpy as np
from PIL import Image
from crossalign import Classifier, ModelCard, Preprocess

class Blank:
    card, preprocess = ModelCard("blank", "1", 8, 32, 77, "MIT", 0), Preprocess(32)
    def encode_images(self, pixels):
        return np.full((len(pixels), 8), 8**-0.5, np.float32)
    def encode_texts(self, texts):
        return np.full((len(texts), 8), 8**-0.5, np.float32)

def status(name):
    with open("/proc/self/status") as file:
        return 1024 * int(file.read().split(name + ":")[1].split()[0])

options = {"encoder": Blank(), "crops": 4, "workers": 2, "bank": False}
classifier = Classifier(["a", "b"], **options)
list(classifier.predict([Image.new("RGB", (64, 48))] * 4))
before = status("VmRSS")
assert all(found.error is None for found in classifier.predict([sys.argv[1]] * int(sys.argv[2])))
print(status("VmHWM") - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is asked of Linux")
def test_memory_of_large_pictures_stays_within_its_bound(tmp_path: Path) -> None:
    """Six pictures of 36 megapixels, 144 MB each as Pillow keeps them: all would be 864 MB."""
    noise = np.random.default_rng(0).integers(0, 256, (60, 60, 3), np.uint8)
    path = tmp_path / "large.png"
    Image.fromarray(noise).resize((6000, 6000), Image.Resampling.NEAREST).save(
        path, compress_level=1
    )
    command = [sys.executable, "-c", MEMORY, str(path), "6"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    # The room of two threads; and what cutting takes for a moment, most of a picture.
    assert int(done.stdout) <= 2 * PIXEL_BYTES_PER_WORKER + 144_000_000
