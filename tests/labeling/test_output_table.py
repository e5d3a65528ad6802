"""Tables never take the place of anybody else's file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from crossalign import Classifier
from crossalign.errors import LabelingError
from crossalign.labeling import Decisions, JobFile, job_path, open_source, run_job
from crossalign.labeling import output_table as output
from crossalign.labeling.job import local_engine

CLASSES = ["red", "green", "blue"]


@pytest.fixture
def run(tmp_path, picture, make_encoder, monkeypatch):
    """Six photos in the working folder; a function that labels a source."""
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    for number in range(6):
        picture(CLASSES[number % 3], number).save(f"photos/{number}.png")

    def run(source="photos", out="labels.csv", **options):
        encoder = make_encoder()
        classifier = Classifier(CLASSES, encoder=encoder, method="clip")
        try:
            return run_job(open_source(source), out, classifier, **options)
        finally:
            run.encoded = sum(encoder.image_batches)

    return run


def files() -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in Path().rglob("*") if path.is_file()}


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize(
    ("source", "out"),
    [
        ("mine.csv", "mine.csv"),
        ("mine.csv", "photos/../mine.csv"),
        ("mine.csv", "link.csv"),
        ("m*.csv", "mine.csv"),
        ("mine.csv", "hard.csv"),
        ("photos", "mine.csv"),
    ],
)
def test_a_table_of_the_users_is_never_overwritten(run, source, out, restart):
    Path("mine.csv").write_text("path,note\nphotos/0.png,dear to me\n")
    Path("link.csv").symlink_to("mine.csv")
    os.link("mine.csv", "hard.csv")
    before = files()
    with pytest.raises(LabelingError, match=r"would be overwritten|left as it is"):
        run(source, out, restart=restart)
    assert run.encoded == 0
    assert files() == before


def test_a_source_is_not_overwritten_even_where_a_job_file_lies_beside_it(run):
    run()
    Path("labels.csv").unlink()
    Path("labels.csv").write_text("path\nphotos/0.png\n")
    before = Path("labels.csv").read_bytes()
    for source in ("labels.csv", "photos"):
        with pytest.raises(LabelingError, match=r"would be overwritten|not as this job wrote it"):
            run(source)
        assert Path("labels.csv").read_bytes() == before


@pytest.mark.parametrize("restart", [False, True])
def test_changes_made_by_hand_are_kept(run, restart):
    run()
    by_hand = Path("labels.csv").read_text().replace("red", "crimson")
    Path("labels.csv").write_text(by_hand)
    with pytest.raises(LabelingError, match="it was changed since"):
        run(restart=restart)
    assert Path("labels.csv").read_text() == by_hand
    Path("labels.csv").rename("mine.csv")
    assert run(restart=restart).labelled == (6 if restart else 0)
    assert Path("labels.csv").exists()


def test_changes_made_by_hand_while_a_job_runs_are_kept(run, picture):
    run()
    picture("red", 9).save("photos/9.png")

    def meddle(work):
        Path("labels.csv").write_text("by hand")
        yield from local_engine(work)

    with pytest.raises(LabelingError, match="it was changed since"):
        run(engine=meddle)
    assert Path("labels.csv").read_text() == "by hand"
    Path("labels.csv").unlink()
    assert run().labelled == 0, "what was labelled was kept"
    assert len(Path("labels.csv").read_text().splitlines()) == 8


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_around_the_change_of_names_does_not_make_the_table_a_stranger(
    run, monkeypatch, picture, when
):
    run()
    picture("red", 9).save("photos/9.png")
    real = Path.replace

    def killed(self, target):
        if when == "after":
            real(self, target)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            run()
    run()
    assert len(Path("labels.csv").read_text().splitlines()) == 8


def test_a_source_without_images_leaves_no_job_file(run):
    Path("none").mkdir()
    Path("t.csv").write_text("photo,label\nphotos/0.png,red\n")
    before = files()
    with pytest.raises(LabelingError, match="there are no images"):
        run("none")
    with pytest.raises(LabelingError, match="expected a column"):
        run("t.csv")
    assert files() == before


def test_a_table_is_told_by_its_content(run):
    run()
    with JobFile(job_path("labels.csv")) as job:
        output.check_ours(Path("labels.csv"), job)
        rows = list(job.rows())
        output.write_table(Path("copy.csv"), rows)
        output.check_ours(Path("copy.csv"), job)
        output.write_rows("labels.csv", job, Decisions())
        output.write_table(Path("copy.csv"), rows[:-1])
        with pytest.raises(LabelingError, match="not as this job wrote it"):
            output.write_rows("copy.csv", job, Decisions())
