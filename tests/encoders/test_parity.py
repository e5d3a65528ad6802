"""The gate: equal encoders pass it, altered ones are caught, on embeddings and on decisions."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from crossalign import DescriptionSet, EncoderError, cli, load_encoder
from crossalign.encoders import ModelCard, parity, registry
from crossalign.encoders.parity import GATE, compare, synthetic_pictures


class Altered:
    """The built-in model with noise on its embeddings, or with swapped colours, or shorter."""

    def __init__(self, noise: float = 0.0, swap: bool = False, dim: int | None = None) -> None:
        self._inner = load_encoder("builtin")
        self._noise, self._swap, self._dim = noise, swap, dim
        self.card: ModelCard = self._inner.card
        self.preprocess = self._inner.preprocess

    def _alter(self, rows: np.ndarray) -> np.ndarray:
        noise = np.random.default_rng(0).normal(size=rows.shape).astype(np.float32)
        rows = (rows + self._noise * noise / np.sqrt(rows.shape[1]))[:, : self._dim]
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def encode_images(self, pixels: np.ndarray) -> np.ndarray:
        if self._swap:
            pixels = np.ascontiguousarray(pixels[..., ::-1])
        return self._alter(self._inner.encode_images(pixels))

    def encode_texts(self, texts: Any) -> np.ndarray:
        return self._alter(self._inner.encode_texts(texts))


@pytest.fixture(scope="module")
def builtin() -> Any:
    return load_encoder("builtin")


@pytest.fixture(scope="module")
def pictures() -> list[Image.Image]:
    return synthetic_pictures(12, seed=3)


def test_an_encoder_equals_itself(builtin: Any, pictures: list[Image.Image]) -> None:
    found = compare(builtin, builtin, pictures)
    assert found.images.count == found.decisions == 12
    assert found.texts.count == 10 + len(parity.ODD_TEXTS)
    assert found.min_cosine > 0.999999
    assert (found.changed, found.skipped) == (0, 0)
    assert found.passes()
    assert min(found.images.speed_a, found.images.speed_b, found.texts.speed_a) > 0


@pytest.mark.parametrize(("noise", "passes"), [(0.01, True), (0.1, False)])
def test_noise_is_measured(
    builtin: Any, pictures: list[Image.Image], noise: float, passes: bool
) -> None:
    found = compare(builtin, Altered(noise), pictures)
    expected = 1 / math.sqrt(1 + noise**2)  # noise of this length, at a right angle to the vector
    assert found.images.median_cosine == pytest.approx(expected, abs=noise**2 / 5)
    assert found.passes() is passes
    assert found.passes(gate=0.9)


def test_swapped_colours_are_caught(builtin: Any, pictures: list[Image.Image]) -> None:
    found = compare(builtin, Altered(swap=True), pictures)
    assert found.images.min_cosine < GATE < found.texts.min_cosine
    assert not found.passes()


def test_another_dimension_never_passes(builtin: Any, pictures: list[Image.Image]) -> None:
    found = compare(builtin, Altered(dim=100), pictures)
    assert math.isnan(found.min_cosine)
    assert not found.passes(gate=-1.0)
    assert found.decisions == 12
    assert found.dims[1] == 100


def test_photos_are_read_a_batch_at_a_time(
    monkeypatch: pytest.MonkeyPatch, pictures: list[Image.Image]
) -> None:
    monkeypatch.setattr(parity, "BATCH", 4)
    begun: list[int] = []

    class Watched(Altered):
        def encode_images(self, pixels: np.ndarray) -> np.ndarray:
            begun.append(read[0])
            return super().encode_images(pixels)

    read = [0]

    def photos() -> Any:
        for number in range(2 * parity.BATCH + 5):
            read[0] = number + 1
            yield pictures[number % len(pictures)]

    found = compare(Watched(), Watched(), photos())
    assert found.images.count == 2 * parity.BATCH + 5
    assert begun[0] <= parity.BATCH
    assert begun == sorted(begun)
    assert len(set(begun)) == 4


def test_photos_that_cannot_be_read(
    builtin: Any, tmp_path: Path, pictures: list[Image.Image]
) -> None:
    (tmp_path / "broken.png").write_bytes(b"no image")
    found = compare(builtin, builtin, [pictures[0], tmp_path / "broken.png"])
    assert (found.decisions, found.skipped) == (1, 1)
    assert "broken.png" in found.failed[0]
    assert "expected an image" in found.failed[0]
    with pytest.raises(EncoderError, match=r"none of the 1 photos .*broken\.png"):
        compare(builtin, builtin, [tmp_path / "broken.png"])


def test_given_classes_and_their_descriptions_are_compared(
    builtin: Any, pictures: list[Image.Image]
) -> None:
    classes = DescriptionSet.from_mapping({"sky": ["blue", "white clouds"], "sea": ["waves"]})
    assert compare(builtin, builtin, pictures, classes).texts.count == 5 + len(parity.ODD_TEXTS)


@pytest.mark.parametrize(
    ("noise", "broken", "code"), [(0.0, False, 0), (0.0, True, 1), (0.2, False, 1)]
)
def test_command(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    pictures: list[Image.Image],
    noise: float,
    broken: bool,
    code: int,
) -> None:
    scheme = registry.Scheme(usage="altered", loader=lambda rest: Altered(noise))
    monkeypatch.setitem(registry._SCHEMES, "altered", scheme)
    (tmp_path / "sub").mkdir()
    for number, picture in enumerate(pictures[:3]):
        picture.save(tmp_path / "sub" / f"{number}.png")
    if broken:
        (tmp_path / "broken.jpg").write_bytes(b"")
    with pytest.raises(SystemExit) as end:
        cli.main(["parity", "builtin", "altered", "--photos", str(tmp_path)])
    out, err = capsys.readouterr()
    assert end.value.code == code
    assert "of 3 decisions among 48 classes changed" in out
    assert ("passes the gate" in out) is (noise == 0)
    assert ("broken.jpg: expected an image" in err) is broken
    assert ("1 of 4 photos could not be read" in err) is broken


def test_command_says_why_there_are_no_cosines(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    pictures: list[Image.Image],
) -> None:
    scheme = registry.Scheme(usage="altered", loader=lambda rest: Altered(dim=24))
    monkeypatch.setitem(registry._SCHEMES, "altered", scheme)
    pictures[0].save(tmp_path / "0.png")
    with pytest.raises(SystemExit) as end:
        cli.main(["parity", "builtin", "altered", "--photos", str(tmp_path)])
    out, _ = capsys.readouterr()
    assert end.value.code == 1
    assert "dimensions differ: 1664 and 24" in out
    assert "nan" not in out


@pytest.mark.parametrize("gate", ["nan", "5", "-0.1"])
def test_a_gate_is_a_cosine(capsys: pytest.CaptureFixture[str], gate: str) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["parity", "builtin", "builtin", "--gate", gate])
    assert end.value.code == 2
    assert "from 0 to 1" in capsys.readouterr().err


def test_command_without_photos(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["parity", "builtin", "builtin", "--photos", str(tmp_path)])
    assert end.value.code == 2
    assert "no photos in" in capsys.readouterr().err
