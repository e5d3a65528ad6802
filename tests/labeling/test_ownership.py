"""Folders of ours: what is in them and is not ours stays, whatever happened before."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossalign import Classifier
from crossalign.errors import CrossalignError, LabelingError
from crossalign.labeling import Decisions, JobFile, job_path, open_source, run_job
from crossalign.labeling.classifiers import build_classifier
from crossalign.labeling.contact_sheets import write_sheets
from crossalign.labeling.job import Work
from crossalign.labeling.ownership import LIST, OwnFolder, holds, is_inside, is_source
from crossalign.labeling.ray.engine import RayEngine

CLASSES = ["red", "green", "blue"]


def files(folder: Path = Path()) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_only_what_was_placed_is_cleared_and_removed(place):
    own = OwnFolder(Path("r"), "reports")
    own.clear()
    own.claim("a.html").write_text("a")
    own.claim("p/1.jpg").write_text("1")
    own.claim("never-written.html")
    Path("r/p/mine.jpg").write_text("mine")
    Path("r/notes").write_text("mine")
    Path("r/.a.html.0123abcd").write_text("left by a kill")
    Path("r/.a.html.bak").write_text("mine")
    mine = {"r/p/mine.jpg", "r/notes", "r/.a.html.bak"}
    OwnFolder(Path("r"), "reports").clear()
    assert set(files()) == {*mine, f"r/{LIST}"}
    OwnFolder(Path("r"), "reports").claim("p/1.jpg").write_text("2")
    OwnFolder(Path("r"), "reports").remove()
    assert set(files()) == mine
    with pytest.raises(LabelingError, match="left as they are"):
        OwnFolder(Path("r"), "reports").clear()
    assert set(files()) == mine


def test_an_own_folder_goes_where_nothing_else_is_in_it(place):
    own = OwnFolder(Path("deep/r"), "reports")
    own.check()
    assert not Path("deep").exists()
    own.clear()
    own.claim("p/1.jpg").write_text("1")
    own.remove()
    assert list(Path("deep").iterdir()) == []


@pytest.mark.parametrize("what", ["file", "stranger", "other kind", "spoilt list"])
def test_what_is_not_known_to_be_ours_is_refused(place, what):
    if what == "file":
        Path("r").write_text("mine")
    else:
        Path("r").mkdir()
        Path("r/index.html").write_text("mine")
    if what == "other kind":
        Path("r/index.html").unlink()
        OwnFolder(Path("r"), "shards").clear()
        OwnFolder(Path("r"), "shards").claim("index.html").write_text("x")
    if what == "spoilt list":
        Path("r", LIST).write_bytes(b"\xff\xfe index.html")
    before = files()
    for act in (OwnFolder.check, OwnFolder.clear):
        with pytest.raises(LabelingError):
            act(OwnFolder(Path("r"), "reports"))
    OwnFolder(Path("r"), "reports").remove()
    assert files() == before


def test_a_file_that_came_in_between_is_in_the_way(place):
    own = OwnFolder(Path("r"), "reports")
    own.clear()
    Path("r/a.html").write_text("mine")
    with pytest.raises(LabelingError, match="is in the way"):
        own.claim("a.html")
    own.remove()
    assert files() == {"r/a.html": b"mine"}


@pytest.mark.parametrize("name", ["../mine", "p/../../mine", "link/mine", "/{place}/mine", ".."])
def test_a_list_that_was_meddled_with_removes_nothing_elsewhere(place, name):
    own = OwnFolder(Path("r"), "reports")
    own.clear()
    Path("mine").write_text("mine")
    Path("r/link").symlink_to(place)
    name = name.format(place=place)
    with Path("r", LIST).open("a") as stream:
        stream.write(f"{name}\n")
    own.clear()
    own.remove()
    assert files()["mine"] == b"mine"
    own = OwnFolder(Path("s"), "reports")
    own.clear()
    with pytest.raises(LabelingError, match="in the way"):
        own.claim(f"../{name}" if name == ".." else name.replace("link/", "../"))


@given(st.lists(st.sampled_from(["clear", "a", "b/c", "mine", "remove"]), max_size=12))
def test_whatever_the_order_a_file_of_somebody_else_stays(tmp_path_factory, steps):
    folder = tmp_path_factory.mktemp("own") / "r"
    (folder / "b").mkdir(parents=True)
    mine: set[str] = set()
    own = OwnFolder(folder, "reports")
    for number, step in enumerate(steps):
        if step == "mine":
            folder.joinpath("b").mkdir(parents=True, exist_ok=True)
            folder.joinpath("b", f"{number}.mine").write_text("mine")
            mine.add(f"{number}.mine")
            continue
        try:
            if step == "clear":
                own.clear()
            elif step == "remove":
                own.remove()
            elif (folder / LIST).exists():
                own.claim(step).write_text("ours")
        except CrossalignError:
            pass
        assert {path.name for path in folder.rglob("*.mine")} == mine


def test_where_a_source_is(place):
    for name in ("photos/a/1.png", "lists/l.txt", "other/2.png"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(b"x")
    Path("way").symlink_to("photos")
    folder, listed = open_source("photos"), open_source("lists/l.txt")
    pattern = open_source("photos/**/*.png")
    for source in (folder, pattern):
        assert is_inside(Path("way/new"), source)
        assert not is_inside(Path("photos2"), source)
        assert holds(Path(), source)
        assert holds(Path("photos"), source)
        assert not holds(Path("other"), source)
    assert is_source(Path("way/../photos"), folder)
    assert is_source(Path("way/a/1.png"), pattern)
    assert is_source(Path("lists/../lists/l.txt"), listed)
    assert not is_source(Path("other/l.txt"), listed)
    assert not is_inside(Path("lists/report"), listed)
    assert holds(Path("lists"), listed)
    assert holds(Path("photos"), open_source("way/a/*.png"))


# ----------------------------------------------------------------------------------------- reports


@pytest.fixture
def photos(place, picture):
    Path("photos").mkdir()
    for number in range(6):
        picture(CLASSES[number % 3], number).save(f"photos/{number}.jpg")
    return Path("photos")


@pytest.fixture
def finish(make_encoder):
    def finish(source):
        classifier = Classifier(CLASSES, encoder=make_encoder(), method="clip")
        run_job(open_source(source), "labels.csv", classifier)
        return JobFile(job_path("labels.csv"))

    return finish


@pytest.mark.parametrize(
    ("source", "folder"),
    [
        ("photos", "."),
        ("photos", "photos"),
        ("photos", "photos/report"),
        ("photos/**/*.jpg", "photos/report"),
        ("site/previews", "site"),
        ("site/l.txt", "site"),
        ("l.txt", "site"),
        ("photos.zip", "site"),
        ("photos", "site"),
    ],
)
def test_a_report_removes_nothing_that_is_not_its_own(photos, finish, picture, source, folder):
    """The folder ``site`` looks like a report and is none: its previews are somebody's photos."""
    import zipfile

    Path("site/previews").mkdir(parents=True)
    for number in range(3):
        picture(CLASSES[number], number).save(f"site/previews/{number}.jpg")
    for name in ("site/label-0001-01.html", "site/index.html"):
        Path(name).write_text("mine")
    Path("site/l.txt").write_text("previews/0.jpg\npreviews/1.jpg\n")
    Path("l.txt").write_text("photos/0.jpg\nsite/previews/1.jpg\n")
    with zipfile.ZipFile("photos.zip", "w") as archive:
        archive.write("photos/0.jpg")
    with finish(source) as job:
        before = files()
        with pytest.raises(LabelingError, match=r"the source|left as they are"):
            write_sheets(Path(folder), job, open_source(source), title="t")
    assert {name: data for name, data in files().items() if "labels.csv" not in name} == {
        name: data for name, data in before.items() if "labels.csv" not in name
    }


def test_an_earlier_report_is_replaced_and_notes_beside_it_stay(photos, finish):
    with finish("photos") as job:
        write_sheets(Path("report"), job, open_source("photos"), title="t")
        first = set(files(Path("report")))
        Path("report/previews/mine.jpg").write_text("mine")
        Path("report/label-9999-01.html").write_text("mine")
        Path("photos/0.jpg").unlink()
        write_sheets(Path("report"), job, open_source("photos"), title="t")
    left = files(Path("report"))
    assert left["report/previews/mine.jpg"] == left["report/label-9999-01.html"] == b"mine"
    assert len(set(left) - first) == 2
    assert len(first - set(left)) == 1, "the preview of the photo that went"


def test_a_list_of_an_earlier_reports_previews_keeps_them(photos, finish):
    with finish("photos") as job:
        write_sheets(Path("report"), job, open_source("photos"), title="t")
    before = files(Path("report"))
    Path("l.txt").write_text("".join(f"{name}\n" for name in before if name.endswith(".jpg")))
    Path("labels.csv").unlink()
    job_path("labels.csv").unlink()
    with finish("l.txt") as job, pytest.raises(LabelingError, match="belongs to an earlier report"):
        write_sheets(Path("report"), job, open_source("l.txt"), title="t")
    assert files(Path("report")) == before


def test_a_report_that_was_killed_can_be_made_again(photos, finish, monkeypatch):
    from crossalign.labeling import contact_sheets as sheets

    with finish("photos") as job:
        with monkeypatch.context() as patch:
            patch.setattr(sheets, "_preview", lambda entry: 1 / 0 if "3" in entry.path else b"x")
            with pytest.raises(ZeroDivisionError):
                write_sheets(Path("report"), job, open_source("photos"), title="t")
        assert write_sheets(Path("report"), job, open_source("photos"), title="t").exists()


# ------------------------------------------------------------------------------------------ shards


class FakeRay:
    """A cluster of one processor on which nothing runs."""

    @staticmethod
    def is_initialized() -> bool:
        return True

    @staticmethod
    def cluster_resources() -> dict[str, float]:
        return {"CPU": 1.0}


@pytest.fixture
def work(photos, make_encoder):
    classifier = Classifier(CLASSES, encoder=make_encoder(), method="clip")
    with JobFile(job_path("labels.csv")) as job:
        source = open_source("photos")
        job.begin({"a": "b"})
        job.scan((entry.id, entry.path, entry.stamp) for entry in source.entries())
        yield Work(classifier, Decisions(), source, job)


@pytest.fixture
def engine(monkeypatch):
    from crossalign import DescriptionSet

    monkeypatch.setattr("crossalign.labeling.ray.engine._import_ray", FakeRay)
    monkeypatch.setattr(RayEngine, "_label", lambda self, names, workers, cpus: iter(()))
    return lambda folder, **options: RayEngine(
        partial(build_classifier, DescriptionSet.of(CLASSES)), Path(folder), **options
    )


@pytest.mark.parametrize("folder", ["photos", ".", "mine", "l.txt"])
def test_shards_never_take_the_place_of_anything(work, engine, folder):
    Path("mine").mkdir()
    for name in ("settings", "job.json", "000000.done", "000000.in.parquet"):
        Path("mine", name).write_text("mine")
    Path("l.txt").write_text("mine")
    before = {name: data for name, data in files().items() if ".job" not in name}
    with pytest.raises(LabelingError, match=r"left as they are|is a file"):
        engine(folder).check()
    with pytest.raises(LabelingError, match=r"left as they are|is a file"):
        list(engine(folder)(work))
    assert {name: data for name, data in files().items() if ".job" not in name} == before


def test_without_ray_nothing_is_touched(work, monkeypatch):
    from crossalign import DescriptionSet

    monkeypatch.setitem(sys.modules, "ray", None)
    own = OwnFolder(Path("shards"), "shards")
    own.clear()
    own.claim("000000.done").write_text("1")
    before = files(Path("shards"))
    engine = RayEngine(partial(build_classifier, DescriptionSet.of(CLASSES)), Path("shards"))
    for act in (engine.check, lambda: list(engine(work))):
        with pytest.raises(CrossalignError, match="crossalign\\[ray\\]"):
            act()
    assert files(Path("shards")) == before


def test_a_pool_that_does_not_fit_writes_and_removes_nothing(work, engine):
    own = OwnFolder(Path("shards"), "shards")
    own.clear()
    own.claim("000000.done").write_text("1")
    before = files(Path("shards"))
    with pytest.raises(LabelingError, match="do not fit"):
        list(engine("shards", workers=4, cpus=1.0)(work))
    assert files(Path("shards")) == before


def test_shards_of_another_job_are_left_alone(work, engine):
    own = OwnFolder(Path("shards"), "shards")
    own.clear()
    own.claim("job.json").write_text(json.dumps({"job": "/other.csv.job", "settings": "s"}))
    before = files(Path("shards"))
    with pytest.raises(LabelingError, match=r"shards of another job, /other\.csv\.job"):
        list(engine("shards")(work))
    assert files(Path("shards")) == before


def test_shards_go_when_the_job_is_done_and_what_lies_beside_them_stays(work, engine, monkeypatch):
    assert list(engine("shards", shard_size=2)(work)) == []
    assert not Path("shards").exists()

    def leave(self, names, workers, cpus):
        assert names == ["000000", "000001", "000002"]
        Path("shards/000000.done").write_text("2")
        Path("shards/mine").write_text("mine")
        yield from ()

    monkeypatch.setattr(RayEngine, "_label", leave)
    assert list(engine("shards", shard_size=2)(work)) == []
    assert files(Path("shards")) == {"shards/mine": b"mine"}
