"""Jobs that cannot lose work: resumed, refused, stopped, killed, out of room."""

from __future__ import annotations

import csv
import gc
import itertools
import json
import os
import pathlib
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tarfile
import threading
import time
import tracemalloc
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from crossalign import Classifier
from crossalign.alignment.calibration import calibrate
from crossalign.errors import LabelingError
from crossalign.labeling import COLUMNS, Decisions, JobFile, job_path, open_source, run_job
from crossalign.labeling.image_scores import ImageScores
from pictures import CUT, NOT_IMAGES

CLASSES = ["red", "green", "blue"]
PROGRAM = Path(sys.executable).with_name("crossalign")


@pytest.fixture
def photos(tmp_path, picture):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(12):
        picture(CLASSES[number % 3], number).save(folder / f"{number:03}.png")
    return folder


@pytest.fixture
def make(make_encoder):
    def make(classes=CLASSES, encoder=None, decisions=None, **options):
        return Classifier(
            classes,
            encoder=encoder or make_encoder(),
            method="clip",
            background=(decisions or Decisions()).background_for(classes),
            **options,
        )

    return make


def rows_of(out: Path) -> list[dict]:
    if out.suffix == ".parquet":
        return parquet.read_table(out).to_pylist()
    if out.suffix == ".jsonl":
        return [json.loads(line) for line in out.read_text().splitlines()]
    with out.open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_table_has_a_row_for_each_image_in_order(photos, make, ending):
    (photos / "005x.png").write_bytes(b"<html>")
    out = photos.parent / "new" / f"labels.{ending}"
    outcome = run_job(open_source(photos), out, make(), Decisions(top=2))
    assert (outcome.images, outcome.labelled, outcome.failed, outcome.left) == (13, 13, 1, 0)
    rows = rows_of(out)
    assert list(rows[0]) == list(COLUMNS)
    assert [Path(row["path"]).name for row in rows] == sorted(p.name for p in photos.iterdir())
    good = [row for row in rows if not row["error"]]
    assert [row["label"] for row in good] == [CLASSES[n % 3] for n in range(12)]
    assert {row["decision"] for row in good} == set(CLASSES)
    for row in good:
        assert float(row["margin"]) > 0
        assert row["runner_up"] != row["label"]
        assert not row["confidence"], "there is no confidence without a calibration"
        assert len(row["content_hash"]) == 32
    (bad,) = (row for row in rows if row["error"])
    assert "HTML page" in bad["error"]
    assert not bad["label"]
    top = json.loads(good[0]["top"]) if ending == "csv" else good[0]["top"]
    assert len(top) == 2
    assert sorted(p.name for p in out.parent.iterdir()) == [out.name, f"{out.name}.job"]


def test_what_the_rows_say_is_what_the_classifier_says(photos, make):
    out = photos.parent / "l.jsonl"
    run_job(open_source(photos), out, make())
    for row, prediction in zip(rows_of(out), make().predict(sorted(photos.iterdir())), strict=True):
        assert row["label"] == prediction.label
        assert row["score"] == pytest.approx(prediction.score, abs=1e-6)
        assert row["margin"] == pytest.approx(prediction.margin, abs=1e-6)
        assert row["content_hash"] == prediction.content_hash


def test_a_finished_job_does_nothing_and_new_images_are_added(photos, make, make_encoder, picture):
    out = photos.parent / "l.csv"
    run_job(open_source(photos), out, make())
    first = rows_of(out)
    encoder, notes = make_encoder(), []
    outcome = run_job(open_source(photos), out, make(encoder=encoder), on_note=notes.append)
    assert outcome.labelled == 0
    assert encoder.image_batches == []
    assert rows_of(out) == first
    assert notes == ["12 of 12 images done before"]
    picture("red", 50).save(photos / "0001.png")
    (photos / "003.png").unlink()
    notes.clear()
    outcome = run_job(open_source(photos), out, make(encoder=encoder), on_note=notes.append)
    assert outcome.labelled == 1
    assert sum(encoder.image_batches) == 1
    assert "1 image of earlier runs no longer" in notes[0]
    assert [Path(row["path"]).name for row in rows_of(out)][:3] == [
        "000.png",
        "0001.png",
        "001.png",
    ]
    assert len(rows_of(out)) == 13, "the row of the image that went stays"


@pytest.mark.parametrize("kind", ["folder", "tar", "zip", "parquet"])
def test_an_image_that_changed_is_labelled_again(photos, make, make_encoder, picture, kind):
    out = photos.parent / "l.csv"
    (photos / "005.png").write_bytes(b"not yet a picture")
    source = packed(photos, kind)
    outcome = run_job(open_source(source), out, make())
    assert outcome.failed == 1
    before = rows_of(out)
    picture("red", 77).save(photos / "001.png")  # was green
    picture("blue", 78).save(photos / "005.png")
    encoder, notes = make_encoder(), []
    outcome = run_job(
        open_source(packed(photos, kind)), out, make(encoder=encoder), on_note=notes.append
    )
    assert (outcome.labelled, outcome.failed) == (2, 0)
    assert "2 images changed since: labelled again" in notes
    after = rows_of(out)
    differ = [place for place, pair in enumerate(zip(before, after, strict=True))
              if pair[0] != pair[1]]  # fmt: skip
    assert differ == [1, 5]
    assert (after[1]["label"], after[5]["label"]) == ("red", "blue")
    assert run_job(open_source(source), out, make()).labelled == 0


def packed(photos: Path, kind: str) -> Path:
    """The photos as a source of a kind, made anew."""
    files = sorted(photos.glob("*.png"))
    path = photos.parent / f"packed.{kind}"
    if kind == "folder":
        return photos
    if kind == "tar":
        with tarfile.open(path, "w") as archive:
            for file in files:
                archive.add(file, file.name)
    elif kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for file in files:
                archive.write(file, file.name)
    else:
        parquet.write_table(pa.table({"image": [file.read_bytes() for file in files]}), path)
    return path


def test_an_image_that_is_listed_twice_counts_once(photos, make):
    (photos / "list.txt").write_text("001.png\n000.png\n001.png\n001.png\n")
    notes = []
    out = photos.parent / "l.csv"
    outcome = run_job(open_source(photos / "list.txt"), out, make(), on_note=notes.append)
    assert outcome.images == outcome.labelled == 2
    assert "2 entries" in notes[0]
    assert [Path(row["path"]).name for row in rows_of(out)] == ["001.png", "000.png"]


@pytest.mark.parametrize("batches", [1, 3])
def test_a_crash_keeps_what_was_finished_and_goes_on_there(photos, make, make_encoder, batches):
    out, reference = photos.parent / "l.csv", photos.parent / "r.csv"
    run_job(open_source(photos), reference, make())
    failing = make_encoder(fail_on_call=batches + 1, failure=RuntimeError("the card fell out"))
    with pytest.raises(RuntimeError, match="the card fell out"):
        run_job(open_source(photos), out, make(encoder=failing, batch_size=2))
    assert not out.exists()
    with JobFile(job_path(out)) as job:
        assert job.count(1) == 2 * batches
    encoder = make_encoder()
    run_job(open_source(photos), out, make(encoder=encoder))
    assert sum(encoder.image_batches) == 12 - 2 * batches
    assert out.read_bytes() == reference.read_bytes()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"classes": ["red", "green"]}, "class list: 3 classes"),
        ({"classes": {"red": ["a red one"], "green": ["b"], "blue": ["c"]}}, "descriptions: "),
        ({"decisions": Decisions(none_of_these=True)}, "none of these: no -> "),
        ({"draft": True}, "draft decoding: False -> True"),
    ],
    ids=str,
)
def test_changed_settings_are_refused_by_name_and_nothing_is_lost(photos, make, change, named):
    out = photos.parent / "l.csv"
    run_job(open_source(photos), out, make())
    before = out.read_bytes()
    if isinstance(change.get("classes"), dict):
        changed = Classifier(change["classes"], encoder=make().encoder, method="cupl")
    else:
        changed = make(**change)
    decisions = change.get("decisions")
    with pytest.raises(LabelingError, match="All 12 finished rows") as caught:
        run_job(open_source(photos), out, changed, decisions)
    assert named in str(caught.value)
    assert "--restart" in str(caught.value)
    assert out.read_bytes() == before
    assert run_job(open_source(photos), out, make()).labelled == 0
    assert run_job(open_source(photos), out, changed, decisions, restart=True).labelled == 12


def calibration():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(200, 3)) * 0.1
    labels = np.array([rng.choice(3, p=np.exp(r * 20) / np.exp(r * 20).sum()) for r in scores])
    return calibrate(scores, labels, precision=0.8)


DECISIONS = {
    "plain": Decisions(),
    "threshold": Decisions(threshold=0.4),
    "top": Decisions(top=2),
    "several": Decisions(multi_label=True, threshold=0.3),
    "calibration": Decisions(calibration=calibration(), top=1),
}


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_other_decisions_are_made_from_the_scores_that_were_kept(
    photos, make, make_encoder, ending
):
    (photos / "005x.png").write_bytes(b"<html>")
    out = photos.parent / f"l.{ending}"
    run_job(open_source(photos), out, make())
    for name, decisions in [*DECISIONS.items(), ("plain", Decisions())]:
        encoder, notes = make_encoder(), []
        outcome = run_job(
            *(open_source(photos), out, make(encoder=encoder), decisions),
            on_note=notes.append,
        )
        assert (outcome.labelled, encoder.image_batches) == (0, [])
        if name != "plain" or notes[1:]:
            assert notes[0].startswith("12 images decided about anew from the scores (")
        fresh = photos.parent / f"{name}.{ending}"
        run_job(open_source(photos), fresh, make(), decisions, restart=True)
        assert out.read_bytes() == fresh.read_bytes(), name
        with JobFile(job_path(out)) as job, JobFile(job_path(fresh)) as other:
            tables = [list(one.query("SELECT * FROM given ORDER BY 1, 2")) for one in (job, other)]
            assert tables[0] == tables[1]
            assert job.settings() == other.settings()


def test_a_threshold_may_change_with_none_of_these_and_in_the_middle(photos, make, make_encoder):
    none = Decisions(none_of_these=True, background=("blue thing", "grey"))
    strict = replace(none, threshold=0.5)
    out, reference = photos.parent / "l.csv", photos.parent / "r.csv"
    run_job(open_source(photos), reference, make(decisions=strict), strict)
    failing = make_encoder(fail_on_call=4, failure=RuntimeError("the card fell out"))
    with pytest.raises(RuntimeError, match="the card fell out"):
        run_job(
            *(open_source(photos), out, make(encoder=failing, decisions=none, batch_size=2), none)
        )
    notes = []
    outcome = run_job(
        *(open_source(photos), out, make(decisions=strict), strict), on_note=notes.append
    )
    assert notes[0].startswith("6 images decided about anew from the scores (threshold: None")
    assert outcome.labelled == 6
    assert out.read_bytes() == reference.read_bytes()


def test_a_kill_while_decisions_are_made_anew_mixes_nothing(photos, make, monkeypatch):
    monkeypatch.setattr("crossalign.labeling.job_file._MOST_AT_ONCE", 5)
    out = photos.parent / "l.csv"
    run_job(open_source(photos), out, make())
    before, calls = out.read_bytes(), []
    real = Decisions.decide

    def dying(self, *arguments):
        calls.append(arguments)
        if len(calls) == 8:
            raise KeyboardInterrupt
        return real(self, *arguments)

    monkeypatch.setattr(Decisions, "decide", dying)
    with pytest.raises(KeyboardInterrupt):
        run_job(open_source(photos), out, make(), Decisions(threshold=1.0))
    assert out.read_bytes() == before
    notes = []
    run_job(open_source(photos), out, make(), on_note=notes.append)
    assert notes[0].startswith("12 images decided about anew")
    assert out.read_bytes() == before


def test_a_job_file_of_an_earlier_version_is_told_and_replaced_when_asked(photos, make):
    out = photos.parent / "l.csv"
    with sqlite3.connect(job_path(out)) as old:
        old.execute("CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID")
        old.execute("CREATE TABLE items (number INTEGER PRIMARY KEY, id BLOB, decision TEXT)")
        old.execute("CREATE INDEX items_by_state ON items (decision)")
        old.execute(f"PRAGMA application_id = {0x58414C4A}")
        old.execute("PRAGMA user_version = 1")
    old.close()
    with pytest.raises(LabelingError, match=r"earlier version .* hold no scores\. Add --restart"):
        run_job(open_source(photos), out, make())
    assert run_job(open_source(photos), out, make(), restart=True).labelled == 12
    assert run_job(open_source(photos), out, make()).labelled == 0


def test_a_restart_spares_files_of_others_and_of_later_versions(photos, make):
    out = photos.parent / "l.csv"
    for program, version in ((1, 1), (0x58414C4A, 99)):
        with sqlite3.connect(job_path(out)) as other:
            other.execute("CREATE TABLE mine (a)")
            other.execute(f"PRAGMA application_id = {program}")
            other.execute(f"PRAGMA user_version = {version}")
        other.close()
        with pytest.raises(LabelingError, match="is something else"):
            run_job(open_source(photos), out, make(), restart=True)
        with sqlite3.connect(job_path(out)) as other:
            assert list(other.execute("SELECT * FROM mine")) == []
        other.close()
        job_path(out).unlink()


def test_errors_are_tried_again_when_asked(photos, make, picture):
    # What was wrong need not be the file: here it is what a link leads to.
    picture("green", 4).save(photos.parent / "elsewhere.png")
    (photos / "004.png").unlink()
    (photos / "004.png").symlink_to(photos.parent / "elsewhere.png")
    (photos.parent / "elsewhere.png").rename(photos.parent / "away.png")
    out = photos.parent / "l.csv"
    assert run_job(open_source(photos), out, make()).failed == 1
    assert run_job(open_source(photos), out, make()).labelled == 0
    outcome = run_job(open_source(photos), out, make(), retry_errors=True)
    assert (outcome.labelled, outcome.failed) == (1, 1)
    (photos.parent / "away.png").rename(photos.parent / "elsewhere.png")
    outcome = run_job(open_source(photos), out, make(), retry_errors=True)
    assert (outcome.labelled, outcome.failed) == (1, 0)
    assert rows_of(out)[4]["label"] == "green"


def test_an_image_that_vanishes_while_the_job_runs_is_a_row(photos, make):
    out = photos.parent / "l.csv"

    def vanish(work):
        (photos / "007.png").unlink()
        (photos / "008.png").unlink()
        from crossalign.labeling.job import local_engine

        yield from local_engine(work)

    outcome = run_job(open_source(photos), out, make(), engine=vanish)
    assert (outcome.images, outcome.failed) == (12, 2)
    assert "is no more" in rows_of(out)[7]["error"]


def test_an_empty_source_is_a_mistake_and_takes_nothing_away(photos, make):
    out = photos.parent / "l.csv"
    run_job(open_source(photos), out, make())
    shutil.rmtree(photos)
    photos.mkdir()
    with pytest.raises(LabelingError, match="there are no images"):
        run_job(open_source(photos), out, make())
    assert len(rows_of(out)) == 12


# ------------------------------------------------------------------------------- two jobs, no room


def test_two_jobs_on_one_output_refuse_each_other(photos, make):
    out = photos.parent / "l.csv"
    with JobFile(job_path(out)), pytest.raises(LabelingError, match="another job is writing"):
        run_job(open_source(photos), out, make())
    assert run_job(open_source(photos), out, make()).labelled == 12


def test_a_job_file_that_is_none(photos, make):
    out = photos.parent / "l.csv"
    job_path(out).write_bytes(b"SQLite format 3\0" + bytes(5000))
    with pytest.raises(LabelingError, match="cannot be used as a job file"):
        run_job(open_source(photos), out, make())
    job_path(out).unlink()
    with sqlite3.connect(job_path(out)) as other:
        other.execute("CREATE TABLE mine (a)")
    other.close()
    with pytest.raises(LabelingError, match="is something else"):
        run_job(open_source(photos), out, make())


@pytest.mark.parametrize("last", range(8))
def test_an_interruption_while_a_job_file_is_made_leaves_one_that_can_be_used(
    photos, make, monkeypatch, last
):
    out, statements = photos.parent / "l.csv", itertools.count()

    class Interrupted(sqlite3.Connection):
        def execute(self, statement, *values):
            making = statement.strip().startswith(("CREATE", "PRAGMA user_version ="))
            if making and next(statements) == last:
                raise KeyboardInterrupt
            return super().execute(statement, *values)

    real = sqlite3.connect
    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", lambda *a, **k: real(*a, **k, factory=Interrupted))
        if last < 7:
            with pytest.raises(KeyboardInterrupt):
                JobFile(job_path(out))
        else:
            JobFile(job_path(out)).close()
            assert next(statements) == last, "each statement was the last one once"
    assert run_job(open_source(photos), out, make()).labelled == 12


@pytest.mark.parametrize("name", ["l.xlsx", "l", "photos"])
def test_outputs_that_cannot_be(photos, make, name):
    with pytest.raises(LabelingError, match="expected an output that ends in"):
        run_job(open_source(photos), photos.parent / name, make())
    (photos.parent / "folder.csv").mkdir()
    with pytest.raises(LabelingError, match="a folder of that name"):
        run_job(open_source(photos), photos.parent / "folder.csv", make())


SCRIPT = """
import os, resource, signal, sys
from crossalign.cli import main
limit = int(sys.argv[1])
if limit:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
main(sys.argv[2:])
"""
WORDS = ("-c", "red", "-c", "green", "-c", "blue", "--method", "clip")


def label(source: Path, out: Path, *words: str, limit: int = 0) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", SCRIPT, str(limit), "label", source, "--out", out]
    return subprocess.run(
        [*command, *WORDS, *words], capture_output=True, text=True, timeout=300, check=False
    )


@pytest.mark.slow
def test_a_full_disk_ends_in_a_message_and_a_job_that_goes_on(photos, picture):
    for number in range(12, 200):
        picture(CLASSES[number % 3], number).save(photos / f"{number:03}.png")
    out = photos.parent / "l.csv"
    done = label(photos, out, limit=60_000)  # the job file would be larger
    assert done.returncode == 2, done.stderr
    assert "disk is full or failing" in done.stderr
    assert "Traceback" not in done.stderr
    done = label(photos, out)
    assert done.returncode == 0, done.stderr
    out.unlink()
    done = label(photos, out, limit=8_000)  # room for no table
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in photos.parent.iterdir() if ".csv." in path.name] == ["l.csv.job"]
    done = label(photos, out)
    assert "200 of 200 images done before" in done.stderr
    assert len(rows_of(out)) == 200


def test_a_read_only_output(photos, make, monkeypatch):
    import tempfile

    def refuse(*args, **kwargs):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    with pytest.raises(LabelingError, match=r"cannot write to .*Read-only file system"):
        run_job(open_source(photos), photos.parent / "l.csv", make())


# --------------------------------------------------------------------------------- stopped, killed


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_a_job_cleanly(photos, make, number):
    out = photos.parent / "l.csv"

    def show(done: int, total: int, before: int) -> None:
        if done == 5:
            os.kill(os.getpid(), number)

    handlers = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    outcome = run_job(open_source(photos), out, make(), on_progress=show)
    assert outcome.stopped
    assert outcome.left == 12 - outcome.labelled < 12
    assert not out.exists()
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert run_job(open_source(photos), out, make()).labelled == outcome.left


@pytest.mark.slow
def test_the_command_says_130_when_it_is_interrupted(photos, picture):
    for number in range(12, 60):
        picture(CLASSES[number % 3], number).save(photos / f"{number:03}.png")
    out = photos.parent / "l.csv"
    command = [PROGRAM, "label", photos, "--out", out, *WORDS[:6], "--crops", "60"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not job_path(out).exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "run the same command to go on" in errors
    assert not out.exists()


@pytest.mark.slow
def test_killed_at_random_moments_a_job_loses_and_repeats_nothing(tmp_path, picture):
    """``CROSSALIGN_KILLS=25 CROSSALIGN_KILL_IMAGES=2000`` runs it at full size."""
    kills = int(os.environ.get("CROSSALIGN_KILLS", "3"))
    images = int(os.environ.get("CROSSALIGN_KILL_IMAGES", "150"))
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(images):
        picture(CLASSES[number % 3], number).save(folder / f"{number:05}.png")
    (folder / "00007.png").write_bytes(b"<html>")
    reference, out = tmp_path / "reference.csv", tmp_path / "killed.csv"
    start = time.monotonic()
    assert label(folder, reference).returncode == 1
    whole = time.monotonic() - start
    rng = random.Random(0)
    command = [PROGRAM, "label", folder, "--out", out, *WORDS]
    killed = 0
    for _ in range(20 * kills):
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        try:
            # Of the measured time, so that most kills hit a machine of any speed in its work.
            process.wait(rng.uniform(0.1, 1.0) * whole)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            killed += 1
        else:  # it came to its end: compare, and begin anew
            assert out.read_bytes() == reference.read_bytes()
            out.unlink()
            job_path(out).unlink(missing_ok=True)
        if killed == kills:
            break
    assert killed == kills, "most runs were over before their time"
    done = label(folder, out)
    assert done.returncode == 1, done.stderr
    assert out.read_bytes() == reference.read_bytes()
    assert len({row["path"] for row in rows_of(out)}) == len(rows_of(out)) == images


# ------------------------------------------------------------------------ broken files, flat memory


def broken_files() -> dict[str, bytes]:
    """Forty kinds and more."""
    cut = {f"cut{kind}.png": data[: len(data) // 3] for kind, data in CUT.items()}
    return {**{f"{n}.png": data for n, (data, _) in NOT_IMAGES.items()}, **cut}


def test_every_broken_file_ends_as_a_row_with_its_reason(tmp_path, picture, make):
    kinds = broken_files()
    assert len(kinds) >= 40
    folder = tmp_path / "photos"
    folder.mkdir()
    good = int(os.environ.get("CROSSALIGN_GOOD_IMAGES", "200"))
    bad = good // 4
    for number in range(good):
        picture(CLASSES[number % 3], number).save(folder / f"{number:05}.png")
    names = list(kinds)
    for number in range(bad):
        kind = names[number % len(names)]
        (folder / f"{number * 4:05}-{kind}").write_bytes(kinds[kind])
    out = tmp_path / "l.jsonl"
    outcome = run_job(open_source(folder), out, make())
    assert (outcome.images, outcome.failed) == (good + bad, bad)
    rows = {Path(row["path"]).name: row for row in rows_of(out)}
    assert len(rows) == good + bad
    for name, row in rows.items():
        if "-" in name:
            assert row["label"] is None
            assert row["error"].startswith(row["path"]), row
        else:
            assert row["error"] is None
            assert row["label"] == CLASSES[int(name[:5]) % 3]


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_images(tmp_path, make, monkeypatch):
    """``CROSSALIGN_ROWS=100000`` looks at the end of a hundred thousand."""
    monkeypatch.setattr("crossalign.labeling.job._MOST_PER_CHANGE", 64)
    count = int(os.environ.get("CROSSALIGN_ROWS", "800"))
    Image.new("RGB", (8, 8), "red").save(tmp_path / "a.png")
    for number in range(count):  # the names of one folder at a time are in memory
        below = tmp_path / "photos" / f"{number // 500:03}"
        below.mkdir(exist_ok=True, parents=True)
        (below / f"{number:06}.png").symlink_to("../../a.png")
    held = {}

    def look(done: int, total: int, before: int) -> None:
        if done in (200, count - 100):
            gc.collect()
            # Without pathlib's: it interns names, and that table of the interpreter grows in leaps.
            ours = tracemalloc.take_snapshot().filter_traces(
                [tracemalloc.Filter(inclusive=False, filename_pattern=pathlib.__file__)]
            )
            held[done] = sum(one.size for one in ours.statistics("filename"))

    tracemalloc.start()
    out = tmp_path / "l.csv"
    outcome = run_job(open_source(tmp_path / "photos"), out, make(), on_progress=look)
    tracemalloc.stop()
    assert outcome.labelled == count
    early, late = held.values()
    # Some rows wait to be written at either moment; kept rows would be 700 bytes each.
    assert late < early + 1.5e5, held


def test_memory_does_not_grow_while_decisions_are_made_anew(tmp_path, monkeypatch):
    monkeypatch.setattr("crossalign.labeling.job_file._MOST_AT_ONCE", 128)
    names, count = [f"class {number}" for number in range(40)], 1500
    rng = np.random.default_rng(0)

    def scored(number: int) -> ImageScores:
        scores = rng.normal(0.2, 0.05, len(names)).astype("<f4").tobytes()
        path = f"{number}.jpg"
        return ImageScores(path, path, rng.bytes(16).hex(), (4, 3), scores, rng.bytes(64))

    with JobFile(tmp_path / "l.job") as job:
        job.begin({"threshold": "None"})
        job.scan((f"{number}.jpg", f"{number}.jpg", "s") for number in range(count))
        plain, strict = Decisions(), Decisions(threshold=0.3)
        for start in range(0, count, 500):
            results = [scored(number) for number in range(start, start + 500)]
            job.save(results, lambda one: plain.decide(one, names))
        tracemalloc.start()
        done = job.decide_again({"threshold": "0.3"}, lambda one: strict.decide(one, names))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert done == count
        assert most < 4e5, "all rows together would take several times as much"
        assert {row.decision == "undecided" for row in job.rows()} == {True, False}


def test_a_job_in_a_thread_of_its_own(photos, make):
    outcomes = []
    out = photos.parent / "l.csv"
    work = threading.Thread(
        target=lambda: outcomes.append(run_job(open_source(photos), out, make()))
    )
    work.start()
    work.join(60)
    assert outcomes[0].labelled == 12
