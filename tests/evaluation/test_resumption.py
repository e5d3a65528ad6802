"""What an evaluation takes from its journals, and what it computes anew."""

from __future__ import annotations

import importlib
import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from crossalign import METHODS, CropSpec
from crossalign.evaluation import Request, evaluate
from crossalign.evaluation import run as run_module

evaluate_module = importlib.import_module("crossalign.evaluation.evaluate")

WALLS = ("red wall", "green wall", "blue wall")


def clip(place: Path) -> Request:
    return Request(str(place), models=("fake:a",), methods=("clip",))


def top1(place: Path, out: Path) -> float:
    return evaluate(clip(place), out)["results"][0]["top1"]["mean"]


def receipt_of(out: Path) -> dict:
    return json.loads((out / "receipt.json").read_text())


def test_a_receipt_says_who_computed_and_not_who_wrote_it_last(
    photos, encoders, tmp_path, monkeypatch
):
    out = tmp_path / "out"
    evaluate(clip(photos), out, command=["one"])
    first = receipt_of(out)
    later = {**first["versions"], "crossalign": "99.0"}
    monkeypatch.setattr(evaluate_module, "versions", lambda: later)
    evaluate(clip(photos), out, command=["two"], parquet=True)
    again = receipt_of(out)
    assert again["command"] == ["two"]
    for name in ("sessions", "versions", "passes"):
        assert again[name] == first[name]
    (photos / "red_wall" / "1.png").touch()
    evaluate(clip(photos), out, command=["three"])
    mixed = receipt_of(out)
    assert [session["command"] for session in mixed["sessions"]] == [["one"], ["three"]]
    assert [session["images"] for session in mixed["sessions"]] == [12, 1]
    assert mixed["versions"]["crossalign"] == f"{first['versions']['crossalign']} and 99.0"


def test_outcomes_of_other_rules_are_not_taken(photos, encoders, tmp_path, monkeypatch):
    evaluate(clip(photos), tmp_path / "out")
    monkeypatch.setattr(run_module, "SCORING", run_module.SCORING + 1)
    seen = []
    evaluate(clip(photos), tmp_path / "out", on_progress=lambda *step: seen.append(step))
    assert len(seen) == 12


def test_only_what_changed_is_computed_again(photos, encoders, tmp_path, picture):
    asked = Request(str(photos), models=("fake:a",), methods=("wca",), crops=5)
    out = tmp_path / "out"
    evaluate(asked, out, store=False)
    (photos / "green_wall" / "2.png").touch()
    picture("red", 99).save(photos / "green_wall" / "9.png")
    (photos / "blue_wall" / "0.png").unlink()
    evaluate(asked, out, store=False)
    assert sum(encoders[-1].image_batches) == 2 * 6
    resumed = (out / "predictions.csv").read_bytes()
    evaluate(asked, tmp_path / "anew", store=False)
    assert resumed == (tmp_path / "anew" / "predictions.csv").read_bytes()
    (journal,) = (out / "journal").iterdir()
    outcomes = [line for line in journal.read_bytes().splitlines() if line.startswith(b'{"k"')]
    assert len(outcomes) == 12  # what is no longer there was dropped


def test_a_failed_image_is_tried_again(photos, encoders, tmp_path):
    path = photos / "red_wall" / "0.png"
    original = path.read_bytes()
    failed = []
    for content in (b"x" * len(original), original):  # of one size and time
        path.write_bytes(content)
        os.utime(path, ns=(10**18, 10**18))
        failed.append(evaluate(clip(photos), tmp_path / "out")["results"][0]["failed"])
    assert failed == [1, 0]


def test_lines_that_rotted_are_computed_again(photos, encoders, tmp_path):
    out = tmp_path / "out"
    whole = evaluate(clip(photos), out)
    (journal,) = (out / "journal").iterdir()
    lines = journal.read_bytes().splitlines(keepends=True)
    lines[5] = b"\0" * (len(lines[5]) - 1) + b"\n"
    lines[7] = lines[7][:9] + b"\n"
    journal.write_bytes(b"".join(lines))
    seen = []
    assert evaluate(clip(photos), out, on_progress=lambda *step: seen.append(step)) == whole
    assert len(seen) == 2


def _shard(folder: Path, images: list[bytes]) -> None:
    (folder / "classnames.txt").write_text("\n".join(WALLS))
    with tarfile.open(folder / "00.tar", "w") as archive:
        for label, image in enumerate(images):
            for ending, content in (("png", image), ("cls", str(label).encode())):
                member = tarfile.TarInfo(f"{label}.{ending}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))


def _parquet_file(folder: Path, images: list[bytes]) -> None:
    cells = [{"bytes": image, "path": None} for image in images]
    parquet.write_table(pa.table({"image": cells, "label": WALLS}), folder / "test-00.parquet")


@pytest.mark.parametrize("write", [_shard, _parquet_file])
def test_images_in_containers_are_told_apart_by_their_bytes(
    write: Callable[[Path, list[bytes]], None], encoders, tmp_path, picture
):
    for name, colours in (("one", "red green blue"), ("two", "green blue red")):
        (tmp_path / name).mkdir()
        files = [io.BytesIO() for _ in WALLS]
        for file, colour in zip(files, colours.split(), strict=True):
            picture(colour, 1).save(file, "PNG")
        write(tmp_path / name, [file.getvalue() for file in files])
    out = tmp_path / "out"
    assert top1(tmp_path / "one", out) == 1.0
    assert top1(tmp_path / "two", out) == 0.0  # the same names, other pixels
    (tmp_path / "one").rename(tmp_path / "old")
    (tmp_path / "two").rename(tmp_path / "one")  # as if written anew in its place
    assert top1(tmp_path / "one", out) == 0.0


def test_files_of_another_root_are_other_images(encoders, tmp_path, picture):
    shares = []
    for name, colours in (("one", ("red", "green")), ("two", ("green", "red"))):
        for folder, colour in zip(("red_wall", "green_wall"), colours, strict=True):
            path = tmp_path / name / folder / "a.bmp"  # of one size, whatever it shows
            path.parent.mkdir(parents=True)
            picture(colour, 1).save(path)
            os.utime(path, ns=(10**18, 10**18))
        shares.append(top1(tmp_path / name, tmp_path / "out"))
    assert shares == [1.0, 0.0]


def test_a_grid_is_resampled_too(photos, encoders, tmp_path):
    grid = METHODS["wca"].__class__("grid", "templates", crops=CropSpec(count=4, kind="grid"))
    asked = Request(
        str(photos), models=("fake:a",), methods=(grid,), protocol="published", pool=20, runs=3
    )
    notes = []
    (row,) = evaluate(asked, tmp_path / "out", on_note=notes.append)["results"]
    assert (row["crops"], row["top1"]["runs"]) == (4, 3)
    assert notes == []
