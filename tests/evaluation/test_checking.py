"""Receipts: found again from anywhere, repeated honestly, and never repeated onto themselves."""

from __future__ import annotations

import csv
import io
import json
import os
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossalign import EvaluationError
from crossalign.evaluation import Request, check, compare, evaluate
from crossalign.evaluation.rows import COLUMNS, read_csv, side_by_side


def asked(place: object, **changes) -> Request:
    fields = {"models": ("fake:a",), "methods": ("clip", "wca"), "crops": 3}
    return Request(str(place), **{**fields, **changes})


def receipt_of(out: Path) -> dict:
    return json.loads((out / "receipt.json").read_text())


def causes(found) -> list[str]:
    return [difference.cause for difference in found]


# --------------------------------------------------------------------------- what can be compared


def test_a_receipt_alone_is_compared_by_its_totals(photos, encoders, tmp_path):
    evaluate(asked(photos), tmp_path / "out")
    alone = tmp_path / "alone"
    alone.mkdir()
    receipt = receipt_of(tmp_path / "out")
    (alone / "receipt.json").write_text(json.dumps(receipt))
    found = check(alone)
    assert (len(found), found.whole) == (0, False)
    assert "totals alone" in found.scope
    assert "predictions.csv" in str(found)
    receipt["results"][1]["top1"] -= 0.25
    (alone / "receipt.json").write_text(json.dumps(receipt))
    assert "top-1 0.5 is now 0.75" in str(check(alone)[0])
    whole = check(tmp_path / "out")
    assert (len(whole), whole.whole) == (0, True)
    assert whole.scope == "24 predictions one by one, and totals"


def test_predictions_of_another_receipt_are_noticed(photos, encoders, tmp_path):
    evaluate(asked(photos), tmp_path / "out")
    file = tmp_path / "out" / "predictions.csv"
    file.write_text(file.read_text().replace("0.png", "0.jpg"))
    found = check(tmp_path / "out")
    assert causes(found)[:2] == ["predictions file", "images"]
    file.write_text("image,class\n")
    with pytest.raises(EvaluationError, match="expected predictions as"):
        check(tmp_path / "out")
    file.write_text(",".join(COLUMNS) + "\nfake:a,clip\n")
    with pytest.raises(EvaluationError, match="line 2 is cut off"):
        check(tmp_path / "out")


def test_a_class_with_another_name_is_the_same_class(photos, encoders, tmp_path):
    evaluate(asked(photos, methods=("clip",)), tmp_path / "out")
    names = "folder,class_name\nred_wall,red wall\ngreen_wall,green wall\nblue_wall,blue gate\n"
    (tmp_path / "names.csv").write_text(names)
    found = check(tmp_path / "out", changes={"names": str(tmp_path / "names.csv")})
    assert "'blue wall' is now 'blue gate'" in str(found[0])
    assert "images" not in causes(found)
    assert "predictions" not in causes(found)


def test_an_encoder_in_another_folder_is_compared(photos, encoders, tmp_path):
    evaluate(asked(photos, models=("fake:x/model",)), tmp_path / "out")
    found = check(tmp_path / "out", changes={"models": ("fake:y/model",)})
    assert (len(found), found.scope) == (0, "24 predictions one by one, and totals")


def test_fewer_runs_and_methods_are_compared_as_far_as_they_go(photos, encoders, tmp_path):
    evaluate(asked(photos, runs=3), tmp_path / "out")
    found = check(tmp_path / "out", changes={"runs": 2, "methods": ("wca",)})
    assert causes(found)[:2] == ["methods", "seed"]
    assert "predictions" not in causes(found)
    assert found.scope.startswith("24 predictions")


# --------------------------------------------------------------------------------- unsafe folders


def test_a_check_never_writes_over_what_it_checks(photos, encoders, tmp_path):
    out = tmp_path / "out"
    evaluate(asked(photos), out)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    used = tmp_path / "used"
    (used / "journal").mkdir(parents=True)
    for place in (out, used, out / "receipt.json"):
        with pytest.raises(EvaluationError, match="new or an empty folder"):
            check(out, out=place, changes={"seed": 1})
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    assert not check(out, out=tmp_path / "new")
    assert not compare(out, tmp_path / "new")


def test_another_evaluation_in_a_folder_is_announced(photos, encoders, tmp_path):
    notes: list[str] = []
    out = tmp_path / "out"
    for settings in ({}, {}, {"seed": 2, "methods": ("wca",)}):
        notes.clear()
        evaluate(asked(photos, **settings), out, parquet=not settings, on_note=notes.append)
        assert (out / "predictions.parquet").exists() == (not settings)
        if not settings:
            assert notes == []
    (note,) = notes
    assert f"{out} holds another evaluation (it differs in methods, seed)" in note


# -------------------------------------------------------------------------------- places and files


def test_a_receipt_repeats_from_any_folder(photos, encoders, tmp_path, monkeypatch):
    texts = {f"{colour} wall": [f"a {colour} wall"] for colour in ("red", "green", "blue")}
    (tmp_path / "texts.json").write_text(json.dumps(texts))
    monkeypatch.chdir(tmp_path)
    evaluate(asked("photos", descriptions="texts.json"), Path("out"))
    elsewhere = tmp_path / "else" / "where"
    (elsewhere / "photos" / "cat").mkdir(parents=True)  # another folder of that name
    monkeypatch.chdir(elsewhere)
    assert not check(tmp_path / "out")

    photos.rename(tmp_path / "moved")
    (elsewhere / "photos" / "cat").rmdir()
    (elsewhere / "photos").rmdir()
    with pytest.raises(EvaluationError, match="evaluate NEW/PLACE --check"):
        check(tmp_path / "out")
    assert not check(tmp_path / "out", changes={"dataset": os.path.relpath(tmp_path / "moved")})
    (tmp_path / "texts.json").unlink()
    with pytest.raises(EvaluationError, match=r"--descriptions FILE"):
        check(tmp_path / "out", changes={"dataset": str(tmp_path / "moved")})


def test_a_named_set_that_was_moved_is_named_by_its_place(photos, encoders, tmp_path):
    evaluate(asked("folders", root=str(photos)), tmp_path / "out")
    photos.rename(tmp_path / "moved")
    with pytest.raises(EvaluationError, match="expected the root of the receipt"):
        check(tmp_path / "out")
    assert not check(tmp_path / "out", changes={"dataset": str(tmp_path / "moved")})
    assert not check(tmp_path / "out", changes={"root": str(tmp_path / "moved")})


def test_a_receipt_names_files_by_content_and_says_what_really_ran(photos, encoders, tmp_path):
    texts = {f"{colour} wall": [f"a {colour} wall"] for colour in ("red", "green", "blue")}
    path = tmp_path / "texts.json"
    path.write_text(json.dumps(texts))
    evaluate(asked(photos, descriptions=str(path)), tmp_path / "out")
    first = receipt_of(tmp_path / "out")
    assert list(first["files"]) == ["descriptions"]
    assert first["files"]["descriptions"]["bytes"] == path.stat().st_size
    path.write_text(json.dumps(texts, indent=1))
    evaluate(asked(photos, descriptions=str(path)), tmp_path / "out")
    again = receipt_of(tmp_path / "out")
    assert again["files"]["descriptions"]["digest"] != first["files"]["descriptions"]["digest"]
    encoder = first["encoders"]["fake:a"]
    assert encoder["asked"] == {"dtype": None, "device": None, "engine": None}
    assert (encoder["dtype"], encoder["providers"]) == ("fp32", ["NumPy"])


def test_the_builtin_encoder_says_what_runs_it(photos, tmp_path):
    evaluate(Request(str(photos), methods=("clip",), per_class=1), tmp_path / "out")
    encoder = receipt_of(tmp_path / "out")["encoders"]["builtin"]
    assert (encoder["dtype"], encoder["providers"]) == ("fp32", ["CPUExecutionProvider"])


def test_where_no_image_can_be_read_the_first_is_named(photos, encoders, tmp_path):
    for path in photos.rglob("*.png"):
        path.write_bytes(b"not a picture")
    with pytest.raises(EvaluationError, match=r"every one of 12 failed. The first is blue_wall/0"):
        evaluate(asked(photos), tmp_path / "out")
    rows = list(read_csv(tmp_path / "out" / "predictions.csv"))
    assert len(rows) == 24
    assert all(row["error"] for row in rows)


# ---------------------------------------------------------------------------------- side by side


@given(st.lists(st.integers(0, 9)), st.lists(st.integers(0, 9)))
def test_rows_are_paired_whatever_their_order(one, two):
    old, new = ([{"image": str(number)} for number in numbers] for numbers in (one, two))
    pairs = list(side_by_side(old, new, lambda row: row["image"], lambda row: row["image"]))
    assert all(a is None or b is None or a == b for a, b in pairs)
    assert sorted(a["image"] for a, _ in pairs if a) == sorted(map(str, one))
    assert sorted(b["image"] for _, b in pairs if b) == sorted(map(str, two))
    alone = [
        {a["image"] for a, b in pairs if b is None},
        {b["image"] for a, b in pairs if a is None},
    ]
    assert not alone[0] & alone[1]  # none that could have been paired


def test_long_files_are_compared_in_little_memory(tmp_path):
    count = int(os.environ.get("CROSSALIGN_CHECK_ROWS", "20000"))
    for name, first in (("one", 0), ("two", 3)):  # three images are gone
        (tmp_path / name).mkdir()
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(
            ("fake:a", "wca", 0, 0, f"red_wall/{number:08d}.png", "red_wall", "red wall",
             "red wall", 0, 0.3, 0.9, 0.1, 60, f"{number:032x}", "")
            for number in range(first, count)
        )  # fmt: skip
        (tmp_path / name / "predictions.csv").write_text(text.getvalue())
        receipt = {
            "format": 1,
            "request": {"seed": 0},
            "dataset": {"name": "folders", "split": "all", "classes": [["red_wall", "red wall"]]},
            "results": [{"encoder": "fake:a", "method": "wca", "runs": 1, "images": count - first,
                         "failed": 0, "top1": 1.0, "top5": 1.0, "per_class": 1.0}],
            "texts": {}, "encoders": {"fake:a": {"fingerprint": "a"}}, "methods": {},
            "protocol": {"name": "fresh", "runs": 1}, "versions": {},
            "predictions": {"file": "predictions.csv", "digest": ""},
        }  # fmt: skip
        (tmp_path / name / "receipt.json").write_text(json.dumps(receipt))
    tracemalloc.start()
    found = compare(tmp_path / "one", tmp_path / "two")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "no longer there: red_wall/00000000.png" in found[2].detail
    assert found.scope.startswith(f"{count - 3} predictions")
    assert peak < 2_500_000
