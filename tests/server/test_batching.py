"""Many threads, one encoder: full batches, the right rows for all, errors where they belong."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from clients import wait_for
from crossalign import EncoderError
from crossalign.server.batching import BatchingEncoder


def views(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)


class Gated:
    """An encoder that stops in its first call until it is let go."""

    def __init__(self, encoder: Any) -> None:
        self.card, self.preprocess = encoder.card, encoder.preprocess
        self.encoder = encoder
        self.entered, self.gate = threading.Event(), threading.Event()

    def encode_images(self, pixels: np.ndarray) -> np.ndarray:
        self.entered.set()
        assert self.gate.wait(30)
        return self.encoder.encode_images(pixels)

    def encode_texts(self, texts: Any) -> np.ndarray:
        return self.encoder.encode_texts(texts)


def all_waiting(batches: BatchingEncoder, count: int) -> Callable[[], bool]:
    return lambda: len(batches._calls) == count


@pytest.fixture
def start(encoder: Any) -> Any:
    """Starts a batching encoder in front of a gated fake one."""
    made = []

    def make(inner: Any = None, **settings: Any) -> tuple[BatchingEncoder, Gated]:
        gated = Gated(inner or encoder)
        batches = BatchingEncoder(gated, **settings)
        made.append((batches, gated))
        return batches, gated

    yield make
    for batches, gated in made:
        gated.gate.set()
        batches.close()


def test_calls_that_wait_share_full_batches(start: Any, encoder: Any) -> None:
    batches, gated = start(batch_views=8)
    sizes = [1, 3, 5, 2, 9, 1]
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(batches.encode_images, views(1, 99))
        assert gated.entered.wait(30)  # it is being encoded; the others gather meanwhile
        futures = []
        for seed, size in enumerate(sizes):  # one by one, so that their order is known
            futures.append(pool.submit(batches.encode_images, views(size, seed)))
            wait_for(all_waiting(batches, seed + 1))
        gated.gate.set()
        results = [future.result(30) for future in futures]
        first.result(30)
    assert encoder.image_batches == [1, 8, 8, 5]
    for seed, (size, rows) in enumerate(zip(sizes, results, strict=True)):
        np.testing.assert_array_equal(rows, type(encoder)().encode_images(views(size, seed)))


def test_a_lone_call_does_not_wait_for_others(encoder: Any) -> None:
    batches = BatchingEncoder(encoder, batch_seconds=3600.0)
    with batches.expecting():
        assert batches.encode_images(views(2, 0)).shape == (2, 16)
    batches.close()


def test_a_call_waits_for_those_that_are_expected(encoder: Any) -> None:
    batches = BatchingEncoder(encoder, batch_seconds=3600.0)
    with ThreadPoolExecutor(1) as pool, batches.expecting():
        with batches.expecting():
            future = pool.submit(batches.encode_images, views(2, 0))
            wait_for(all_waiting(batches, 1))
            assert not future.done()
            assert batches.encode_images(views(3, 1)).shape == (3, 16)
        assert future.result(30).shape == (2, 16)
    batches.close()
    assert encoder.image_batches == [5]


def test_a_call_goes_off_when_nobody_else_is_expected_any_more(encoder: Any) -> None:
    batches = BatchingEncoder(encoder, batch_seconds=3600.0)
    with ThreadPoolExecutor(1) as pool, batches.expecting():
        with batches.expecting():
            future = pool.submit(batches.encode_images, views(2, 0))
            wait_for(all_waiting(batches, 1))
        assert future.result(30).shape == (2, 16)
    batches.close()


def test_only_those_who_fail_get_the_error(start: Any, encoder: Any) -> None:
    class Picky(type(encoder)):
        def encode_images(self, pixels: np.ndarray) -> np.ndarray:
            if (pixels[:, 0, 0, 0] == 255).any():
                raise EncoderError("no white corners")
            return super().encode_images(pixels)

    batches, gated = start(Picky(), batch_views=64)
    good, bad = views(2, 0), views(2, 1)
    good[:, 0, 0, 0], bad[:, 0, 0, 0] = 0, 255
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(batches.encode_images, good)
        assert gated.entered.wait(30)
        futures = [pool.submit(batches.encode_images, pixels) for pixels in (good, bad, good)]
        wait_for(all_waiting(batches, 3))
        gated.gate.set()
        assert first.result(30).shape == (2, 16)
        assert futures[0].result(30).shape == (2, 16)
        assert futures[2].result(30).shape == (2, 16)
        with pytest.raises(EncoderError, match="no white corners"):
            futures[1].result(30)


def test_a_call_spread_over_batches_fails_as_a_whole(make_encoder: Any) -> None:
    encoder = make_encoder(fail_on_call=2, failure=RuntimeError("out of memory"))
    batches = BatchingEncoder(encoder, batch_views=4)
    with pytest.raises(RuntimeError, match="out of memory"):
        batches.encode_images(views(10, 0))
    assert batches.encode_images(views(10, 0)).shape == (10, 16)  # and the next is served
    batches.close()


def test_an_encoder_that_gives_another_shape_is_found_out(encoder: Any) -> None:
    class Short(type(encoder)):
        def encode_images(self, pixels: np.ndarray) -> np.ndarray:
            return super().encode_images(pixels)[:1]

    batches = BatchingEncoder(Short())
    with pytest.raises(EncoderError, match=r"expected embeddings of shape \(3, 16\)"):
        batches.encode_images(views(3, 0))
    batches.close()


def test_closing_encodes_what_waits_and_refuses_the_rest(start: Any) -> None:
    batches, gated = start(batch_views=1)
    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(batches.encode_images, views(1, seed)) for seed in range(3)]
        assert gated.entered.wait(30)
        wait_for(all_waiting(batches, 2))
        closing = pool.submit(batches.close)
        gated.gate.set()
        closing.result(30)
        assert [future.result(30).shape for future in futures] == [(1, 16)] * 3
    with pytest.raises(EncoderError, match="stopping"):
        batches.encode_images(views(1, 0))


def test_without_batches_every_call_goes_straight_through(encoder: Any) -> None:
    counted: list[int] = []
    batches = BatchingEncoder(
        encoder, batch_views=0, on_batch=lambda views, seconds: counted.append(views)
    )
    assert batches.encode_images(views(5, 0)).shape == (5, 16)
    batches.close()
    assert encoder.image_batches == counted == [5]


def test_what_it_passes_on(encoder: Any) -> None:
    counted: list[int] = []
    batches = BatchingEncoder(encoder, on_batch=lambda views, seconds: counted.append(views))
    assert batches.card is encoder.card
    assert batches.preprocess is encoder.preprocess
    assert batches.encode_texts(["red", "green"]).shape == (2, 16)
    assert batches.encode_images(views(0, 0)).shape == (0, 16)
    assert batches.encode_images(views(3, 0)).shape == (3, 16)
    batches.close()
    assert counted == [3]
    with pytest.raises(EncoderError, match="expected pixels as uint8"):
        batches.encode_images(np.zeros((1, 9, 9, 3), np.uint8))
