"""The benchmarks start, and the ones that have no test of their own run to their end."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

FOLDER = Path(__file__).parents[1] / "benchmarks"
NAMES = sorted(
    path.stem for path in FOLDER.glob("*.py") if "main()" in path.read_text(encoding="utf-8")
)


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., tuple[int, str]]]:
    """Run a benchmark in this process; its modules are forgotten afterwards."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(FOLDER))

    def run(name: str, *arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *map(str, arguments)])
        try:
            code = importlib.import_module(name).main()
        except SystemExit as end:
            code = int(end.code or 0)
        return code, capsys.readouterr().out

    yield run
    for module in set(sys.modules) - before:
        if str(FOLDER) in str(getattr(sys.modules[module], "__file__", "")):
            del sys.modules[module]


@pytest.mark.parametrize("name", NAMES)
def test_every_benchmark_says_how_it_is_used(run: Callable[..., tuple[int, str]], name: str):
    code, out = run(name, "--help")
    assert code == 0
    assert out.startswith("usage: ")


def rows(out: str, first: str) -> list[list[str]]:
    """Cells of the table rows whose first cell is this."""
    return [line.strip("| ").split(" | ") for line in out.splitlines() if f"| {first} |" in line]


def test_adaptive_crops_on_a_few_photos(
    run: Callable[..., tuple[int, str]], shared: Path, tmp_path: Path
):
    few = ("--sets", "pacs_photo", "--photos", 3, "--crops", 8, "--risks", 0.01, 0.5)
    code, out = run("adaptive", shared, *few, "--embeddings", tmp_path)
    assert code == 0
    assert [row[:3] for row in rows(out, "pacs_photo")] == [
        ["pacs_photo", method, risk] for method in ("wca", "wca-flat") for risk in ("0.01", "0.5")
    ]
    for row in rows(out, "pacs_photo"):
        assert 1 <= float(row[3]) <= 8
        assert all(0 <= float(share) <= 1 for share in row[4:])
    again = run("adaptive", shared, *few, "--embeddings", tmp_path)
    assert again == (0, out), "kept embeddings give the same figures"


def test_the_layout_of_crops_on_a_few_photos(run: Callable[..., tuple[int, str]], shared: Path):
    few = ("--sets", "pacs_photo", "--photos", 2, "--seeds", 2, "--crops", 3, "--many", 6)
    code, out = run("crop_choice", shared, *few)
    assert code == 0
    assert next(row[1:3] for row in rows(out, "wca")) == ["random", "1.00"]
    kinds = [row[1] for row in rows(out, "wca-flat")]
    assert kinds == ["random", "even", "refined", "nested"]
    assert all(re.fullmatch(r"\d+\.\d\d to \d+\.\d\d", row[3]) for row in rows(out, "wca"))


def test_the_words_beside_regions_of_a_few_photos(
    run: Callable[..., tuple[int, str]], shared: Path
):
    code, out = run("words", shared, "--photos", 3, "--pairs", 2)
    assert code == 0
    assert re.match(r"3 photos, \d+ regions; 2 pairs; builtin\n", out)
    ways = ["largest term", "mean, 0.5", *(f"standout, {n / 4}" for n in range(4))]
    shares = {way: rows(out, way)[0][1:] for way in ways}
    assert float(shares["largest term"][0]) == 1.0
    shown = [float(shares[way][0]) for way in ways[2:]]
    assert sorted(shown, reverse=True) == shown, "the stricter, the fewer"
    assert all(0 <= float(share) <= 1 for row in shares.values() for share in row if share != "-")


def test_the_page_of_results_on_a_few_photos(
    run: Callable[..., tuple[int, str]], tmp_path: Path, picture: Callable[..., Image.Image]
):
    for number, colour in enumerate(("red", "green", "blue")):
        place = tmp_path / "data" / "pacs_photo" / colour
        place.mkdir(parents=True)
        picture(colour, number).save(place / "a.png")
    page = tmp_path / "page.md"
    few = ("--sets", "pacs_photo", "--runs", 2, "--crops", 2, "--cost-images", 1)
    code, _ = run("results_builtin", tmp_path, *few, "--out", page, "--work", tmp_path / "work")
    assert code == 0
    text = page.read_text(encoding="utf-8")
    assert "results_builtin.py ../shared --runs 2 --crops 2 --sets pacs_photo" in text
    assert "## pacs_photo: 3 photos, 3 classes" in text
    assert "for the comparisons with `clip` in one table" in text
    family, cost, memory = rows(text, "wca")
    assert family[2] == "2"
    clip = rows(text, "clip")[0]
    gap = float(family[3].split()[0]) - float(clip[3].split()[0])
    assert float(family[5]) == pytest.approx(gap, abs=0.11)  # of numbers with one decimal
    assert family[-1] in ("yes", "no")
    assert cost[1] == "3"
    assert len(memory) == 9
