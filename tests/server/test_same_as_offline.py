"""The service answers what ``crossalign classify`` does, for every method and way to ask."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from crossalign import cli
from crossalign.encoders import registry
from crossalign.images.examples import photo_folder
from crossalign.methods import METHODS
from crossalign.server.app import create_app
from crossalign.server.settings import Settings

PHOTO = photo_folder() / "chelsea.png"
WORDS = {
    "tabby cat": ["a cat with dark stripes", "green eyes", "a pink nose", "long white whiskers"],
    "rabbit": ["long upright ears", "a small animal that hops"],
    "cup of coffee": ["a white cup", "a dark brown drink"],
}
NAMES = ["cat", "rabbit", "flibbertigibbet"]  # the last is not in the bank


@pytest.fixture(autouse=True)
def loaded_once(builtin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the command line take the model that is loaded already."""
    scheme = registry.Scheme(usage="builtin", loader=lambda rest: builtin)
    monkeypatch.setitem(registry._SCHEMES, "builtin", scheme)


@pytest.fixture(scope="module")
def service(builtin: Any) -> Iterator[TestClient]:
    with TestClient(create_app(builtin, Settings())) as client:
        yield client


@pytest.fixture
def offline(capfd: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    def classify(*words: object) -> dict[str, Any]:
        with pytest.raises(SystemExit) as caught:
            cli.main(["classify", str(PHOTO), "--json", *map(str, words)])
        assert not caught.value.code
        line: dict[str, Any] = json.loads(capfd.readouterr().out)
        return line

    return classify


def ask(client: TestClient, **fields: Any) -> dict[str, Any]:
    reply = client.post("/v1/classify", files={"image": PHOTO.read_bytes()}, data=fields)
    assert reply.status_code == 200, reply.text
    answer: dict[str, Any] = reply.json()
    return answer


def check(got: dict[str, Any], expected: dict[str, Any]) -> None:
    assert got["label"] == expected["label"]
    scores = {one["label"]: one["score"] for one in got["ranked"]}
    assert scores == pytest.approx(expected["scores"], abs=1e-5)


def is_auto(method: str) -> bool:
    return METHODS[method].crops is not None and METHODS[method].crop_weighting == "softmax"


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_described_classes(
    service: TestClient, offline: Callable[..., Any], tmp_path: Path, method: str
) -> None:
    file = tmp_path / "classes.json"
    file.write_text(json.dumps(WORDS))
    words = ["--classes", file, "--method", method]
    got = ask(service, descriptions=json.dumps(WORDS), method=method)
    check(got, offline(*words))
    assert got["crops"] == (METHODS[method].crops.count if METHODS[method].crops else 0)
    if is_auto(method):
        auto = ask(service, descriptions=json.dumps(WORDS), method=method, crops="auto", seed=3)
        check(auto, offline(*words, "--crops", "auto", "--seed", 3))


@pytest.mark.parametrize("method", [name for name in METHODS if name != "clip-d"])
def test_names_alone(service: TestClient, offline: Callable[..., Any], method: str) -> None:
    names = [word for name in NAMES for word in ("-c", name)]
    got = ask(service, classes=NAMES, method=method, seed=2, crops=3)
    check(got, offline(*names, "--method", method, "--seed", 2, "--crops", 3))
    asks_the_bank = METHODS[method].texts == "descriptions"
    assert got["undescribed"] == (["flibbertigibbet"] if asks_the_bank else [])


def test_a_class_set(service: TestClient, offline: Callable[..., Any], tmp_path: Path) -> None:
    body = {"name": "these", "descriptions": WORDS}
    assert service.post("/v1/class-sets", json=body).status_code == 201
    file = tmp_path / "classes.json"
    file.write_text(json.dumps(WORDS))
    for method in ("wca", "waffle"):
        check(
            ask(service, class_set="these", method=method, crops=5),
            offline("--classes", file, "--method", method, "--crops", 5),
        )


def test_without_the_bank_and_with_a_store(
    builtin: Any, offline: Callable[..., Any], tmp_path: Path
) -> None:
    names = [word for name in NAMES for word in ("-c", name)]
    expected = offline(*names, "--no-bank", "--store", tmp_path / "theirs", "--crops", 5)
    settings = Settings(bank=False, store=tmp_path / "ours", crops=5)
    for known in ("no", "yes"):
        with TestClient(create_app(builtin, settings)) as client:
            got = ask(client, classes=NAMES)
            counted = client.get("/metrics").text
            assert client.get("/v1/models").json()["bank"] is False
        check(got, expected)
        assert got["undescribed"] == []
        assert ("crossalign_batch_views_count 0.0" in counted) == (known == "yes")
