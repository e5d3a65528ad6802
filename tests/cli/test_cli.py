"""The front door: what it prints where, with which exit code, and what it does not import."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import io
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from PIL import Image

import crossalign
from crossalign import METHODS, Adaptive, Classifier, DescriptionSet, cli
from crossalign.encoders import ModelCard, registry, runtimes
from crossalign.images.examples import PHOTOS, photo_folder
from crossalign.texts.everyday import everyday_classes

SOURCE = Path(crossalign.__file__).parent
KEYS = ["image", "label", "score", "scores", "error"]
COLOURS = ["-c", "red", "-c", "green", "-c", "blue"]


class Result(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, make_encoder: Any
) -> Callable[..., Result]:
    """Run a command line in this process; ``--model fake`` is the fake model."""
    fake = registry.Scheme(usage="fake", loader=lambda rest: make_encoder())
    monkeypatch.setitem(registry._SCHEMES, "fake", fake)
    monkeypatch.setattr(sys, "argv", ["crossalign"])  # what usage messages call the program

    def run(*arguments: object) -> Result:
        with pytest.raises(SystemExit) as caught:
            cli.main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return Result(caught.value.code or 0, out, err)

    return run


@pytest.fixture
def classify(run: Callable[..., Result]) -> Callable[..., Result]:
    plain = ("classify", "--model", "fake", "--crops", "5", "--no-bank")
    return lambda *arguments: run(*plain, *arguments)


@pytest.fixture
def folder(tmp_path: Path, picture: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with three good pictures and a bad one."""
    monkeypatch.chdir(tmp_path)
    for number, colour in enumerate(("red", "green", "blue")):
        picture(colour, number).save(f"{colour}.png")
    Path("broken.png").write_bytes(b"<html>not found</html>")
    return tmp_path


def run_really(*arguments: Any, **options: Any) -> Result:
    """Run the installed program in a process of its own."""
    done = subprocess.run(
        [program(), *arguments],
        capture_output=True,
        timeout=300,
        check=False,
        env={**os.environ, "PYTHONUTF8": "1"},
        **options,
    )
    err = done.stderr.decode("utf-8")
    assert "Traceback" not in err
    return Result(done.returncode, done.stdout.decode("utf-8"), err)


def program() -> str:
    found = shutil.which("crossalign", path=str(Path(sys.executable).parent))
    assert found is not None, "the package is not installed: no program crossalign"
    return found


# ------------------------------------------------------------------------------------ first steps


def test_version(run: Callable[..., Result]) -> None:
    assert run("--version") == (0, f"crossalign {crossalign.__version__}\n", "")


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help(run: Callable[..., Result], flag: str) -> None:
    code, out, err = run(flag)
    assert (code, err) == (0, "")
    for command in ("classify", "models", "demo"):
        assert command in out
        help_ = run(command, flag)
        assert (help_.code, help_.err) == (0, "")
        assert f"crossalign {command}" in help_.out
    for option in ("--class", "-c", "--classes", "--model", "--method", "--crops", "--seed"):
        assert option in run("classify", flag).out
    assert "{class: [description, ...]}" in " ".join(run("classify", flag).out.split())


def test_models(run: Callable[..., Result]) -> None:
    code, out, err = run("models")
    assert (code, err) == (0, "")
    head, *rows = out.splitlines()
    assert head.split() == ["name", "here", "dimension", "input", "context", "licence", "size"]
    assert rows[0].split()[:3] == ["builtin", "yes", "1664"]
    assert any(row.startswith("hf:laion/") for row in rows)
    (runtime,) = (row for row in rows if row.startswith("onnxruntime "))
    assert "CPUExecutionProvider" in runtime
    openvino = next(row for row in rows if row.startswith("openvino "))
    assert "by default" in openvino or "pip install 'crossalign[openvino]'" in openvino


def test_models_as_json(run: Callable[..., Result]) -> None:
    result = run("models", "--json")
    assert (result.code, result.err) == (0, "")
    cards = [ModelCard(**values) for values in result.json]
    assert [dataclasses.asdict(card) for card in cards] == result.json
    assert cards[0].name == "builtin"
    assert cards[0].bytes > 1e6


# --------------------------------------------------------------------------------------- classify


def test_classify(classify: Callable[..., Result], folder: Path) -> None:
    code, out, err = classify("red.png", "blue.png", *COLOURS)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "red.png"
    assert lines[4] == "blue.png"
    assert len(lines) == 8
    for first, best in ((1, "red"), (5, "blue")):
        rows = [re.fullmatch(r"  ( |-)\d\.\d{4}  (\w+)", line) for line in lines[first : first + 3]]
        names = [row and row[2] for row in rows]
        assert names[0] == best
        assert sorted(map(str, names)) == ["blue", "green", "red"]


def test_classify_as_json(classify: Callable[..., Result], folder: Path) -> None:
    result = classify("red.png", "green.png", "blue.png", "--json", *COLOURS)
    assert (result.code, result.err) == (0, "")
    assert [line["label"] for line in result.json] == ["red", "green", "blue"]
    for name, line in zip(("red.png", "green.png", "blue.png"), result.json, strict=True):
        assert list(line) == KEYS
        assert line["image"] == name
        assert list(line["scores"]) == ["red", "green", "blue"]
        assert line["score"] == max(line["scores"].values()) == line["scores"][line["label"]]
        assert line["error"] is None


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("c.txt", "red\n\n# a comment\n  green \nblue\n"),
        ("C.TXT", "\ufeffred\r\ngreen\r\nblue"),
        ("c.json", json.dumps({"red": ["a red thing"], "green": ["x"], "blue": ["y", "z"]})),
        ("list.json", '["red", "green", "blue"]'),
    ],
)
def test_classes_from_a_file(
    classify: Callable[..., Result], folder: Path, name: str, content: str
) -> None:
    Path(name).write_bytes(content.encode("utf-8"))
    result = classify("red.png", "--classes", name, "--json")
    assert (result.code, result.err) == (0, "")
    expected = Classifier(
        DescriptionSet.load(name), encoder=registry.load_encoder("fake"), crops=5
    )("red.png")
    assert result.json == [expected.to_dict()]


@pytest.mark.parametrize(
    ("options", "bank", "note"),
    [
        (
            (),
            True,
            "note: no descriptions of 'red' in the bank (1 of 2 classes); templates stand in",
        ),
        (("--bank",), True, "note: no descriptions of 'red' in the bank (1 of 2 classes)"),
        (("--no-bank",), False, ""),
        (("--method", "clip"), True, ""),
    ],
)
def test_the_bank(
    run: Callable[..., Result], folder: Path, options: tuple[str, ...], bank: bool, note: str
) -> None:
    words = ["classify", "red.png", "--model", "fake", "--crops", "5", "-c", "red", "-c", "pug"]
    result = run(*words, "--json", *options)
    assert result.code == 0
    assert result.err.startswith(note)
    assert bool(result.err) == bool(note)
    classifier = Classifier(
        ["red", "pug"],
        encoder=registry.load_encoder("fake"),
        method="clip" if "clip" in options else "wca",
        crops=5,
        bank=bank,
    )
    assert result.json == [classifier("red.png").to_dict()]


def test_the_bank_has_nothing_to_say_of_given_descriptions(
    run: Callable[..., Result], folder: Path
) -> None:
    Path("c.json").write_text(json.dumps({"red": ["a red thing"], "green": ["x"]}))
    result = run("classify", "red.png", "--model", "fake", "--classes", "c.json", "--json")
    assert (result.code, result.err) == (0, "")


@pytest.mark.parametrize("method", ["clip", "clip-e", "waffle", "cupl", "wca"])
def test_options_reach_the_classifier(
    run: Callable[..., Result], folder: Path, method: str
) -> None:
    options = ["--model", "fake", "--method", method, "--crops", "3", "--seed", "4"]
    result = run("classify", "green.png", "blue.png", "--json", *options, *COLOURS)
    assert result.code == 0
    classifier = Classifier(
        ["red", "green", "blue"],
        encoder=registry.load_encoder("fake"),
        method=method,
        crops=3,
        seed=4,
    )
    assert result.json == [p.to_dict() for p in classifier(["green.png", "blue.png"])]


@pytest.mark.parametrize(
    ("version", "devices"),
    [
        (None, "not installed"),
        ("2.13.0+cpu", "CPU"),
        ("2.13.0+cu130", "a GPU, if there is one"),
        ("2.13.0", "a GPU, if there is one"),
    ],
)
def test_devices_of_a_library_that_is_not_imported(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, version: str | None, devices: str
) -> None:
    known = runtimes._version
    monkeypatch.setattr(
        runtimes, "_version", lambda name: version if name == "torch" else known(name)
    )
    (line,) = [line for line in run("models").out.splitlines() if line.startswith("torch ")]
    assert devices in line


@pytest.mark.parametrize(
    ("options", "changes"),
    [
        (("--kind", "grid"), {"kind": "grid"}),
        (("--side", "0.2", "0.4"), {"side": (0.2, 0.4)}),
        (("--kind", "even", "--side", "0.3", "0.3"), {"kind": "even", "side": (0.3, 0.3)}),
    ],
)
def test_crops_are_laid_out_as_asked(
    classify: Callable[..., Result],
    folder: Path,
    options: tuple[str, ...],
    changes: dict[str, Any],
) -> None:
    result = classify("green.png", "blue.png", "--json", "--seed", "4", *options, *COLOURS)
    classifier = Classifier(
        ["red", "green", "blue"],
        encoder=registry.load_encoder("fake"),
        crops=dataclasses.replace(METHODS["wca"].crops, count=5, seed=4, **changes),
        bank=False,
    )
    assert result.json == [p.to_dict() for p in classifier(["green.png", "blue.png"])]
    assert result != classify("green.png", "blue.png", "--json", "--seed", "4", *COLOURS)


def test_auto_crops_are_at_most_the_methods_own(
    run: Callable[..., Result], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    of = Adaptive.of

    def watched(*given: Any) -> Adaptive:
        asked.append(given)
        return of(*given)

    monkeypatch.setattr(Adaptive, "of", watched)
    for options in (("--method", "bifta", "--risk", "0.2"), ("--method", "wca")):
        code, _, err = run(
            "classify", "red.png", "--model", "fake", "--crops", "auto", *options, *COLOURS
        )
        assert code == 0
        assert re.search(r"^\d+\.\d crops an image$", err, re.MULTILINE)
    assert asked[:1] == [(METHODS["bifta"].crops.count, 0.2)]
    assert asked[-1] == (METHODS["wca"].crops.count, None)
    code, _, err = run(
        "classify", "red.png", "--model", "fake", "--crops", "auto", "--method", "clip", *COLOURS
    )
    assert code == 0
    assert "crops an image" not in err


@pytest.mark.filterwarnings("default")
def test_warnings_come_in_one_line(
    run: Callable[..., Result], folder: Path, monkeypatch: pytest.MonkeyPatch, make_encoder: Any
) -> None:
    def load(rest: str) -> Any:
        warnings.warn("the graphics card has no driver", stacklevel=1)
        return make_encoder()

    monkeypatch.setitem(registry._SCHEMES, "old", registry.Scheme(usage="old", loader=load))
    code, _, err = run("classify", "red.png", "--model", "old", "--crops", "2", *COLOURS)
    assert code == 0
    assert err.splitlines()[0] == "warning: the graphics card has no driver"
    assert __file__ not in err


def test_the_seed(classify: Callable[..., Result], folder: Path) -> None:
    plain, zero, again, one = (
        classify("red.png", "--json", *seed, *COLOURS)
        for seed in ((), ("--seed", 0), ("--seed", 0), ("--seed", 1))
    )
    assert plain == zero == again
    assert one != zero
    assert one.code == 0


@pytest.mark.parametrize(("top", "shown"), [((), 5), (("--top", 1), 1), (("--top", 99), 7)])
def test_top(
    classify: Callable[..., Result], folder: Path, top: tuple[object, ...], shown: int
) -> None:
    classes = [word for n in range(7) for word in ("-c", f"class {n}")]
    assert len(classify("red.png", *top, *classes).out.splitlines()) == 1 + shown
    (line,) = classify("red.png", "--json", *top, *classes).json
    assert len(line["scores"]) == 7, "JSON always has all scores"


def test_a_bad_image_is_listed_and_the_others_are_done(
    classify: Callable[..., Result], folder: Path
) -> None:
    images = ["broken.png", "red.png", "nowhere.png", "green.png"]
    code, out, err = classify(*images, *COLOURS)
    assert code == 1
    assert [line for line in out.splitlines() if line.endswith(".png")] == ["red.png", "green.png"]
    errors = err.splitlines()
    assert errors[0].startswith("error: broken.png: expected an image, got an HTML page")
    assert errors[1].startswith("error: nowhere.png: no such file")
    assert errors[2] == "2 of 4 images failed"

    result = classify(*images, "--json", *COLOURS)
    assert result.code == 1
    assert [line["image"] for line in result.json] == images
    assert [line["label"] for line in result.json] == [None, "red", None, "green"]
    for line in result.json:
        assert list(line) == KEYS
    assert result.json[0]["scores"] == {}
    assert result.json[0]["score"] is None
    assert "HTML page" in result.json[0]["error"]


def test_only_bad_images(classify: Callable[..., Result], folder: Path) -> None:
    result = classify("broken.png", ".", "--json", *COLOURS)
    assert result.code == 1
    assert [line["label"] for line in result.json] == [None, None]


NAMES = [
    "two  words.png",
    "Zoë 写真 😀.png",
    "[red]x[default].png",
    "[bold]",
    "line\nbreak.png",
    "tab\there.png",
    "quote\"'s.png",
    "{braces} %s $HOME.png",
    ":smile:.png",
]


@pytest.mark.skipif(sys.platform == "win32", reason="these names are not allowed there")
@pytest.mark.parametrize("name", NAMES)
def test_file_names_are_printed_as_they_are(
    classify: Callable[..., Result], folder: Path, name: str
) -> None:
    Path("red.png").rename(name)
    result = classify(name, *COLOURS)
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith(f"{name}\n  ")
    result = classify(name, "--json", *COLOURS)
    assert result.out.count("\n") == 1, "one line, whatever the name"
    assert result.json[0]["image"] == name
    assert result.json[0]["label"] == "red"
    Path(name).write_bytes(b"")
    assert classify(name, "--json", *COLOURS).json[0]["image"] == name
    assert classify(name, *COLOURS).err.count("\n") == 2, "one line an error, and the sum"


@pytest.mark.parametrize("name", ["[red]x", "写真", "a 'quoted' \"name\"", "50% {}"])
def test_class_names_are_printed_as_they_are(
    classify: Callable[..., Result], folder: Path, name: str
) -> None:
    assert f"  {name}\n" in classify("red.png", "-c", name).out
    assert classify("red.png", "-c", name, "--json").json[0]["label"] == name


# ----------------------------------------------------------------------------------- usage errors

USAGE_ERRORS = [
    pytest.param([], "Usage", id="nothing"),
    pytest.param(["guess"], "No such command", id="unknown command"),
    pytest.param(["classify"], "IMAGE", id="no image and no class"),
    pytest.param(["classify", *COLOURS], "IMAGE", id="no image"),
    pytest.param(["classify", "red.png"], "no classes", id="no classes"),
    pytest.param(["classify", "red.png", "-c"], "-c", id="no value"),
    pytest.param(["classify", "red.png", "--classes", "ok.txt", "-c", "x"], "not with both"),
    pytest.param(["classify", "red.png", "-c", "x", "--colour"], "--colour", id="unknown option"),
    pytest.param(["classify", "red.png", "-c", "x", "--method", "wcaa"], "Did you mean 'wca'"),
    pytest.param(["classify", "red.png", "-c", "x", "--method", "[red]x"], "'[red]x'"),
    pytest.param(["classify", "red.png", "-c", "x", "--method", "clip-d"], "short descriptors"),
    pytest.param(["classify", "red.png", "-c", "x", "--model", "big"], "unknown encoder 'big'"),
    pytest.param(["classify", "red.png", "-c", "x", "--model", "builtin:x"], "one built-in model"),
    pytest.param(["classify", "red.png", "-c", "x", "--crops", "0"], "count"),
    pytest.param(["classify", "red.png", "-c", "x", "--crops", "0", "--method", "clip"], "count"),
    pytest.param(["classify", "red.png", "-c", "x", "--crops", "10001"], "count"),
    pytest.param(["classify", "red.png", "-c", "x", "--crops", "many"], "--crops"),
    pytest.param(["classify", "red.png", "-c", "x", "--crops", "1.5"], "--crops"),
    pytest.param(["classify", "red.png", "-c", "x", "--risk", "0.1"], "--crops auto"),
    pytest.param(["classify", "red.png", "-c", "x", "--kind", "zigzag"], "'zigzag'"),
    pytest.param(["classify", "red.png", "-c", "x", "--side", "0.9", "0.5"], "side"),
    pytest.param(["classify", "red.png", "-c", "x", "--side", "0.5"], "--side"),
    pytest.param(
        ["classify", "red.png", "-c", "x", "--method", "clip", "--kind", "grid"], "takes none"
    ),
    pytest.param(["classify", "red.png", "-c", "x", "--seed", "-1"], "seed"),
    pytest.param(["classify", "red.png", "-c", "x", "--seed", str(2**64)], "seed"),
    pytest.param(["classify", "red.png", "-c", "x", "--top", "0"], "top"),
    pytest.param(["classify", "red.png", "-c", "x", "-c", "x"], "'x' twice"),
    pytest.param(["classify", "red.png", "-c", "x", "-c", "X"], "every class once"),
    pytest.param(["classify", "red.png", "-c", " "], "empty"),
    pytest.param(["classify", "red.png", "--classes", "[red]none.txt"], "[red]none.txt: "),
    pytest.param(["classify", "red.png", "--classes", "."], "folder"),
    pytest.param(["classify", "red.png", "--classes", "red.png"], "the ending '.png'"),
    pytest.param(["classify", "red.png", "--classes", "broken.json"], "broken JSON in line 1"),
    pytest.param(["classify", "red.png", "--classes", "number.json"], "got the int 5"),
    pytest.param(["classify", "red.png", "--classes", "text.json"], "list of texts"),
    pytest.param(["classify", "red.png", "--classes", "twice.json"], "more than once"),
    pytest.param(["classify", "red.png", "--classes", "twice.txt"], "'x' twice"),
    pytest.param(["classify", "red.png", "--classes", "empty.txt"], "empty"),
    pytest.param(["classify", "red.png", "--classes", "latin1.txt"], "UTF-8"),
    pytest.param(["models", "extra"], "extra"),
    pytest.param(["demo", "extra"], "extra"),
    pytest.param(["demo", "--out"], "--out"),
]


@pytest.mark.parametrize(("arguments", "words"), USAGE_ERRORS)
def test_usage_errors(
    run: Callable[..., Result], folder: Path, arguments: list[str], words: str
) -> None:
    files = {
        "ok.txt": b"x",
        "broken.json": b'{"x": [',
        "number.json": b"5",
        "text.json": b'{"x": "a text"}',
        "twice.json": b'{"x": ["a"], "x": ["b"]}',
        "twice.txt": b"x\ny\nx\n",
        "empty.txt": b"\n",
        "latin1.txt": "Zoë".encode("latin-1"),
    }
    for name, content in files.items():
        Path(name).write_bytes(content)
    code, out, err = run(*arguments)
    assert code == 2
    assert out == ""
    assert words in err


def test_refining_never_takes_the_place_of_what_is_refined(
    run: Callable[..., Result], folder: Path
) -> None:
    Path("c.json").write_text(json.dumps({"red": ["a", "b"], "blue": ["c", "d"]}))
    before = Path("c.json").read_bytes()
    code, _, err = run("refine", "c.json", "--out", "./c.json", "--model", "fake")
    assert code == 2
    assert "would be overwritten" in err
    assert Path("c.json").read_bytes() == before


def test_photos_that_are_nowhere(run: Callable[..., Result], folder: Path) -> None:
    code, _, err = run("parity", "fake", "fake", "--photos", "nowhere")
    assert code == 2
    assert "there is none at nowhere" in err


# ------------------------------------------------------------------------------------ interrupted


def test_interrupted_at_work(
    run: Callable[..., Result],
    folder: Path,
    make_encoder: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stopped = registry.Scheme(
        usage="stopped",
        loader=lambda rest: make_encoder(fail_on_call=4, failure=KeyboardInterrupt()),
    )
    monkeypatch.setitem(registry._SCHEMES, "stopped", stopped)
    result = run(
        "classify",
        "--model",
        "stopped",
        "red.png",
        "green.png",
        "blue.png",
        "--json",
        "--no-bank",
        *COLOURS,
    )
    assert result.code == 130
    assert result.err == "interrupted\n"
    assert [line["label"] for line in result.json] == ["red"], "what was done stays"
    assert not [t for t in threading.enumerate() if t.name.startswith("crossalign")]


def test_interrupted_at_the_start(
    classify: Callable[..., Result], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Classifier, "prepare", interrupt)
    assert classify("red.png", *COLOURS) == (130, "", "interrupted\n")


# ------------------------------------------------------------------------- the program as it is


@pytest.mark.slow
def test_the_program_agrees_with_the_library(folder: Path) -> None:
    photo = folder / "a cat.png"
    shutil.copy(photo_folder() / "chelsea.png", photo)
    nowhere: list[Any] = ["no [where].png"]
    if sys.platform == "linux":
        nowhere.append(b"not utf-8 \xff.png")
    classes = ["-c", "cat", "-c", "dog", "-c", "cup of coffee"]
    result = run_really(
        "classify", photo, *nowhere, "--json", "--crops", "4", "--seed", "3", *classes
    )
    assert result.code == 1
    assert result.err == f"{len(nowhere)} of {len(nowhere) + 1} images failed\n"
    first, *others = result.json
    assert all(list(line) == KEYS and line["label"] is None for line in others)
    prediction = Classifier(["cat", "dog", "cup of coffee"], crops=4, seed=3)(photo)
    assert first["label"] == prediction.label == "cat"
    assert first["image"] == str(photo)
    assert first["scores"] == pytest.approx(prediction.to_dict()["scores"], abs=1e-6)


@pytest.mark.slow
def test_a_reader_that_has_seen_enough(folder: Path) -> None:
    images = [f"nowhere {n}.png" for n in range(2000)]
    process = subprocess.Popen(
        [program(), "classify", *images, "-c", "cat", "-c", "dog", "--method", "clip", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    line = json.loads(process.stdout.readline())
    process.stdout.close()
    err = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait(timeout=60) in (0, 1, 130)
    assert line["image"] == "nowhere 0.png"
    assert "Traceback" not in err
    assert "Exception ignored" not in err


# ------------------------------------------------------------------------------------------- demo


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Path]:
    folder = tmp_path_factory.mktemp("demo") / "a new" / "folder"
    out, err = io.StringIO(), io.StringIO()
    streams = contextlib.redirect_stdout(out), contextlib.redirect_stderr(err)
    with streams[0], streams[1], pytest.raises(SystemExit) as caught:
        cli.main(["demo", "--out", str(folder)])
    assert "Traceback" not in err.getvalue()
    return Result(caught.value.code or 0, out.getvalue(), err.getvalue()), folder


@pytest.mark.slow
def test_demo_labels_real_photos(demo: tuple[Result, Path]) -> None:
    (code, out, _), folder = demo
    assert code == 0
    assert [photo.file for photo in PHOTOS if photo.file not in out] == []
    summary = re.search(r"(\d) of 8 photos right, among 48 classes with 384 descriptions", out)
    assert summary is not None
    right = int(summary[1])
    assert right >= 6
    rows = [re.split(r"\s{2,}", line.strip()) for line in out.splitlines()[1:9]]
    assert [row[0] for row in rows] == [photo.file for photo in PHOTOS]
    assert sum(row[1] == row[2] for row in rows) == right
    assert f"Report: {folder / 'report.html'}" in out
    assert [path.name for path in folder.iterdir()] == ["report.html"]


@pytest.mark.slow
def test_demo_report_holds_everything(demo: tuple[Result, Path]) -> None:
    _, folder = demo
    html = (folder / "report.html").read_text(encoding="utf-8")
    assert html.startswith("<!doctype html>")
    assert html.rstrip().endswith("</html>")
    assert html.count("<article ") == 8
    assert (
        html.count('<image href="data:image/jpeg;base64,') == 4 * 8
    )  # three pictures and a thumbnail
    html = html.replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not re.search(r"(https?|file)://|<script|<link|<img|\bsrc=", html, re.IGNORECASE)
    for photo in PHOTOS:
        assert photo.file in html
        assert f"The photo shows: {photo.shows}" in html


def test_demo_classes_and_photos_belong_together() -> None:
    classes = everyday_classes()
    assert {photo.shows for photo in PHOTOS} <= set(classes)
    assert all((photo_folder() / photo.file).is_file() for photo in PHOTOS)


@pytest.fixture
def quick_demo(monkeypatch: pytest.MonkeyPatch, make_encoder: Any) -> None:
    """The demo with the fake model, which is wrong about nearly everything, but quick."""
    fake = registry.Scheme(usage="builtin", loader=lambda rest: make_encoder())
    monkeypatch.setitem(registry._SCHEMES, "builtin", fake)


@pytest.mark.usefixtures("quick_demo")
def test_demo_with_a_photo_that_cannot_be_read(
    run: Callable[..., Result], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for photo in PHOTOS[:-1]:
        Image.new("RGB", (30, 20), "red").save(folder / photo.file)
    monkeypatch.setattr("crossalign.images.examples.photo_folder", lambda: folder)
    code, out, _ = run("demo", "--out", "out")
    assert code == 1
    assert re.search(r"astronaut\.png +astronaut +- .*no such file", out)
    assert "of 8 photos right" in out
    assert (folder / "out" / "report.html").read_text(encoding="utf-8").count("<article ") == 8


@pytest.mark.usefixtures("quick_demo")
def test_demo_replaces_an_older_report(run: Callable[..., Result], folder: Path) -> None:
    (folder / "crossalign-demo").mkdir()
    report = folder / "crossalign-demo" / "report.html"
    report.write_text("old", encoding="utf-8")
    code, out, _ = run("demo")
    assert code == 0
    assert f"Report: {Path('crossalign-demo') / 'report.html'}" in out
    assert "<article " in report.read_text(encoding="utf-8")


def test_demo_without_the_photos(
    run: Callable[..., Result], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == "skimage" else find(name, *rest),
    )
    code, out, err = run("demo", "--out", "out")
    assert (code, out) == (2, "")
    assert "pip install 'crossalign[demo]'" in err
    assert not (folder / "out").exists()


@pytest.mark.parametrize("out", ["red.png", "red.png/below", "[red]x", "[red]x/below/it"])
def test_demo_with_nowhere_to_write(run: Callable[..., Result], folder: Path, out: str) -> None:
    (folder / "[red]x").write_text("a file, and no folder", encoding="utf-8")
    code, stdout, err = run("demo", "--out", out)
    assert (code, stdout) == (2, "")
    assert f"cannot write to {Path(out)}" in err


@pytest.mark.parametrize("obstacle", ["folder", "no folder"])
def test_demo_finds_out_before_the_work(
    run: Callable[..., Result], folder: Path, obstacle: str
) -> None:
    """Not after it: a folder in the report's place, or a place where no file can be made."""
    out = folder / "out" if obstacle == "folder" else Path("/proc/self")
    if obstacle == "folder":
        (out / "report.html").mkdir(parents=True)
    code, stdout, err = run("demo", "--out", out)
    assert (code, stdout) == (2, "")
    assert "cannot write" in err


# ------------------------------------------------------------------------ wherever output may go


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device /dev/full")
@pytest.mark.parametrize("arguments", [("models",), ("models", "--json")])
def test_a_full_disk(arguments: tuple[str, ...]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [program(), *arguments], stdout=full, stderr=subprocess.PIPE, timeout=120, check=False
        )
    assert done.returncode == 2
    assert b"No space left" in done.stderr
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="closes standard output through the shell")
def test_a_closed_output() -> None:
    done = subprocess.run(
        ["sh", "-c", f"'{program()}' models --json >&-"],
        stderr=subprocess.PIPE,
        timeout=120,
        check=False,
    )
    assert b"Traceback" not in done.stderr


def test_json_stays_json_where_the_output_is_not_utf8(
    run: Callable[..., Result], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "é\N{GRINNING FACE}.png"
    Path("red.png").rename(name)
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="latin-1"))
    assert run("classify", name, "--model", "fake", "--crops", "1", "--json", *COLOURS).code == 0
    assert json.loads(written.getvalue().decode("latin-1"))["image"] == name
