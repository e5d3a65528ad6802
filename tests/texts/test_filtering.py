"""Refinement keeps what the criterion says, in order, and never a class without descriptions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossalign import DescriptionError, DescriptionSet, load_encoder
from crossalign.cli import main
from crossalign.encoders import ModelCard, Preprocess
from crossalign.texts.filtering import (
    CRITERIA,
    EncodedTexts,
    Refinement,
    by_cosine,
    by_coverage,
    by_usefulness,
    text_margins,
)


class Given:
    """An encoder of texts that say their own vector: "name 0.5 0.1" and the like."""

    card = ModelCard("given", "1", 3, 8, 77, "MIT", 0)
    preprocess = Preprocess(8)

    def encode_images(self, pixels: Any) -> Any:
        raise NotImplementedError

    def encode_texts(self, texts: Any) -> Any:
        rows = [self._row(text) for text in texts]
        return np.array(rows, dtype=np.float32)

    @staticmethod
    def _row(text: str) -> Any:
        numbers = [float(word) for word in text.replace("photo of a", "").split() if _number(word)]
        row = np.array([*numbers, 0.0, 0.0, 0.0][:3])
        row[2] += 1e-3  # never nothing
        return row / np.linalg.norm(row)


def _number(word: str) -> bool:
    return word.strip("-.").replace(".", "").isdigit()


LABELS = {"x": "x 1 0", "y": "y 0 1"}


def texts_of(rows: Any) -> list[str]:
    return [" ".join(f"{value:.3f}" for value in row) for row in rows]


numbers = st.floats(-1, 1).map(lambda value: round(value, 2))
rows = st.lists(st.tuples(numbers, numbers, numbers), min_size=1, max_size=8)
sets = st.fixed_dictionaries({name: rows.map(texts_of) for name in LABELS.values()})


def check(before: DescriptionSet, found: Refinement) -> None:
    """What holds for every criterion."""
    assert found.kept.classes == before.classes
    for name in before:
        kept, dropped = (
            list(found.kept[name]),
            [x.text for x in found.dropped if x.class_name == name],
        )
        assert kept
        assert sorted([*kept, *dropped]) == sorted(before[name])
        rest = iter(before[name])
        assert all(text in rest for text in kept), "the old order"
    assert found.kept.provenance is not None
    assert found.kept.provenance["refined"][-1]["encoder"] == "given 1"


@settings(max_examples=80, deadline=None)
@given(sets, st.floats(0.1, 1.0))
def test_by_cosine(mapping: dict[str, list[str]], threshold: float) -> None:
    before = DescriptionSet.of(mapping)
    found = by_cosine(before, Given(), threshold=threshold)
    check(before, found)
    for name in before:
        vectors = Given().encode_texts(found.kept[name])
        cosines = np.tril(vectors @ vectors.T, k=-1)
        assert cosines.max(initial=-1) <= threshold
        assert found.kept[name][0] == before[name][0]
    again = by_cosine(found.kept, Given(), threshold=threshold)
    assert again.dropped == (), "nothing is left to drop"


@settings(max_examples=80, deadline=None)
@given(sets, st.floats(-1, 1), st.integers(1, 4))
def test_by_usefulness(mapping: dict[str, list[str]], margin: float, least: int) -> None:
    before = DescriptionSet.of(mapping)
    found = by_usefulness(before, Given(), margin=margin, least=least)
    check(before, found)
    for name in before:
        assert len(found.kept[name]) >= min(least, len(before[name]))
    # Only the opposite of its own class has no margin above -2.
    lowest = by_usefulness(before, Given(), margin=-2).dropped
    assert all(text.reason.startswith("margin -2.000") for text in lowest)


@settings(max_examples=80, deadline=None)
@given(sets, st.integers(1, 5))
def test_by_coverage(mapping: dict[str, list[str]], keep: int) -> None:
    before = DescriptionSet.of(mapping)
    found = by_coverage(before, Given(), keep=keep)
    check(before, found)
    for name in before:
        assert len(found.kept[name]) == min(keep, len(before[name]))


def coverage(all_texts: Any, kept: Any) -> float:
    rows = Given().encode_texts(all_texts).astype(float)
    chosen = Given().encode_texts(kept).astype(float)
    return float((rows @ chosen.T).max(axis=1).sum())


@settings(max_examples=40, deadline=None)
@given(rows.map(texts_of), st.integers(1, 3))
def test_coverage_is_within_the_bound_of_the_best_subset(texts: list[str], keep: int) -> None:
    """Greedy reaches 1 - 1/e of the best for a function that starts from nothing covered (-1)."""
    from itertools import combinations

    kept = by_coverage(DescriptionSet.of({"x 1 0": texts}), Given(), keep=keep).kept["x 1 0"]
    count = min(keep, len(texts))
    best = max(coverage(texts, subset) for subset in combinations(texts, count))
    shift = len(texts)
    assert coverage(texts, kept) + shift >= (1 - 1 / np.e) * (best + shift) - 1e-4


def test_margins_by_hand() -> None:
    unit = np.array([[1, 0], [0, 1], [0.6, 0.8]], dtype=np.float32)
    encoded = EncodedTexts(unit[:2], unit[[0, 2, 1]], np.array([0, 0, 1]))
    found = text_margins(encoded)
    # Text 0 against its label and text 1: (1, 0) and (.6, .8) make (1.6, .8) of length 1.7889.
    assert found.own == pytest.approx([1.6 / np.hypot(1.6, 0.8), 0.6, 1.0], abs=1e-6)
    own_of_x = np.array([2.6, 0.8]) / np.hypot(2.6, 0.8)
    assert found.other == pytest.approx([0.0, 0.8, own_of_x[1]], abs=1e-6)
    assert found.nearest.tolist() == [1, 1, 0]
    assert found.values[1] < 0


def test_one_class_has_nothing_to_be_told_from() -> None:
    one = DescriptionSet.of({"x 1 0": ["0 1", "1 0"]})
    assert by_usefulness(one, Given()).dropped == ()


def test_real_descriptions() -> None:
    encoder = load_encoder("builtin")
    owls = DescriptionSet.of(
        {
            "owl": ["An owl's large eyes.", "An owl's large eyes", "A woollen sock in a drawer."],
            "sock": ["A knitted sock.", "A pair of striped socks.", "A sock's heel."],
        }
    )
    assert [x.text for x in by_cosine(owls, encoder).dropped] == ["An owl's large eyes"]
    useless = by_usefulness(owls, encoder).dropped
    assert [x.text for x in useless] == ["A woollen sock in a drawer."]
    assert "'sock'" in useless[0].reason


@pytest.mark.parametrize(
    ("by", "wrong"),
    [
        ("cosine", {"threshold": 2}),
        ("cosine", {"threshold": float("nan")}),
        ("usefulness", {"margin": 3}),
        ("usefulness", {"least": 0}),
        ("coverage", {"keep": 0}),
        ("coverage", {"keep": 1.5}),
    ],
)
def test_settings_that_are_refused(by: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(DescriptionError, match="expected"):
        CRITERIA[by](DescriptionSet.of({"x": ["y"]}), Given(), **wrong)


def test_names_alone_are_refused() -> None:
    with pytest.raises(DescriptionError, match="names alone"):
        by_cosine(DescriptionSet.of(["x"]), Given())


# ---------------------------------------------------------------------------------------- command


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    texts = ["A pug's flat face.", "A pug's flat face", "The curled tail of a pug."]
    content = {"pug": texts, "$provenance": {"written_by": "hand"}}
    Path("pets.json").write_text(json.dumps(content), encoding="utf-8")
    return tmp_path


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(["refine", "pets.json", *words])
    assert isinstance(caught.value.code, int)
    return caught.value.code


def test_command(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--out", "out.json", "--show") == 0
    out = capsys.readouterr().out
    assert "pug: A pug's flat face\n    cosine 0.995 to \"A pug's flat face.\"\n" in out
    assert "2 of 3 descriptions of 1 class kept; out.json written" in out
    kept = DescriptionSet.load("out.json")
    assert kept["pug"] == ("A pug's flat face.", "The curled tail of a pug.")
    assert kept.provenance is not None
    assert kept.provenance["written_by"] == "hand"
    (step,) = kept.provenance["refined"]
    assert (step["by"], step["threshold"]) == ("cosine", 0.99)
    assert run("--out", "out.json", "--by", "coverage", "--keep", "1") == 0
    assert len(DescriptionSet.load("out.json")["pug"]) == 1
    assert run("--out", "out.json", "--by", "usefulness") == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--out", "x.txt"], ".json"),
        (["--out", "x.json", "--by", "coverage"], "--keep"),
        (["--out", "x.json", "--by", "coverage", "--keep", "0"], "keep"),
        (["--out", "x.json", "--keep", "3"], "no use for --keep"),
        (["--out", "x.json", "--by", "beauty"], "beauty"),
        ([], "--out"),
    ],
)
def test_usage_errors(
    folder: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*words) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert [x.name for x in folder.iterdir()] == ["pets.json"]
