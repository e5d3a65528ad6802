"""How an evaluation says what it was made of, and what of it is not as published."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import pytest

from crossalign import METHODS
from crossalign.evaluation import Request, datasets, evaluate, reported
from crossalign.evaluation.provenance import unused

AS_PUBLISHED = {"protocol": "published", "pool": 100, "crops": 60, "runs": 2, "bank": False}


@pytest.fixture
def pets(tmp_path: Path, encoders, picture, monkeypatch) -> dict[str, str]:
    """A set of pets that counts for the published one, and an encoder with the papers' weights."""
    root = tmp_path / "pets"
    for folder in ("annotations", "images"):
        (root / folder).mkdir(parents=True)
    (root / "annotations" / "test.txt").write_text("Abyssinian_1 1 1 1\nbeagle_1 2 2 1\n")
    for number, name in enumerate(("Abyssinian_1", "beagle_1")):
        picture("red", number).save(root / "images" / f"{name}.jpg")
    small = dataclasses.replace(datasets.DATASETS["pets"], expected={"test": (2, 2)})
    known = {**datasets.DATASETS, "pets": small}
    monkeypatch.setattr(datasets, "DATASETS", known)
    monkeypatch.setattr(sys.modules["crossalign.evaluation.evaluate"], "DATASETS", known)
    monkeypatch.setattr(reported, "_OPENAI", {"fake:a": "ViT-B/32"})
    texts = {"abyssinian": ["a ticked coat", "large ears"], "Beagle": ["long ears", "a white tip"]}
    (tmp_path / "cupl.json").write_text(json.dumps(texts))
    return {"root": str(root), "descriptions": str(tmp_path / "cupl.json")}


def beside(given: dict[str, str], out: Path, **settings) -> dict[str, list[str]]:
    """Evaluate, and give what is said to differ from the published number of each method."""
    fields = {"models": ("fake:a",), "methods": ("clip", "wca"), **given, **settings}
    content = evaluate(Request("pets", **fields), out)
    assert all(
        row["reported"] == {"clip": 85.04, "wca": 89.89}[row["method"]]
        for row in content["reported"]
    )
    return {row["method"]: row["departures"] for row in content["reported"]}


def test_a_run_as_published_differs_in_nothing_known(pets, tmp_path):
    found = beside(pets, tmp_path / "out", names=pets["descriptions"], **AS_PUBLISHED)
    assert found["wca"] == []
    assert set(map(tuple, found.values())) == {()}
    page = (tmp_path / "out" / "report.md").read_text()
    assert "nothing known" in page


def test_every_departure_stands_beside_the_published_number(pets, tmp_path):
    settings = {"crops": 1, "crop_scale": 0.0, "side": (0.2, 0.3), "kind": "even", "runs": 1}
    found = beside({"root": pets["root"]}, tmp_path / "out", dtype="int8", **settings)
    assert found["wca"] == [
        "crops 1, not 60",
        "side 0.2 to 0.3, not 0.1 to 0.9",
        "crops even, not random",
        "S_c 0, not 54.6",
        "new crops for each run, not one pool resampled",
        "texts: descriptions of the bank, not CuPL's sentences",
        "the data set's own class names, not the published list",
        "precision int8",
    ]
    page = (tmp_path / "out" / "report.md").read_text()
    assert "a number beside any is not a repetition" in page
    assert "; ".join(found["wca"]) in page
    beside(pets, tmp_path / "few", names=pets["descriptions"], **{**AS_PUBLISHED, "pool": 7})
    assert "pool 7, not 100" in (tmp_path / "few" / "report.md").read_text()


def test_parts_of_a_set_stand_beside_no_published_number(pets, tmp_path):
    assert beside(pets, tmp_path / "a", per_class=1) == {}
    assert beside(pets, tmp_path / "b", partial=True) == {}
    assert beside(pets, tmp_path / "c", models=("fake:other",)) == {}


def test_the_report_says_how_it_was_made(photos, encoders, tmp_path):
    own = dataclasses.replace(METHODS["wca"], name="own", crop_scale=3.0)
    asked = Request(
        str(photos),
        models=("fake:a",),
        methods=("clip", "wca", own),
        crops=3,
        side=(0.1, 0.3),
        crop_weighting="max",
        per_class=1,
        bank=False,
        dtype="int8",
    )
    content = evaluate(asked, tmp_path / "out", command=["crossalign", "evaluate", "my photos"])
    made = dict(content["made"])
    assert made["command"] == "crossalign evaluate 'my photos'"
    assert made["images"] == "the first 1 of each class at most"
    assert made["bank of descriptions"] == "not used"
    assert made["encoder fake:a"].endswith("asked for in int8")
    assert made["method clip"] == "its own settings"
    changed = "crops 3, not 60; side 0.1 to 0.3, not 0.5 to 0.9; crop weights max, not softmax"
    assert made["method wca"] == changed
    assert made["method own"].startswith("a method of its own, see the receipt; crops 3")
    for page in ("report.md", "report.html"):
        text = (tmp_path / "out" / page).read_text()
        assert changed in text
        assert "receipt.json" in text


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"methods": ("clip",), "crops": 3}, "--crops: none of the methods cuts crops"),
        ({"methods": ("clip",), "side": (0.1, 0.2)}, "--side: none of the methods cuts crops"),
        ({"methods": ("cupl",), "kind": "grid"}, "--kind: none of the methods cuts crops"),
        ({"methods": ("clip",), "crop_scale": 1.0}, "--crop-scale: none of the methods weighs"),
        ({"methods": ("cupl",), "description_scale": 1.0}, "--description-scale: none of the"),
        ({"methods": ("clip",), "crop_weighting": "max"}, "--crop-weighting: none of the methods"),
        ({"methods": ("clip",), "protocol": "published"}, "--protocol published: none of the"),
        ({"methods": ("clip", "cupl"), "runs": 2}, "--runs: none of the methods has chance in it"),
        ({"methods": ("wca",), "kind": "grid", "runs": 2}, "--runs: none of the methods has"),
        ({"methods": ("wca",), "pool": 9}, "--pool: it goes with --protocol published"),
    ],
)
def test_settings_without_effect_are_named(settings, named):
    (found,) = unused(Request("photos", **settings))
    assert found.startswith(named)


def test_settings_that_one_method_uses_are_not_named():
    asked = Request("photos", methods=("clip", "wca"), crops=3, side=(0.1, 0.2), runs=2)
    assert unused(asked) == []
