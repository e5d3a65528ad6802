"""A small labelled data set, and an encoder by name that is exact and counts its calls."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from crossalign.encoders import registry

COLOURS = ("red", "green", "blue")


@pytest.fixture
def photos(tmp_path, picture) -> Path:
    """Class folders with four pictures each; one of each class is hard."""
    for place, colour in enumerate(COLOURS):
        folder = tmp_path / "photos" / f"{colour}_wall"
        folder.mkdir(parents=True)
        for number in range(4):
            shown = COLOURS[(place + 1) % 3] if number == 3 else colour
            picture(shown, 10 * place + number).save(folder / f"{number}.png")
    return tmp_path / "photos"


@pytest.fixture
def encoders(make_encoder, monkeypatch):
    """Registers ``fake:<anything>``; gives the encoders that were loaded."""
    loaded = []

    def load(
        rest: str, dtype: str | None = None, device: str | None = None, runtime: str | None = None
    ):
        encoder = make_encoder()
        revision = "1" if dtype is None else f"1-{dtype}"
        encoder.card = dataclasses.replace(encoder.card, name=f"fake:{rest}", revision=revision)
        encoder.dtype, encoder.providers = "fp64", ("paper",)
        encoder.options = (dtype, device, runtime)
        loaded.append(encoder)
        return encoder

    monkeypatch.setitem(
        registry._SCHEMES, "fake", registry.Scheme(usage="fake:<anything>", loader=load)
    )
    return loaded
