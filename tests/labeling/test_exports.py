"""Exports after a move, of links, again, and where they would take the place of something."""

from __future__ import annotations

import csv
import errno
import json
import os
import urllib.parse
from pathlib import Path

import pytest

from crossalign import Classifier
from crossalign.errors import LabelingError
from crossalign.labeling import Decisions, JobFile, class_folders, job_path, open_source, run_job
from crossalign.labeling.exports import Job, check_exports, export, write_exports

CLASSES = ["red", "green", "blue"]
OUT = Path("labels.csv")


@pytest.fixture
def photos(tmp_path, picture, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("photos/deep").mkdir(parents=True)
    for number in range(6):
        picture(CLASSES[number % 3], number).save(f"photos/{number}.png")
    picture("red", 9).save("photos/deep/9.png")
    return Path("photos")


@pytest.fixture
def run(photos, make_encoder):
    """Labels and exports, as the command does."""

    def run(*exports, source="photos", encoded=None, decisions=None, **options):
        encoder = make_encoder()
        classifier = Classifier(CLASSES, encoder=encoder, method="clip")
        opened = open_source(source, may_be_empty=job_path(OUT).exists())
        check_exports(exports, opened, decisions or Decisions(), OUT)
        outcome = run_job(opened, OUT, classifier, decisions, **options)
        if encoded is not None:
            assert sum(encoder.image_batches) == encoded
        with JobFile(job_path(OUT)) as job:
            made = write_exports(exports, Job(job, opened, tuple(CLASSES), "crossalign test"))
            return outcome, [(kind, number) for kind, _, number in made]

    return run


def contents(folder: str) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in Path(folder).rglob("*")
        if path.is_file()
    }


def rows() -> list[dict[str, str]]:
    with OUT.open(newline="") as stream:
        return list(csv.DictReader(stream))


EVERYTHING = [
    ("coco", Path("c.json")),
    ("copy", Path("copied")),
    ("move", Path("moved")),
    ("label-studio", Path("l.json")),
    ("fiftyone", Path("f")),
    ("link", Path("linked")),
]


def test_what_is_written_beside_a_move_finds_the_images_in_their_new_place(run, photos):
    before = contents("photos")
    _, made = run(*EVERYTHING)
    assert made[0] == ("move", 7)
    assert dict(made) == dict.fromkeys([kind for kind, _ in EVERYTHING], 7)
    assert contents("photos") == {}
    moved = contents("moved")
    assert {name.partition("/")[2]: data for name, data in moved.items()} == before
    assert contents("copied") == contents("linked") == moved
    for one in json.loads(Path("c.json").read_text())["images"]:
        assert Path(one["file_name"]).is_file()
    for place in json.loads(Path("f/data.json").read_text()).values():
        assert Path(place).is_file()
    for task in json.loads(Path("l.json").read_text()):
        query = urllib.parse.urlsplit(task["data"]["image"]).query
        assert Path("/", urllib.parse.parse_qs(query)["d"][0]).is_file()


@pytest.mark.parametrize("source", ["photos", "photos/*.png", "l.txt", "t.csv"])
def test_a_job_whose_images_were_moved_can_be_exported_again(run, photos, source):
    names = [path.relative_to(photos.parent).as_posix() for path in sorted(photos.glob("*.png"))]
    Path("l.txt").write_text("\n".join(names))
    Path("t.csv").write_text("\n".join(["path", *names]))
    outcome, _ = run(("move", Path("moved")), source=source)
    run(source=source, encoded=0)
    before = [(row["label"], row["score"]) for row in rows()]
    assert len(before) == outcome.images
    for _ in range(2):
        again, made = run(*EVERYTHING, source=source, encoded=0)
        assert (again.images, again.labelled, again.failed) == (outcome.images, 0, 0)
        assert dict(made)["copy"] == dict(made)["coco"] == outcome.images
        assert dict(made)["move"] == 0
    assert [(row["label"], row["score"]) for row in rows()] == before
    assert all(Path(row["path"]).is_file() for row in rows()), "the table says where they are"


def test_an_image_that_comes_back_is_labelled_anew(run, photos, picture):
    run(("move", Path("moved")))
    picture("blue", 40).save("photos/0.png")
    outcome, _ = run(encoded=1)
    assert (outcome.images, outcome.labelled) == (7, 1)
    by_path = {row["path"]: row["label"] for row in rows()}
    assert by_path["photos/0.png"] == "blue"


def test_an_empty_source_is_still_a_mistake_where_nothing_was_moved(run, photos):
    run()
    for path in photos.rglob("*.png"):
        path.unlink()
    with pytest.raises(LabelingError, match="there are no images"):
        run()


def test_a_restart_without_images_throws_no_rows_away(run, photos):
    run(("move", Path("moved")))
    run(encoded=0)
    before = rows()
    assert all(Path(row["path"]).is_file() for row in before)
    with pytest.raises(LabelingError, match="there are no images"):
        run(restart=True)
    run(encoded=0)
    assert rows() == before


@pytest.mark.parametrize("absolute", [False, True])
def test_links_lead_to_their_images_after_a_move(run, photos, picture, absolute):
    Path("elsewhere").mkdir()
    picture("green", 70).save("elsewhere/out.png")
    start = photos.resolve().parent if absolute else Path("..")
    Path("photos/a.png").symlink_to(start / "elsewhere/out.png")
    Path("photos/b.png").symlink_to(photos.resolve() / "0.png" if absolute else "0.png")
    Path("photos/deep/c.png").symlink_to(start / ("." if absolute else "..") / "photos/b.png")
    before = contents("photos")
    run(("move", Path("moved")))
    assert contents("photos") == {}
    assert {name.partition("/")[2]: data for name, data in contents("moved").items()} == before
    assert Path("elsewhere/out.png").is_file(), "what lies outside the source stays there"
    assert Path("moved/green/a.png").is_symlink()
    assert Path("moved/red/b.png").resolve() == Path("moved/red/0.png").resolve()
    run(("copy", Path("copied")), encoded=0)
    assert contents("copied") == contents("moved")


@pytest.mark.parametrize("source", ["photos", "photos/l.txt"])
@pytest.mark.parametrize("stop", [1, 2, 8])
@pytest.mark.parametrize("where", ["before", "after"])
def test_a_move_that_is_killed_goes_on(run, photos, monkeypatch, source, stop, where):
    """Between any two steps, and between a file's move and its note in the job file."""
    Path("photos/a.png").symlink_to("0.png")
    before = contents("photos")
    Path("photos/l.txt").write_text("\n".join(before))
    calls = 0
    real = JobFile.note_moved

    def killed(self, identity, path):
        nonlocal calls
        calls += 1
        if calls == stop and where == "before":
            raise KeyboardInterrupt
        real(self, identity, path)
        if calls == stop:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(JobFile, "note_moved", killed)
        with pytest.raises(KeyboardInterrupt):
            run(("move", Path("moved")), source=source)
    moves = {name.partition("/")[2] for name in contents("moved")}
    assert moves | set(contents("photos")) >= set(before) - {"a.png"}, "nothing is lost"
    _, made = run(("move", Path("moved")), ("copy", Path("copied")), source=source, encoded=0)
    assert dict(made)["copy"] == 8
    assert {name.partition("/")[2]: data for name, data in contents("moved").items()} == before
    assert contents("copied") == contents("moved")


def test_a_move_to_another_disk_keeps_the_original_until_the_copy_is_whole(
    run, photos, monkeypatch
):
    def other_disk(source, target):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    def full(source, target, **_):
        Path(target).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    before = contents("photos")
    monkeypatch.setattr(os, "rename", other_disk)
    with monkeypatch.context() as patch:
        patch.setattr(class_folders.shutil, "copyfile", full)
        with pytest.raises(LabelingError, match="No space left"):
            run(("move", Path("moved")))
    assert contents("photos") == before
    assert contents("moved") == {}
    (photos / "0.png").chmod(0o444)
    run(("move", Path("moved")))
    assert contents("photos") == {}
    assert {name.partition("/")[2]: data for name, data in contents("moved").items()} == before


@pytest.mark.parametrize(
    ("exports", "words"),
    [
        ([("coco", "photos/c.json")], "inside the source"),
        ([("copy", "photos/sorted")], "inside the source"),
        ([("coco", "labels.csv")], "taken already"),
        ([("coco", "photos/../labels.csv.job")], "taken already"),
        ([("coco", "x.json"), ("label-studio", "x.json")], "taken already"),
        ([("move", "m"), ("move", "n")], "one place only"),
        ([("coco", "mine.json")], "left as it is"),
        ([("label-studio", "mine.json")], "left as it is"),
        ([("coco", "link.json")], "left as it is"),
        ([("fiftyone", "set")], "left as they are"),
        ([("fiftyone", "mine.json")], "is a file"),
        ([("copy", "mine.json")], "a file of that name is in the way"),
        ([("coco", "set")], "a folder of that name is in the way"),
    ],
)
def test_exports_that_cannot_be_are_told_before_any_work(run, photos, exports, words):
    Path("mine.json").write_text("mine")
    Path("link.json").symlink_to("nowhere.json")
    Path("set").mkdir()
    Path("set/labels.json").write_text("mine")
    asked = [(kind, Path(path)) for kind, path in exports]
    with pytest.raises(LabelingError, match=words):
        run(*asked)
    assert not OUT.exists()
    assert not job_path(OUT).exists()
    assert Path("mine.json").read_text() == Path("set/labels.json").read_text() == "mine"


def test_several_labels_cannot_be_moved_and_are_told_before_any_work(run):
    decisions = Decisions(multi_label=True, threshold=-1.0)
    with pytest.raises(LabelingError, match="cannot be moved into one folder"):
        run(("move", Path("m")), decisions=decisions)
    assert not job_path(OUT).exists()


def test_the_list_that_is_read_is_not_exported_over(run):
    Path("l.txt").write_text("photos/0.png\n")
    for kind in ("coco", "copy", "fiftyone"):
        with pytest.raises(LabelingError, match="what the images are read from"):
            run((kind, Path("l.txt")), source="l.txt")
    assert Path("l.txt").read_text() == "photos/0.png\n"


@pytest.mark.parametrize("kind", ["coco", "label-studio"])
def test_an_export_is_replaced_unless_it_was_changed(run, picture, kind):
    path = Path("e.json")
    run((kind, path))
    picture("red", 12).save("photos/12.png")
    first = path.read_text()
    run((kind, path))
    assert path.read_text() != first
    path.write_text("by hand")
    with pytest.raises(LabelingError, match="left as it is"):
        run((kind, path))
    with JobFile(job_path(OUT)) as job, pytest.raises(LabelingError, match="not as this job"):
        export(kind, path, Job(job, open_source("photos"), tuple(CLASSES), "crossalign test"))
    assert path.read_text() == "by hand"


def test_a_fiftyone_folder_is_replaced_and_what_lies_beside_it_stays(run):
    run(("fiftyone", Path("f")))
    Path("f/notes.txt").write_text("mine")
    run(("fiftyone", Path("f")))
    assert set(contents("f")) == {"data.json", "labels.json", "notes.txt", ".crossalign-files"}
