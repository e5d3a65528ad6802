"""Evaluations as a user runs them: results, resumption, receipts and what they tell apart."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import hashlib
import io
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tarfile
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pyarrow import parquet

from crossalign import (
    METHODS,
    Adaptive,
    Classifier,
    CropError,
    CropSpec,
    CrossalignError,
    EvaluationError,
    ImageError,
)
from crossalign.engine.views import Opener
from crossalign.errors import MissingExtraError
from crossalign.evaluation import Request, check, compare, evaluate
from crossalign.evaluation import run as run_module
from crossalign.evaluation.differences import compare_predictions
from crossalign.evaluation.journal import Journal
from crossalign.evaluation.reported import architecture, cells, matching, read_cells
from crossalign.evaluation.run_scores import Outcome


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "predictions.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def request(photos: Path, **changes) -> Request:
    fields = {"models": ("fake:a",), "methods": ("clip", "wca"), "crops": 5, "runs": 2}
    return Request(str(photos), **{**fields, **changes})


# ----------------------------------------------------------------------------------------- results


def test_an_evaluation_writes_what_it_promises(photos, encoders, tmp_path):
    content = evaluate(request(photos), tmp_path / "out", parquet=True, command=["a", "command"])
    rows = rows_of(tmp_path / "out")
    assert len(rows) == 12 + 2 * 12  # clip has no chance in it and runs once
    clip, wca = content["results"]
    for method, entry in (("clip", clip), ("wca", wca)):
        mine = [row for row in rows if row["method"] == method]
        hits = [row["class"] == row["predicted"] for row in mine]
        assert entry["top1"]["mean"] == pytest.approx(np.mean(hits))
        assert entry["top5"]["mean"] == 1.0  # of three classes
        assert entry["top1"]["low"] <= entry["top1"]["mean"] <= entry["top1"]["high"]
    assert clip["top1"]["sd"] is None
    assert wca["top1"]["runs"] == 2
    assert (clip["crops"], wca["crops"]) == (0, 5)
    assert clip["top1"]["mean"] == 0.75  # the hard ones are wrong
    assert clip["confusions"] == [
        ["blue wall", "red wall", 1],
        ["green wall", "blue wall", 1],
        ["red wall", "green wall", 1],
    ]
    (comparison,) = content["comparisons"]
    assert comparison["first"] == ["fake:a", "clip"]
    assert not comparison["significant"]
    table = parquet.read_table(tmp_path / "out" / "predictions.parquet").to_pylist()
    assert [row["predicted"] for row in table] == [row["predicted"] for row in rows]
    for name in ("report.md", "report.html"):
        page = (tmp_path / "out" / name).read_text()
        assert "75.0" in page
        assert "fresh crops" in page
    assert "<script" not in page
    for plot in ("top1", "risk", "reliability"):
        assert (tmp_path / "out" / "plots" / f"{plot}.svg").read_text().startswith("<svg")
    assert json.loads((tmp_path / "out" / "results.json").read_text()) == content


def test_the_receipt_says_how_the_numbers_came_to_be(photos, encoders, tmp_path):
    evaluate(request(photos), tmp_path / "out", command=["crossalign", "evaluate", "x"])
    receipt = json.loads((tmp_path / "out" / "receipt.json").read_text())
    assert receipt["command"] == ["crossalign", "evaluate", "x"]
    assert receipt["versions"]["numpy"] == np.__version__
    assert receipt["machine"]["cores"] == os.cpu_count()
    assert receipt["encoders"]["fake:a"]["preprocess"]["size"] == 8
    assert receipt["methods"]["wca"]["crops"]["count"] == 5
    assert receipt["dataset"]["classes"][0] == ["blue_wall", "blue wall"]
    assert receipt["protocol"]["seeds"] == [0, 1]
    assert receipt["dataset"]["images"] == 12
    for entry in receipt["passes"]:
        (session,) = entry["sessions"]
        assert session["images"] == 12
        assert session["command"] == ["crossalign", "evaluate", "x"]
        assert receipt["started"] <= session["started"] <= receipt["finished"]
    assert receipt["encoders"]["fake:a"]["ran"] == {"dtype": "fp64", "providers": ["paper"]}


def test_twice_with_one_seed_gives_the_same_predictions(photos, encoders, tmp_path):
    for name in ("one", "two"):
        evaluate(request(photos), tmp_path / name)
    one, two = ((tmp_path / n / "predictions.csv").read_bytes() for n in ("one", "two"))
    assert one == two
    evaluate(request(photos, seed=1), tmp_path / "three")
    assert (tmp_path / "three" / "predictions.csv").read_bytes() != one


def test_fresh_seeds_cut_anew_and_agree_with_single_runs(photos, encoders, tmp_path):
    evaluate(request(photos, methods=("wca",), runs=3), tmp_path / "all")
    rows = rows_of(tmp_path / "all")
    assert {(row["run"], row["seed"]) for row in rows} == {("0", "0"), ("1", "1"), ("2", "2")}
    evaluate(request(photos, methods=("wca",), runs=1, seed=2), tmp_path / "last")
    alone = [row["score"] for row in rows_of(tmp_path / "last")]
    assert alone == [row["score"] for row in rows if row["seed"] == "2"]


def test_the_published_protocol_encodes_one_pool(photos, encoders, tmp_path):
    asked = request(photos, methods=("wca",), protocol="published", pool=7, runs=4)
    content = evaluate(asked, tmp_path / "out")
    (entry,) = content["results"]
    assert entry["top1"]["runs"] == 4
    assert entry["crops"] == 5
    receipt = json.loads((tmp_path / "out" / "receipt.json").read_text())
    assert receipt["methods"]["wca"]["crops"]["count"] == 7
    assert receipt["methods"]["wca"]["crops"]["side"] == [0.1, 0.9]
    assert sum(encoders[-1].image_batches) == 12 * 8  # once, however many runs
    assert len(rows_of(tmp_path / "out")) == 48
    assert "leaves out the chance in the pool" in (tmp_path / "out" / "report.md").read_text()


def test_adaptive_crops_are_counted_image_by_image(photos, encoders, tmp_path):
    asked = request(photos, methods=("clip", "wca"), crops="auto", risk=0.2, runs=2)
    content = evaluate(asked, tmp_path / "out")
    clip, wca = content["results"]
    assert (clip["crops"], clip["crops_taken"]) == (0, 0)
    rows = [row for row in rows_of(tmp_path / "out") if row["method"] == "wca"]
    taken = [int(row["crops"]) for row in rows]
    assert wca["crops"] == METHODS["wca"].crops.count
    assert wca["crops_taken"] == pytest.approx(np.mean(taken))
    assert min(taken) < 60
    page = (tmp_path / "out" / "report.md").read_text()
    assert f"{wca['crops_taken']:.1f} of 60" in page
    assert "at a risk of 0.2" in page

    classifier = Classifier(
        ["blue wall", "green wall", "red wall"],
        encoder=encoders[-1],
        crops=Adaptive(risk=0.2),
        seed=1,
    )
    again = next(row for row in rows if (row["image"], row["seed"]) == ("red_wall/1.png", "1"))
    prediction = classifier(photos / "red_wall" / "1.png")
    assert (prediction.label, prediction.crops) == (again["predicted"], int(again["crops"]))

    evaluate(asked, tmp_path / "out")  # all of it is in the journal
    assert rows_of(tmp_path / "out")[-len(rows) :] == rows
    causes = [found.cause for found in check(tmp_path / "out", changes={"risk": 0.01})]
    assert "risk" in causes
    found = check(tmp_path / "out", changes={"crops": 60, "risk": None})
    assert "crops" in [difference.cause for difference in found]


def test_adaptive_crops_are_at_most_the_method_s_own(photos, encoders, tmp_path):
    few = dataclasses.replace(METHODS["wca"], name="few", crops=CropSpec(count=3))
    asked = request(photos, methods=("bifta", few), crops="auto", risk=1e-9, runs=1)
    bifta, own = evaluate(asked, tmp_path / "out")["results"]
    assert (bifta["crops"], own["crops"]) == (METHODS["bifta"].crops.count, 3)
    assert own["crops_taken"] == 3  # so small a risk takes all of them
    receipt = json.loads((tmp_path / "out" / "receipt.json").read_text())
    assert receipt["methods"]["bifta"]["crops"]["count"] == METHODS["bifta"].crops.count
    classifier = Classifier(
        ["blue wall", "green wall", "red wall"],
        encoder=encoders[-1],
        method="bifta",
        crops=Adaptive.of(METHODS["bifta"].crops.count, 1e-9),
    )
    row = next(row for row in rows_of(tmp_path / "out") if row["image"] == "red_wall/1.png")
    prediction = classifier(photos / "red_wall" / "1.png")
    assert int(row["crops"]) == prediction.crops
    assert float(row["score"]) == pytest.approx(prediction.score, abs=1e-5)


def test_crops_are_laid_out_as_asked(photos, encoders, tmp_path):
    asked = request(photos, methods=("clip", "wca", "bifta"), kind="even", side=(0.2, 0.4), runs=1)
    content = evaluate(asked, tmp_path / "out")
    receipt = json.loads((tmp_path / "out" / "receipt.json").read_text())
    for name in ("wca", "bifta"):
        spec = receipt["methods"][name]["crops"]
        assert (spec["kind"], spec["side"], spec["count"]) == ("even", [0.2, 0.4], 5)
    made = dict(content["made"])
    assert (
        made["method wca"] == "crops 5, not 60; side 0.2 to 0.4, not 0.5 to 0.9; crops even, "
        "not random"
    )
    row = next(
        row
        for row in rows_of(tmp_path / "out")
        if (row["method"], row["image"]) == ("wca", "blue_wall/2.png")
    )
    classifier = Classifier(
        ["blue wall", "green wall", "red wall"],
        encoder=encoders[-1],
        crops=CropSpec(count=5, side=(0.2, 0.4), kind="even"),
    )
    prediction = classifier(photos / "blue_wall" / "2.png")
    assert float(row["score"]) == pytest.approx(prediction.score, abs=1e-5)
    with pytest.raises(CropError, match="unknown kind of crops 'odd'"):
        evaluate(request(photos, kind="odd"), tmp_path / "odd")


def test_a_grid_is_resampled_where_the_protocol_resamples(photos, encoders, tmp_path):
    asked = request(
        photos, methods=("wca",), protocol="published", pool=9, crops=4, runs=3, kind="grid"
    )
    (row,) = evaluate(asked, tmp_path / "out")["results"]
    assert (row["crops"], row["top1"]["runs"]) == (4, 3)
    scores = {r["score"] for r in rows_of(tmp_path / "out") if r["image"] == "red_wall/0.png"}
    assert len(scores) == 3


def test_a_grid_has_no_chance_in_it(photos, encoders, tmp_path):
    notes: list[str] = []
    asked = request(photos, methods=("wca",), kind="grid", runs=3)
    (entry,) = evaluate(asked, tmp_path / "out", on_note=notes.append)["results"]
    assert entry["top1"]["runs"] == 1
    assert notes == ["without effect: --runs: none of the methods has chance in it"]


def test_methods_share_embeddings_through_the_store(photos, encoders, tmp_path):
    flat = METHODS["wca"].__class__("flat", "descriptions", crops=CropSpec(count=5))
    evaluate(request(photos, methods=("clip", "wca", flat), runs=1), tmp_path / "out")
    assert sum(encoders[-1].image_batches) == 12 * 6


def test_descriptions_are_matched_by_name(photos, encoders, tmp_path):
    texts = {f"{colour.title()}_Wall": [f"a {colour} wall"] for colour in ("red", "green", "blue")}
    (tmp_path / "texts.json").write_text(json.dumps({**texts, "other": ["x"]}))
    path = str(tmp_path / "texts.json")
    content = evaluate(
        request(photos, methods=("cupl", "clip-d"), descriptions=path, descriptors=path),
        tmp_path / "out",
    )
    assert [row["texts"] for row in content["results"]] == ["descriptions", "descriptors"]
    del texts["Red_Wall"]
    (tmp_path / "texts.json").write_text(json.dumps(texts))
    with pytest.raises(EvaluationError, match="none for 'red wall'"):
        evaluate(request(photos, methods=("cupl",), descriptions=path), tmp_path / "b")
    with pytest.raises(EvaluationError, match="--descriptors FILE"):
        evaluate(request(photos, methods=("clip-d",)), tmp_path / "c")


def test_classes_of_one_name_tie_and_the_first_wins(photos, encoders, tmp_path):
    lines = "folder,class_name\nred_wall,red\ngreen_wall,green\nblue_wall,Red\n"
    (tmp_path / "names.csv").write_text(lines)
    asked = request(photos, methods=("clip",), names=str(tmp_path / "names.csv"))
    content = evaluate(asked, tmp_path / "out")
    assert content["dataset"]["shared_names"] == 1
    assert "can never be predicted" in (tmp_path / "out" / "report.md").read_text()
    predicted = {row["predicted"] for row in rows_of(tmp_path / "out")}
    assert predicted == {"green", "Red"}  # blue_wall comes first among the folders


def test_broken_images_are_left_out_and_named(photos, encoders, tmp_path):
    (photos / "red_wall" / "0.png").write_bytes(b"not a picture")
    content = evaluate(request(photos), tmp_path / "out")
    assert {row["failed"] for row in content["results"]} == {1}
    assert content["results"][0]["images"] == 11
    broken = [row for row in rows_of(tmp_path / "out") if row["error"]]
    assert {row["image"] for row in broken} == {"red_wall/0.png"}
    for path in photos.rglob("*.png"):
        path.write_bytes(b"not a picture")
    with pytest.raises(
        EvaluationError, match=r"all 12 failed. The\s+first: .*0.png: expected an image"
    ):
        evaluate(request(photos), tmp_path / "none")


def test_a_few_images_of_each_class(photos, encoders, tmp_path):
    content = evaluate(request(photos, per_class=2), tmp_path / "out")
    assert content["dataset"]["images"] == 6
    assert {row["class"] for row in rows_of(tmp_path / "out")} == {
        "red wall",
        "green wall",
        "blue wall",
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"protocol": "odd"},
        {"runs": 0},
        {"seed": -1},
        {"methods": ()},
        {"methods": ("wca", "wca")},
        {"temperature": 0.0},
        {"crops": "many"},
        {"crops": "auto", "protocol": "published"},
        {"risk": 0.1},
    ],
)
def test_unusable_requests_are_refused(photos, changes):
    with pytest.raises(EvaluationError, match=r"expected|unknown|goes with"):
        request(photos, **changes)


@pytest.mark.parametrize(
    ("changes", "option"),
    [
        ({"crops": 0}, "--crops"),
        ({"crops": True}, "--crops"),
        ({"crops": 10**9}, "--crops"),
        ({"crops": "auto", "risk": 5}, "--risk"),
        ({"crops": "auto", "risk": 0.0}, "--risk"),
        ({"side": (5, 9)}, "--side"),
        ({"kind": "odd"}, "--kind"),
        ({"crop_scale": float("nan")}, "--crop-scale"),
        ({"description_weighting": "odd"}, "--description-weighting"),
        ({"runs": 1.5}, "--runs"),
        ({"protocol": "odd"}, "--protocol"),
    ],
)
@pytest.mark.parametrize("methods", [("clip",), ("wca",)])
def test_settings_out_of_range_are_refused_by_their_options_names(changes, option, methods):
    with pytest.raises(CrossalignError, match=option):
        Request("photos", methods=methods, **changes)


def test_crops_as_needed_know_softmax_weights_alone(photos, encoders, tmp_path):
    asked = request(photos, methods=("wca",), crops="auto", crop_weighting="max")
    with pytest.raises(EvaluationError, match=r"--crops auto .* weighs crops by 'max'"):
        evaluate(asked, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_receipt_has_the_protocol_as_it_ran(photos, encoders, tmp_path):
    asked = request(photos, methods=("wca",), protocol="published", pool=7, side=(0.2, 0.4))
    evaluate(asked, tmp_path / "out")
    protocol = json.loads((tmp_path / "out" / "receipt.json").read_text())["protocol"]
    assert (protocol["pool"], protocol["side"]) == (7, [0.2, 0.4])


@pytest.mark.parametrize("package", ["scipy"])
def test_evaluating_without_statistics_names_the_extra_before_any_work(
    photos, encoders, tmp_path, monkeypatch, package
):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=r"pip install 'crossalign\[evaluation\]'"):
        evaluate(request(photos), tmp_path / "out")
    assert encoders == []
    assert not (tmp_path / "out").exists()


def test_requests_survive_json(photos):
    method = METHODS["wca"].__class__("mine", "templates", CropSpec(4), templates=("a {}.",))
    asked = request(photos, methods=("clip", method), side=(0.2, 0.4))
    assert Request.from_json(json.loads(json.dumps(asked.to_json()))) == asked
    with pytest.raises(EvaluationError, match="unknown settings of an evaluation: colour"):
        Request.from_json({"dataset": "x", "colour": 1})


# -------------------------------------------------------------------------------------- resumption


def test_an_interrupted_evaluation_goes_on_where_it_stopped(
    photos, encoders, tmp_path, monkeypatch
):
    whole = evaluate(request(photos), tmp_path / "whole")
    stop = {"after": 7}

    class Stopping(Journal):
        def append(self, place: int, outcome: Outcome) -> None:
            stop["after"] -= 1
            if stop["after"] < 0:
                raise KeyboardInterrupt
            super().append(place, outcome)

    with monkeypatch.context() as patch:
        patch.setattr(run_module, "Journal", Stopping)
        with pytest.raises(KeyboardInterrupt):
            evaluate(request(photos), tmp_path / "part")
    assert evaluate(request(photos), tmp_path / "part") == whole
    assert computed(tmp_path / "part") == [[7, 5], [12], [12]]


def computed(out: Path) -> list[list[int]]:
    """How many images each session of each pass computed."""
    receipt = json.loads((out / "receipt.json").read_text())
    return [[one["images"] for one in entry["sessions"]] for entry in receipt["passes"]]


def forget(out: Path, count: int) -> None:
    """Take so many images out of every journal, as if they had not been done."""
    for journal in (out / "journal").iterdir():
        with contextlib.closing(sqlite3.connect(journal)) as rows, rows:
            rows.execute("DELETE FROM outcomes WHERE place IN (3, 4, 7, 8, 11)")
            assert rows.execute("SELECT count(*) FROM outcomes").fetchone() == (12 - count,)


def test_resuming_computes_only_the_rest(photos, encoders, tmp_path):
    out = tmp_path / "out"
    whole = evaluate(request(photos), out, command=["the first"])
    predictions = (out / "predictions.csv").read_bytes()
    first = json.loads((out / "receipt.json").read_text())
    forget(out, 5)
    again = evaluate(request(photos), out, command=["the second"])
    assert {**again, "made": whole["made"]} == whole
    assert (out / "predictions.csv").read_bytes() == predictions
    assert computed(out) == [[12, 5]] * 3
    assert sum(encoders[-1].image_batches) == 0  # the store had the rest
    evaluate(request(photos), out, command=["the third"])
    assert encoders[-1].text_calls == []
    assert computed(out) == [[12, 5]] * 3, "what computed nothing is no session"
    last = json.loads((out / "receipt.json").read_text())
    assert last["started"] == first["started"]
    commands = [one["command"] for one in last["passes"][0]["sessions"]]
    assert commands == [["the first"], ["the second"]]


def test_images_that_come_and_go_leave_the_others_as_they_are(photos, encoders, tmp_path, picture):
    asked = request(photos, methods=("clip",))
    evaluate(asked, tmp_path / "out")
    (photos / "blue_wall" / "0.png").rename(photos / "blue_wall" / "00.png")
    picture("green", 90).save(photos / "green_wall" / "05.png")
    (photos / "red_wall" / "2.png").unlink()
    evaluate(asked, tmp_path / "out")
    evaluate(asked, tmp_path / "fresh")
    files = [(tmp_path / name / "predictions.csv").read_bytes() for name in ("out", "fresh")]
    assert files[0] == files[1]
    assert b"blue_wall/00.png" in files[0]
    assert computed(tmp_path / "out") == [[12, 2]]


def test_images_that_failed_are_tried_again(photos, encoders, tmp_path, monkeypatch):
    asked = request(photos, methods=("clip",))
    look = Opener.look

    def unplugged(self: Opener, source):
        if Path(source).name == "1.png":
            raise ImageError(f"{source}: the disk is not there")
        return look(self, source)

    with monkeypatch.context() as patch:
        patch.setattr(Opener, "look", unplugged)
        assert evaluate(asked, tmp_path / "out")["results"][0]["failed"] == 3
    assert evaluate(asked, tmp_path / "out")["results"][0]["failed"] == 0
    assert computed(tmp_path / "out") == [[12, 3]]


@pytest.mark.parametrize("stranger", ["text", "sqlite", "half"])
def test_a_journal_that_is_none_is_begun_anew(photos, encoders, tmp_path, stranger):
    asked = request(photos, methods=("clip",))
    whole = evaluate(asked, tmp_path / "out")
    (journal,) = (tmp_path / "out" / "journal").iterdir()
    if stranger == "sqlite":
        journal.unlink()
        with contextlib.closing(sqlite3.connect(journal)) as rows, rows:
            rows.execute("CREATE TABLE notes (text)")
    else:
        content = journal.read_bytes()
        journal.write_bytes(
            b"a diary" * 900 if stranger == "text" else content[: len(content) // 2]
        )
    assert evaluate(asked, tmp_path / "out") == whole
    assert computed(tmp_path / "out") == [[12]]


def test_two_evaluations_in_one_folder_refuse_each_other(photos, encoders, tmp_path):
    asked = request(photos, methods=("clip",))
    evaluate(asked, tmp_path / "out")
    (journal,) = (tmp_path / "out" / "journal").iterdir()
    with contextlib.closing(sqlite3.connect(journal, isolation_level=None)) as rows:
        rows.execute("BEGIN EXCLUSIVE")
        with pytest.raises(EvaluationError, match="another evaluation is running there"):
            evaluate(asked, tmp_path / "out")
    evaluate(asked, tmp_path / "out")


def test_another_version_computes_anew(photos, encoders, tmp_path, monkeypatch):
    asked = request(photos, methods=("clip",))
    evaluate(asked, tmp_path / "out")
    monkeypatch.setattr("crossalign.__version__", "99.0")
    evaluate(asked, tmp_path / "out")
    receipt = json.loads((tmp_path / "out" / "receipt.json").read_text())
    assert receipt["versions"]["crossalign"] == "99.0"
    assert computed(tmp_path / "out") == [[12]]


def shard(path: Path, pictures: dict[str, Image.Image]) -> None:
    """Write a WebDataset shard of two classes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, picture in pictures.items():
            stream = io.BytesIO()
            picture.save(stream, "PNG")
            for ending, data in (("png", stream.getvalue()), ("cls", name[0].encode())):
                entry = tarfile.TarInfo(f"{name}.{ending}")
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))


def test_archives_with_the_same_names_and_other_pictures_are_told_apart(
    encoders, tmp_path, picture
):
    right = {"0a": picture("red", 1), "1a": picture("green", 2)}
    wrong = {"0a": picture("green", 1), "1a": picture("red", 2)}
    for name, pictures in (("one", right), ("two", wrong)):
        shard(tmp_path / name / "photos" / "000.tar", pictures)
        (tmp_path / name / "photos" / "classnames.txt").write_text("red wall\ngreen wall\n")
    top = []
    for name in ("one", "two"):
        asked = request(tmp_path / name / "photos", methods=("clip",))
        top.append(evaluate(asked, tmp_path / "out")["results"][0]["top1"]["mean"])
    assert top == [1.0, 0.0]
    shard(tmp_path / "two" / "photos" / "000.tar", {"0a": right["0a"], "1a": wrong["1a"]})
    asked = request(tmp_path / "two" / "photos", methods=("clip",))
    assert evaluate(asked, tmp_path / "out")["results"][0]["top1"]["mean"] == 0.5
    assert computed(tmp_path / "out") == [[2, 1]]


def test_an_image_that_changed_is_computed_again(photos, encoders, tmp_path, picture):
    asked = request(photos, methods=("clip",))
    evaluate(asked, tmp_path / "out")
    picture("green", 77).save(photos / "red_wall" / "1.png")
    evaluate(asked, tmp_path / "out")
    row = next(row for row in rows_of(tmp_path / "out") if row["image"] == "red_wall/1.png")
    assert row["predicted"] == "green wall"
    assert sum(encoders[-1].image_batches) == 1  # the store knows the others


KILLED = """
import sys, time
from pathlib import Path
sys.path[:0] = {path!r}
import conftest
from crossalign.encoders import registry
from crossalign.evaluation import Request, evaluate

class Slow(conftest.FakeEncoder):
    def encode_images(self, pixels):
        time.sleep(0.02)
        return super().encode_images(pixels)

registry._SCHEMES["fake"] = registry.Scheme("fake:<anything>", lambda rest: Slow())
evaluate(Request({photos!r}, models=("fake:a",), methods=("clip", "wca"), crops=5, runs=2),
         Path({out!r}))
print("done")
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_killed_at_random_moments_it_ends_with_the_same_predictions(photos, tmp_path, picture):
    for number in range(4, 40):
        picture("red", 100 + number).save(photos / "red_wall" / f"{number}.png")
    here = str(Path(__file__).parents[1])

    def run(out: str, after: float | None) -> bool:
        code = KILLED.format(path=[here], photos=str(photos), out=out)
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        try:
            process.wait(after)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        return b"done" in process.communicate()[0]

    start = time.monotonic()
    assert run(str(tmp_path / "whole"), 60)
    whole_time = time.monotonic() - start
    rng = np.random.default_rng(int(os.environ.get("CROSSALIGN_KILL_SEED", "0")))
    kills = int(os.environ.get("CROSSALIGN_KILLS", "3"))
    for _ in range(kills):
        run(str(tmp_path / "killed"), float(rng.uniform(0.3, 0.8)) * whole_time)
        for journal in (tmp_path / "killed" / "journal").glob("*.sqlite"):
            with contextlib.closing(sqlite3.connect(journal)) as rows:
                assert rows.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert run(str(tmp_path / "killed"), 60)
    names = ("encoder", "method", "run", "image", "predicted", "rank", "content")
    whole, killed = (
        [[row[name] for name in names] for row in rows_of(tmp_path / name)]
        for name in ("whole", "killed")
    )
    assert killed == whole


@pytest.mark.slow
def test_memory_does_not_grow_with_the_data_set(encoders, tmp_path, picture):
    for name, count in (("few", 30), ("many", 300)):
        folder = tmp_path / name / "red_wall"
        folder.mkdir(parents=True)
        (tmp_path / name / "green_wall").mkdir()
        picture("green", 1).save(tmp_path / name / "green_wall" / "0.png")
        for number in range(count):
            picture("red", number).save(folder / f"{number:04d}.png")

    def peak(name: str) -> int:
        asked = request(tmp_path / name, methods=("wca",), runs=1)
        tracemalloc.start()
        evaluate(asked, tmp_path / f"out-{name}")
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    peak("few")
    grown = peak("many") - peak("few")
    # Only names of files and a few numbers an image stay, not its pixels (3.6 KB) or embeddings.
    assert grown < 270 * 1500


# ---------------------------------------------------------------------------------------- receipts


def test_a_receipt_checks_on_an_unchanged_set(photos, encoders, tmp_path):
    evaluate(request(photos), tmp_path / "out")
    before = sum(sum(encoder.image_batches) for encoder in encoders)
    assert check(tmp_path / "out") == []
    again = sum(sum(encoder.image_batches) for encoder in encoders)
    assert again == 2 * before  # it was computed again, and not read from the store


def causes(differences) -> set[str]:
    return {difference.cause for difference in differences}


@pytest.mark.slow
def test_each_cause_is_named(photos, encoders, tmp_path):
    texts = {f"{colour} wall": [f"{colour}", f"a {colour} wall"] for colour in ("red", "green")}
    texts["blue wall"] = ["blue"]
    path = tmp_path / "texts.json"
    path.write_text(json.dumps(texts))
    out = tmp_path / "out"
    evaluate(request(photos, methods=("clip", "cupl", "wca"), descriptions=str(path)), out)
    assert check(out) == []

    seed = check(out, changes={"seed": 5})
    assert "seed" in causes(seed)
    assert "from seed 5" in str(seed[0])

    dtype = check(out, changes={"dtype": "bf16"})
    assert causes(dtype) == {"encoder dtype"}
    assert "bf16" in str(dtype[0])
    assert causes(check(out, changes={"models": ("fake:b",)})) == {"encoder"}

    path.write_text(json.dumps({**texts, "blue wall": ["blue", "the sky"]}))
    changed = check(out)
    assert {"descriptions of cupl", "descriptions of wca"} <= causes(changed)
    assert "other texts for: blue wall" in str(changed[0])
    path.write_text(json.dumps(texts))

    original = (photos / "red_wall" / "1.png").read_bytes()
    Image.new("RGB", (40, 30), "blue").save(photos / "red_wall" / "1.png")
    image = check(out)
    assert causes(image) == {"images", "predictions"}
    assert "changed: red_wall/1.png" in str(image[0])
    (photos / "red_wall" / "1.png").write_bytes(original)

    names = "folder,class_name\nred_wall,red wall\ngreen_wall,green wall\nblue_wall,azure wall\n"
    (tmp_path / "names.csv").write_text(names)
    listed = check(
        out,
        changes={
            "names": str(tmp_path / "names.csv"),
            "descriptions": None,
            "methods": ["clip", "cupl", "wca"],
        },
    )
    assert "'blue wall' is now 'azure wall'" in str(listed[0])
    assert listed[0].cause == "class list"
    assert check(out) == []


def test_images_that_come_and_go_are_named(photos, encoders, tmp_path, picture):
    evaluate(request(photos), tmp_path / "out")
    picture("red", 50).save(photos / "red_wall" / "9.png")
    (photos / "green_wall" / "0.png").unlink()
    (difference,) = check(tmp_path / "out")
    assert difference.cause == "images"
    assert "no longer there: green_wall/0.png" in difference.detail
    assert "new: red_wall/9.png" in difference.detail
    (photos / "white_wall").mkdir()
    picture("white", 51).save(photos / "white_wall" / "0.png")
    assert "new: white_wall" in str(check(tmp_path / "out")[0])


def test_files_named_otherwise_are_told_from_other_images(photos, encoders, tmp_path):
    evaluate(request(photos), tmp_path / "one")
    evaluate(request(photos), tmp_path / "two")
    assert compare(tmp_path / "one", tmp_path / "two" / "receipt.json") == []
    receipt = tmp_path / "two" / "receipt.json"
    content = json.loads(receipt.read_text())
    content["versions"]["numpy"] = "0.1"
    receipt.write_text(json.dumps(content))
    assert compare(tmp_path / "one", tmp_path / "two") == []  # it repeats, in other versions
    rows = rows_of(tmp_path / "two")
    rows[0]["predicted"] = "another wall"
    with (tmp_path / "two" / "predictions.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    found = compare(tmp_path / "one", tmp_path / "two")
    assert [difference.cause for difference in found] == ["versions", "predictions"]
    assert "numpy" in str(found[0])
    assert "1 of 36 differ, of them: blue_wall/0.png" in str(found[1])
    receipt.write_text("{}")
    with pytest.raises(EvaluationError, match="expected a receipt"):
        check(receipt)
    with pytest.raises(EvaluationError, match="expected a receipt"):
        check(tmp_path / "nowhere")


def test_a_receipt_alone_still_checks_the_totals(photos, encoders, tmp_path):
    evaluate(request(photos), tmp_path / "out")
    (tmp_path / "out" / "predictions.csv").unlink()
    assert check(tmp_path / "out") == []
    receipt = tmp_path / "out" / "receipt.json"
    content = json.loads(receipt.read_text())
    content["results"][0]["top1"] += 0.01
    receipt.write_text(json.dumps(content))
    (difference,) = check(receipt)
    assert difference.cause == "totals"
    assert "clip: top1 76.00 % is now 75.00 %" in difference.detail


def test_predictions_that_were_edited_are_told(photos, encoders, tmp_path):
    evaluate(request(photos), tmp_path / "out")
    receipt = tmp_path / "out" / "receipt.json"
    content = json.loads(receipt.read_text())
    content["results"][0]["top1"] += 0.01
    receipt.write_text(json.dumps(content))
    assert causes(check(tmp_path / "out")) == {"totals"}
    with (tmp_path / "out" / "predictions.csv").open("a") as file:
        file.write("\n")
    assert causes(check(tmp_path / "out")) == {"predictions file"}


def test_a_check_takes_nothing_from_an_evaluation_and_overwrites_none(photos, encoders, tmp_path):
    evaluate(request(photos), tmp_path / "out")
    before = {path: path.read_bytes() for path in (tmp_path / "out").glob("*.*")}
    (tmp_path / "begun" / "journal").mkdir(parents=True)
    (tmp_path / "kept" / "store").mkdir(parents=True)
    for place in ("out", "begun", "kept"):
        with pytest.raises(EvaluationError, match="a new or an empty folder"):
            check(tmp_path / "out", out=tmp_path / place)
    assert {path: path.read_bytes() for path in before} == before
    assert check(tmp_path / "out", out=tmp_path / "again") == []
    assert (tmp_path / "again" / "receipt.json").is_file()


def test_a_receipt_finds_its_files_from_anywhere(photos, encoders, tmp_path, monkeypatch):
    away = tmp_path / "away"
    away.mkdir()
    texts = tmp_path / "texts.json"
    texts.write_text(
        json.dumps({f"{colour} wall": [colour] for colour in ("red", "green", "blue")})
    )
    monkeypatch.chdir(tmp_path)
    asked = request(Path("photos"), methods=("clip", "cupl"), descriptions="texts.json")
    evaluate(asked, Path("out"))
    files = json.loads(Path("out/receipt.json").read_text())["files"]
    assert files["dataset"] == {"place": "../photos"}
    assert files["descriptions"]["place"] == "../texts.json"
    assert files["descriptions"]["digest"] == hashlib.sha256(texts.read_bytes()).hexdigest()

    decoy = away / "photos" / "red_wall"
    decoy.mkdir(parents=True)
    Image.new("RGB", (9, 9)).save(decoy / "0.png")
    monkeypatch.chdir(away)
    assert check(tmp_path / "out") == []  # not the folder of that name that happens to be here

    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for name in ("out", "photos", "texts.json"):
        (tmp_path / name).rename(moved / name)
    assert check(moved / "out" / "receipt.json") == []  # all of it, together

    (moved / "photos").rename(moved / "pictures")
    shutil.rmtree(away / "photos")
    with pytest.raises(EvaluationError, match="crossalign evaluate NEW --check"):
        check(moved / "out")
    assert check(moved / "out", changes={"dataset": str(moved / "pictures")}) == []
    texts = moved / "texts.json"
    texts.rename(moved / "words.json")
    changes = {"dataset": str(moved / "pictures")}
    with pytest.raises(EvaluationError, match="--descriptions NEW"):
        check(moved / "out", changes=changes)


def test_a_named_set_is_no_folder_that_happens_to_be_called_so(
    photos, encoders, tmp_path, monkeypatch
):
    photos.rename(tmp_path / "folders")
    monkeypatch.chdir(tmp_path)
    plain = {"methods": ("clip",), "crops": None, "runs": 1}
    evaluate(request("folders", root="folders", **plain), Path("out"))
    assert set(json.loads(Path("out/receipt.json").read_text())["files"]) == {"root"}
    assert check(Path("out")) == []
    Path("folders").rename("moved")
    with pytest.raises(EvaluationError, match="evaluate NEW --check"):
        check(Path("out"))
    assert check(Path("out"), changes={"dataset": "moved"}) == []


def test_a_model_that_was_moved_is_the_same_model(photos, encoders, tmp_path, monkeypatch):
    (tmp_path / "model").mkdir()
    monkeypatch.chdir(tmp_path)
    plain = {"methods": ("clip",), "crops": None, "runs": 1}
    evaluate(request(photos, models=("fake:model",), **plain), Path("out"))
    Path("away").mkdir()
    monkeypatch.chdir("away")
    assert check(tmp_path / "out") == []
    assert encoders[-1].card.name.endswith("out/../model")
    rows = rows_of(tmp_path / "out")
    changed = [{**row, "predicted": "red wall"} for row in rows]
    write_rows(tmp_path / "out" / "predictions.csv", changed)
    assert "predictions" in causes(check(tmp_path / "out")), "rows are paired all the same"


def write_rows(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def test_totals_are_compared_method_by_method(photos, encoders, tmp_path):
    evaluate(request(photos, methods=("clip", "wca")), tmp_path / "out")
    receipt = tmp_path / "out" / "receipt.json"
    (tmp_path / "out" / "predictions.csv").unlink()
    content = json.loads(receipt.read_text())
    content["results"][0]["top1"] = 0.123  # of clip
    receipt.write_text(json.dumps(content))
    assert "totals" not in causes(check(receipt, changes={"methods": ("wca",)}))
    assert "totals" in causes(check(receipt, changes={"methods": ("clip",)}))


@pytest.mark.parametrize("content", ["image,class\na,b\n", "\xff\xfe", "encoder,method\n"])
def test_predictions_that_are_none_are_told(photos, encoders, tmp_path, content):
    evaluate(request(photos, methods=("clip",)), tmp_path / "out")
    (tmp_path / "out" / "predictions.csv").write_bytes(content.encode("latin-1"))
    if content.endswith("method\n"):  # no rows at all
        assert "predictions file" in causes(check(tmp_path / "out"))
    else:
        with pytest.raises(EvaluationError, match="expected predictions that"):
            check(tmp_path / "out")


@pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="file names are Unicode there")
def test_file_names_in_no_encoding(photos, encoders, tmp_path):
    odd = photos / "red_wall" / os.fsdecode(b"\xff.png")
    shutil.copy(photos / "red_wall" / "0.png", odd)
    asked = request(photos, methods=("clip",))
    assert evaluate(asked, tmp_path / "out")["dataset"]["images"] == 13
    assert evaluate(asked, tmp_path / "out")["dataset"]["images"] == 13
    assert computed(tmp_path / "out") == [[13]]
    assert check(tmp_path / "out") == []


def test_a_class_that_was_renamed_has_its_images_still(photos, encoders, tmp_path):
    names = tmp_path / "names.csv"
    names.write_text(
        "folder,class_name\nred_wall,red wall\ngreen_wall,green wall\nblue_wall,blue-green wall\n"
    )
    evaluate(request(photos, methods=("clip",)), tmp_path / "out")
    found = check(tmp_path / "out", changes={"names": str(names)})
    assert "class list" in causes(found)
    assert "images" not in causes(found)


def test_another_evaluation_in_the_folder_is_announced(photos, encoders, tmp_path):
    notes: list[str] = []
    plain = {"methods": ("clip",), "crops": None, "runs": 1}
    out = tmp_path / "out"
    evaluate(request(photos, **plain), out, parquet=True, on_note=notes.append)
    evaluate(request(photos, **plain), out, parquet=True, on_note=notes.append)
    assert notes == []
    evaluate(request(photos, **{**plain, "methods": ("cupl",)}), out, on_note=notes.append)
    assert "holds another evaluation (clip on folders" in notes[0]
    assert not (out / "predictions.parquet").exists(), "those of the first are not mixed in"


def test_checking_needs_little_memory(tmp_path):
    def folder(name: str, count: int) -> Path:
        made = tmp_path / f"{name}{count}"
        made.mkdir()
        with (made / "predictions.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(
                ["encoder", "method", "run", "image", "class", "predicted", "score", "content"]
            )
            for image in range(count):
                writer.writerow(("a", "clip", 0, f"x/{image:07d}.png", "red", "red", 0.5, "c" * 32))
        return made / "predictions.csv"

    receipt = {"dataset": {"classes": [["0", "red"]]}}

    def peak(count: int) -> int:
        one, two = folder("one", count), folder("two", count)
        tracemalloc.start()
        assert compare_predictions((one, receipt), (two, receipt)) == ([], [])
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    peak(10)
    assert peak(6_000) - peak(600) < 300_000


# --------------------------------------------------------------------------------- published cells


def test_published_numbers_are_those_of_the_tables():
    found = {(cell.encoder, cell.dataset, cell.method): cell.top1 for cell in cells()}
    assert len(found) == len(cells()) == 46
    assert found["ViT-B/32", "imagenet", "wca"] == 66.84
    assert found["ViT-L/14", "places365", "wca"] == 42.23
    assert found["ViT-B/16", "imagenet-sketch", "wca"] == 50.18
    assert all(cell.source for cell in cells())


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("hf:openai/clip-vit-base-patch32", "ViT-B/32"),
        ("onnx:Xenova/clip-vit-large-patch14", "ViT-L/14"),
        ("open_clip:ViT-B-16/openai", "ViT-B/16"),
        ("open_clip:ViT-B-16-quickgelu/openai", "ViT-B/16"),
        ("open_clip:ViT-B-16/laion400m_e32", None),
        ("hf:openai/clip-vit-large-patch14-336", None),
        ("builtin", None),
    ],
)
def test_encoders_with_the_papers_weights(model, name):
    assert architecture(model) == name


def test_another_table_of_published_numbers(tmp_path):
    table = tmp_path / "more.csv"
    table.write_text("dataset,encoder,method,top1,source\npets,ViT-B/32,bifta,90.5,A paper\n")
    (cell,) = read_cells(table)
    model = "hf:openai/clip-vit-base-patch32"
    assert matching("pets", "test", "test", model, "bifta", known=(cell, *cells())) == [cell]
    for text in ("", "dataset,encoder\npets,ViT-B/32\n", "dataset,encoder,method,top1,source\n"):
        table.write_text(text)
        with pytest.raises(EvaluationError, match="published numbers"):
            read_cells(table)
    table.write_text("dataset,encoder,method,top1,source\npets,ViT-B/32,wca,high,A paper\n")
    with pytest.raises(EvaluationError, match="high"):
        read_cells(table)
    with pytest.raises(EvaluationError, match="No such file"):
        read_cells(tmp_path / "nowhere.csv")


def test_a_cell_needs_data_set_split_encoder_and_method():
    model = "hf:openai/clip-vit-base-patch32"
    assert [cell.top1 for cell in matching("pets", "test", "test", model, "wca")] == [89.89]
    assert matching("pets", "trainval", "test", model, "wca") == []
    assert matching("pets", "test", "test", model, "waffle") == []
    assert matching("pets", "test", "test", "builtin", "wca") == []
