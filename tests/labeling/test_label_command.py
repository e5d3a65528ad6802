"""``crossalign label`` and ``crossalign calibrate``: what they print, write and return."""

from __future__ import annotations

import csv
import dataclasses
import json
import sys
from pathlib import Path

import pytest

from crossalign import cli
from crossalign.alignment import calibration
from crossalign.alignment.calibration import Calibration
from crossalign.encoders import registry

CLASSES = ["red", "green", "blue"]
WORDS = ["-c", "red", "-c", "green", "-c", "blue", "--model", "fake", "--method", "clip"]


@pytest.fixture
def run(capsys, monkeypatch, make_encoder):
    fake = registry.Scheme(usage="fake", loader=lambda rest: make_encoder())
    monkeypatch.setitem(registry._SCHEMES, "fake", fake)
    monkeypatch.setattr(sys, "argv", ["crossalign"])

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            cli.main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return caught.value.code or 0, out, err

    return run


@pytest.fixture
def folder(tmp_path, picture, monkeypatch):
    """Thirty pictures in class folders."""
    monkeypatch.chdir(tmp_path)
    for number in range(30):
        colour = CLASSES[number % 3]
        Path("photos", colour).mkdir(parents=True, exist_ok=True)
        picture(colour, number).save(f"photos/{colour}/{number}.png")
    return tmp_path


def table() -> list[dict[str, str]]:
    with Path("labels.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_folder_becomes_a_table_and_a_summary(run, folder):
    code, out, err = run("label", "photos", "--out", "labels.csv", *WORDS)
    assert code == 0, err
    assert [row["label"] == Path(row["path"]).parent.name for row in table()] == [True] * 30
    assert "30 images in labels.csv, 30 labelled now" in out
    assert "Scores rank classes; they are not probabilities." in out
    assert "Least sure, by margin" in out
    assert err == ""
    code, out, err = run("label", "photos", "--out", "labels.csv", *WORDS)
    assert (code, err) == (0, "30 of 30 images done before\n")
    assert ", 0 labelled now" in out


def test_broken_images_are_summed_up_and_the_exit_code_is_1(run, folder):
    for name in ("x.png", "y.png"):
        Path("photos", name).write_bytes(b"<html>")
    code, _, err = run("label", "photos", "--out", "labels.csv", *WORDS)
    assert code == 1
    assert "2 images failed; --retry-errors tries again:" in err
    assert "2 x expected an image, got an HTML page" in err
    assert err.count("HTML") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere", "--out", "l.csv", *WORDS], "there is no 'nowhere'"),
        (["photos", "--out", "l.xml", *WORDS], "expected an output that ends in"),
        (["photos", "--out", "l.csv"], "no classes"),
        (["photos", "--out", "l.csv", *WORDS, "--multi-label"], "need a threshold"),
        (["photos", "--out", "l.csv", *WORDS, "--calibration", "c.json"], "c.json: No such file"),
        (["photos", "--out", "l.csv", *WORDS, "--export", "csv"], "KIND=PATH"),
        (["photos", "--out", "l.csv", *WORDS, "-c", "undecided"], "cannot be called"),
        (
            ["photos", "--out", "l.csv", *WORDS, "--engine", "ray", "--store", "s"],
            "is one machine's",
        ),
        (["photos", "--out", "photos/r.csv", *WORDS, "--engine", "dask"], "dask"),
    ],
)
def test_mistakes_end_with_2_and_a_line(run, folder, arguments, words):
    code, _, err = run("label", *arguments)
    assert code == 2
    assert words in " ".join(err.replace("│", " ").split())
    assert not Path("l.csv").exists()


def test_other_settings_are_refused_until_a_restart(run, folder):
    run("label", "photos", "--out", "labels.csv", *WORDS)
    code, _, err = run("label", "photos", "--out", "labels.csv", *WORDS, "-c", "violet")
    assert code == 2
    assert "class list: 3 classes" in err
    assert "All 30 finished rows" in err
    words = [*WORDS, "-c", "violet", "--restart", "--top", "2"]
    code, out, _ = run("label", "photos", "--out", "labels.csv", *words)
    assert code == 0
    assert "30 labelled now" in out
    assert len(json.loads(table()[0]["top"])) == 2


def test_report_and_exports(run, folder):
    code, out, err = run(
        *("label", "photos", "--out", "labels.csv", *WORDS, "--report", "report"),
        *("--export", "coco=coco.json", "--export", "link=sorted"),
    )
    assert code == 0, err
    assert f"Report: {Path('report/index.html')}" in out
    assert "coco: 30 images" in out
    assert len(list(Path("sorted").rglob("*.png"))) == 30
    assert "Labels of photos" in Path("report/index.html").read_text()


def test_calibrate_and_label_with_it(run, folder):
    code, out, err = run(
        *("calibrate", "photos", "--out", "c.json", *WORDS, "--precision", "0.9"),
        *("--plot", "reliability.svg"),
    )
    assert code == 0, err
    assert "30 photos, 1.000 of them labelled right" in out
    assert "from confidence" in out
    found = Calibration.load(Path("c.json"))
    assert Path("reliability.svg").read_text().startswith("<svg")
    words = [*WORDS, "--calibration", "c.json", "--none-of-these", "--threshold", "0.2"]
    code, out, err = run("label", "photos", "--out", "labels.csv", *words)
    assert code == 0, err
    assert "not probabilities" not in out
    for row in table():
        assert 1 / 3 <= float(row["confidence"]) <= 1
    code, _, err = run("label", "photos", "--out", "o.csv", *WORDS, "-c", "x", *words[-5:-3])
    assert code == 2
    assert "other settings (class list, descriptions)" in err
    assert found.settings


def test_a_wished_precision_that_is_not_reached_stops_the_labels(run, folder):
    words = [*WORDS, "--calibration", "c.json"]
    code, out, err = run("calibrate", "photos", "--out", "c.json", *WORDS, "--precision", "0.95")
    assert code == 1
    assert "Calibration: c.json" in out
    assert "no threshold is shown to reach the precision of 0.95" in err
    assert "that takes 45 or more of the surest" in err
    code, _, err = run("label", "photos", "--out", "labels.csv", *words)
    assert code == 2
    assert "Calibrate again with more photos or a smaller --precision" in err
    assert not Path("labels.csv").exists()
    code, _, err = run("label", "photos", "--out", "labels.csv", *words, "--threshold", "0")
    assert code == 0, err
    assert {row["decision"] for row in table()} == set(CLASSES)


def test_a_calibration_that_says_nothing_is_told_by_both(run, folder):
    rows = "".join(f"photos/{CLASSES[n % 3]}/{n}.png,{CLASSES[n // 3 % 3]}\n" for n in range(30))
    Path("known.csv").write_text(f"path,label\n{rows}")
    code, _, err = run("calibrate", "known.csv", "--out", "c.json", *WORDS)
    assert code == 0, err
    assert "note: these confidences say nothing" in err
    words = ("--out", "labels.csv", *WORDS, "--calibration", "c.json")
    assert "note: these confidences say nothing" in run("label", "photos", *words)[2]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "there is no nowhere: expected a folder of class folders"),
        (["photos", "--plot", "p.txt"], "a plot that ends in .svg or .html"),
        (["photos", "--plot", "photos/red/0.png/p.svg"], "cannot write to"),
        (["photos", "--precision", "1.5"], "a precision above 0 and up to 1"),
    ],
)
def test_what_cannot_be_calibrated_is_told_before_the_work(
    run, folder, monkeypatch, words, message
):
    monkeypatch.setattr("crossalign.cli.calibrate.predict", None)
    code, _, err = run("calibrate", *words, "--out", "c.json", *WORDS)
    assert code == 2
    assert message in " ".join(err.replace("│", " ").split())
    assert not Path("c.json").exists()


def test_a_calibration_that_makes_it_worse_says_so(run, folder, monkeypatch):
    learn = calibration.calibrate

    def unlucky(*given, **settings):
        found = learn(*given, **settings)
        worse = dataclasses.replace(found.after, log_loss=found.before.log_loss + 0.1)
        return dataclasses.replace(found, after=worse)

    assert "worse" not in run("calibrate", "photos", "--out", "c.json", *WORDS)[2]
    monkeypatch.setattr(calibration, "calibrate", unlucky)
    code, _, err = run("calibrate", "photos", "--out", "c.json", *WORDS)
    assert code == 0
    assert "came out worse than those of the usual temperature; 30 photos are too few" in err


def test_a_calibration_of_named_classes_goes_with_none_of_these(run, folder):
    """Classes by name, of which the bank knows some: the background must not change their texts."""
    names = [word for name in ("red", "pug", "keeshond") for word in ("-c", name)]
    words = [*names, "--model", "fake", "--method", "cupl"]
    rows = "".join(f"photos/{CLASSES[n % 3]}/{n}.png,red\n" for n in range(30))
    Path("known.csv").write_text(f"path,label\n{rows}")
    code, _, err = run("calibrate", "known.csv", "--out", "c.json", *words)
    assert code == 0, err
    words += ["--calibration", "c.json", "--none-of-these"]
    code, _, err = run("label", "photos", "--out", "labels.csv", *words)
    assert code == 0, err
    assert "photo of nothing" not in err, "the background is nobody's class"


@pytest.mark.parametrize("out", ["known.csv", "names.json", "./names.json"])
def test_calibrate_writes_over_nothing_that_it_reads(run, folder, out):
    Path("known.csv").write_text("path,label\nphotos/red/0.png,red\n")
    Path("names.json").write_text('["red", "green"]')
    before = Path(out).read_bytes()
    words = ["--classes", "names.json", "--model", "fake", "--out", out]
    code, _, err = run("calibrate", "known.csv", *words)
    assert code == 2
    assert "is read by this command, and would be overwritten" in " ".join(err.split())
    assert Path(out).read_bytes() == before


def test_calibrate_counts_what_a_background_would_take_away(run, folder):
    Path("else.txt").write_text("a blue picture\nthe red of a rose\n")
    words = [*WORDS[:4], *WORDS[-4:], "--none-of-these", "--background", "else.txt"]
    # The third class is one that the list does not have: ten photos of it are called green here.
    rows = "".join(f"photos/{c}/{n}.png,{'green' if c == 'blue' else c}\n"
                   for n in range(30) for c in [CLASSES[n % 3]])  # fmt: skip
    Path("known.csv").write_text(f"path,label\n{rows}")
    code, out, err = run("calibrate", "known.csv", "--out", "c.json", *words)
    assert code == 0, err
    assert "10 of 30 photos fit the background better than every class" in out
    assert "note: 'the red of a rose' is no background here" in err
    code, _, err = run("calibrate", "known.csv", "--out", "d.json", *WORDS[:4], *WORDS[-4:])
    assert Path("c.json").read_bytes() == Path("d.json").read_bytes(), "it takes no part in it"
    code, _, err = run("calibrate", "photos", "--out", "c.json", *WORDS, "--background", "else.txt")
    assert code == 2
    assert "goes with --none-of-these" in " ".join(err.replace("│", " ").split())


def test_background_texts_may_be_given(run, folder):
    Path("else.txt").write_text("blue\nthe red of a rose\n")
    words = [*WORDS[:4], *WORDS[-4:], "--none-of-these", "--background", "else.txt"]
    code, _, err = run("label", "photos", "--out", "labels.csv", *words)
    assert code == 0, err
    assert "note: 'the red of a rose' is no background here: it names a class" in err
    decided = {(Path(row["path"]).parent.name, row["decision"]) for row in table()}
    assert decided == {("red", "red"), ("green", "green"), ("blue", "none of these")}
    code, _, err = run("label", "photos", "--out", "l.csv", *WORDS, "--background", "else.txt")
    assert code == 2
    assert "goes with --none-of-these" in " ".join(err.replace("│", " ").split())


def test_calibrate_reads_a_table_and_tells_unknown_labels(run, folder):
    rows = [(f"photos/{c}/{n}.png", c) for n in range(30) for c in [CLASSES[n % 3]]]
    text = "path,label\n" + "".join(f"{path},{label.upper()}\n" for path, label in rows)
    Path("known.csv").write_text(text)
    code, _, err = run("calibrate", "known.csv", "--out", "c.json", *WORDS, "--plot", "r.html")
    assert code == 0, err
    assert "<svg" in Path("r.html").read_text()
    Path("known.csv").write_text(text + "photos/red/0.png,pink\n")
    code, _, err = run("calibrate", "known.csv", "--out", "c.json", *WORDS)
    assert code == 2
    assert "line 32 of known.csv is labelled 'pink'" in err
    Path("known.csv").write_text("a,b\n")
    code, _, err = run("calibrate", "known.csv", "--out", "c.json", *WORDS)
    assert code == 2
    assert "expected columns path and label" in err


def test_ray_that_is_not_installed_is_named(run, folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    code, _, err = run("label", "photos", "--out", "labels.csv", *WORDS, "--engine", "ray")
    assert code == 2
    assert "pip install 'crossalign[ray]'" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--address", "auto"], "--address: only with --executor ray"),
        (["--workers", "2", "--shards", "s"], "--workers, --shards: only with --executor ray"),
        (["--worker-gpus", "0"], "--worker-gpus: only with --executor ray"),
        (["--shard-size", "256"], "--shard-size: only with --executor ray"),
        (["--column", "image"], "is for tables"),
        (["--report", "photos/report"], "inside the source"),
        (["--report", "."], "where the source is"),
        (["--report", "mine"], "left as they are"),
        (["--report", "mine/notes.txt/report"], "mine/notes.txt/report"),
        (["--report", "r", "--export", "copy=r"], "places of their own"),
        (["--export", "coco=photos/c.json"], "inside the source"),
        (["--export", "move=m", "--multi-label", "--threshold", "0.1"], "cannot be moved"),
        (["--runtime", "openvino"], "--runtime: builtin knows no option runtime"),
        (["--dtype", "fp16"], "--dtype: builtin knows no option dtype"),
        (["--kind", "even"], "--kind go with crops; method clip takes none"),
    ],
)
def test_what_cannot_be_is_told_before_the_work(run, folder, monkeypatch, words, message):
    monkeypatch.setattr("crossalign.labeling.job.run_job", None)
    Path("mine").mkdir()
    Path("mine/notes.txt").write_text("mine")
    classes = [*WORDS[:6], "--method", "clip"]
    code, _, err = run("label", "photos", "--out", "labels.csv", *classes, *words)
    assert code == 2
    assert message in " ".join(err.replace("│", " ").split())
    assert {path.name for path in Path().iterdir()} == {"mine", "photos"}
    assert [path.name for path in Path("mine").iterdir()] == ["notes.txt"]


def test_a_source_that_cannot_be_opened_leaves_no_job_file(run, folder):
    Path("t.csv").write_text("photo;label\nphotos/red/0.png;x\n")
    code, _, err = run("label", "t.csv", "--out", "labels.csv", *WORDS)
    assert code == 2
    assert "it has 'photo', 'label'" in err
    assert not Path("labels.csv.job").exists()
    code, _, err = run("label", "t.csv", "--out", "labels.csv", *WORDS, "--column", "photo")
    assert code == 0, err
    assert [row["path"] for row in table()] == ["photos/red/0.png"]


def test_crops_may_be_laid_out_otherwise(run, folder):
    words = [*WORDS[:-1], "wca", "--crops", "4"]
    run("label", "photos/red", "--out", "labels.csv", *words)
    code, _, err = run(
        *("label", "photos/red", "--out", "labels.csv", *words, "--kind", "even"),
        *("--side", "0.4", "0.6"),
    )
    assert code == 2
    assert "crops:" in err
    assert '"even"' in err
    assert "0.4, 0.6" in err


def test_a_report_and_exports_follow_a_move_and_can_be_made_again(run, folder):
    words = ["--report", "report", "--export", "coco=c.json", "--export", "move=moved"]
    for _ in range(2):
        code, out, err = run("label", "photos", "--out", "labels.csv", *WORDS, *words)
        assert code == 0, err
        assert "coco: 30 images" in out
        for row in table():
            assert Path(row["path"]).parts[0] == "moved"
            assert Path(row["path"]).is_file()
        text = "".join(page.read_text() for page in Path("report").glob("*.html"))
        assert f"{Path('moved').resolve().as_uri()}/" in text
        assert "no preview" not in text


def test_a_move_that_is_stopped_is_seen_in_the_table(run, folder):
    Path("moved/red/red").mkdir(parents=True)
    Path("moved/red/red/0.png").write_text("mine")
    code, _, err = run("label", "photos", "--out", "labels.csv", *WORDS, "--export", "move=moved")
    assert code == 2
    assert "is in the way" in err
    assert Path("moved/red/red/0.png").read_text() == "mine"
    assert all(Path(row["path"]).is_file() for row in table())
    assert {Path(row["path"]).parts[0] for row in table()} == {"photos", "moved"}


def test_the_help_has_its_options_in_sections(run):
    code, out, _ = run("label", "--help")
    assert code == 0
    heads = [line[:-1] for line in out.splitlines() if line.endswith(":") and line[0] != " "]
    assert heads == [
        *("Arguments", "Options", "Classes", "Encoder", "Method", "Speed", "Job", "Decisions"),
        *("Review and export", "Ray"),
    ]
