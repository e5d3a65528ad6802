"""Fixtures that many test modules share."""

from __future__ import annotations

import hashlib
import os
import signal
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from PIL import Image

from crossalign.encoders import ModelCard, Preprocess

# A runner in the background may ignore Ctrl-C, and what it starts inherits that: the commands whose
# interruption is tested would never hear of it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says how busy the machine is, not whether the code is right.
hypothesis.settings.register_profile("crossalign", deadline=None)
hypothesis.settings.load_profile("crossalign")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of labelled photos, published prompts and golden outputs, or a skip."""
    folder = Path(os.environ.get("CROSSALIGN_SHARED", Path(__file__).parents[2] / "shared"))
    if not (folder / "golden").is_dir():
        pytest.skip(
            f"needs the shared test data, which is not part of the project: no {folder}/golden "
            "(set CROSSALIGN_SHARED to its folder)"
        )
    return folder


class FakeEncoder:
    """A model of colours and words: exact whatever the batch, and every call is written down.

    An image is where which colour is (its mean colour first), a text the colours it names and a
    little of its own. One row never depends on the others, so results can be compared exactly.

    Args:
        fail_on_call: Number of the call of ``encode_images``, from 1, that raises.
        failure: What it raises.
    """

    def __init__(
        self, *, fail_on_call: int | None = None, failure: BaseException | None = None
    ) -> None:
        self.image_batches: list[int] = []
        self.text_calls: list[list[str]] = []
        self.card = ModelCard("fake", "1", 16, 8, 77, "MIT", 0)
        self.preprocess = Preprocess(8, resample="bilinear")
        self._fail_on_call = fail_on_call
        self._failure = failure
        self._lock = threading.Lock()

    def encode_images(self, pixels: np.ndarray) -> np.ndarray:
        assert pixels.dtype == np.uint8
        assert pixels.shape[1:] == (8, 8, 3)
        with self._lock:
            self.image_batches.append(len(pixels))
            if len(self.image_batches) == self._fail_on_call:
                raise self._failure
        return np.stack([self._image(view) for view in pixels])

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        with self._lock:
            self.text_calls.append(list(texts))
        return np.stack([self._text(text) for text in texts])

    @staticmethod
    def _image(view: np.ndarray) -> np.ndarray:
        parts = view.reshape(2, 4, 2, 4, 3).mean(axis=(1, 3)).reshape(4, 3) / 255.0 - 0.5
        return _unit([*(3.0 * parts.mean(axis=0)), *parts.ravel(), 0.1])

    @staticmethod
    def _text(text: str) -> np.ndarray:
        digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
        vector = np.frombuffer(digest, np.uint8) / 255.0 - 0.5
        for channel, word in enumerate(("red", "green", "blue")):
            if word in text:
                vector[:3] -= 2.0
                vector[channel] += 4.0
        return _unit(vector)


def _unit(vector: Sequence[float]) -> np.ndarray:
    array = np.asarray(vector, dtype=np.float64)
    return (array / np.linalg.norm(array)).astype(np.float32)


@pytest.fixture(scope="session")
def make_encoder() -> type[FakeEncoder]:
    """The fake model's class, for tests that need one with settings, or several."""
    return FakeEncoder


@pytest.fixture
def encoder() -> FakeEncoder:
    """A fresh fake model."""
    return FakeEncoder()


@pytest.fixture(scope="session")
def picture() -> Callable[..., Image.Image]:
    """Makes small pictures: one colour in the main, blobs of noise, and no two alike."""

    def make(colour: str = "red", number: int = 0) -> Image.Image:
        size = (40 + number % 7, 30 + number % 5)
        noise = np.random.default_rng(number).integers(0, 256, (5, 6, 3), dtype=np.uint8)
        blobs = Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)
        return Image.blend(Image.new("RGB", size, colour), blobs, 0.4)

    return make
