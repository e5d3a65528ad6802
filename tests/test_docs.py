"""Every command and Python block that the docs show is run as shown."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from crossalign import Classifier, Store, load_encoder
from crossalign.alignment.calibration import calibrate
from crossalign.cli import main
from crossalign.encoders import Encoder, registry
from crossalign.images.examples import photo_folder
from crossalign.labeling.decisions import scoring_settings
from crossalign.labeling.labelled_photos import labelled_photos
from crossalign.texts.everyday import everyday_classes

ROOT = Path(__file__).parents[1]
PAGES = (
    "README.md",
    "docs/bank.md",
    "docs/descriptions.md",
    "docs/evaluation.md",
    "docs/explanations.md",
    "docs/guide.md",
    "docs/labelling.md",
    "docs/models.md",
    "docs/reproduce.md",
    "docs/speed.md",
)
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks(kind: str) -> list[tuple[str, str]]:
    """Blocks of one language, with the page that they stand on."""
    found = []
    for page in PAGES:
        text = (ROOT / page).read_text(encoding="utf-8")
        found += [(page, code) for language, code in BLOCK.findall(text) if language == kind]
    return found


def commands() -> list[str]:
    lines = [line for _, code in blocks("sh") for line in code.splitlines()]
    # What stands on two pages is run once.
    return list(dict.fromkeys(line for line in lines if line.startswith("crossalign ")))


@pytest.fixture(scope="session")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labelled pictures, and what they teach."""
    folder = tmp_path_factory.mktemp("docs")
    for name, (label, turn) in {"chelsea.png": ("tabby cat", 0), "coffee.png": ("pug", 5)}.items():
        with Image.open(photo_folder() / name) as photo:
            image = photo.convert("RGB").resize((160, 120))
        (folder / "labelled" / label).mkdir(parents=True)
        for number in range(12):
            image.rotate(turn + number).save(folder / "labelled" / label / f"{number}.jpg")
    classes = ("tabby cat", "pug")
    photos = labelled_photos(folder / "labelled", classes)
    classifier = Classifier(classes, method="cupl")
    scores = [prediction.scores for prediction in classifier.predict(path for path, _ in photos)]
    places = [place for _, place in photos]
    learnt = calibrate(np.array(scores), places, settings=scoring_settings(classifier))
    learnt.save(folder / "calibration.json")
    return folder


@pytest.fixture
def folder(labelled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the docs speak of."""
    Image.open(photo_folder() / "chelsea.png").convert("RGB").save(tmp_path / "photo.jpg")
    Image.open(photo_folder() / "coffee.png").convert("RGB").save(tmp_path / "cup.jpg")
    everyday_classes().save(tmp_path / "everyday.json")
    pets = {"tabby cat": ["Pointed ears.", "A pink nose."], "pug": ["A flat, wrinkled face."]}
    (tmp_path / "pets.json").write_text(json.dumps(pets))
    (tmp_path / "classes.txt").write_text("tabby cat\npug\n")
    (tmp_path / "background.txt").write_text("a cup of coffee\nan empty table\n")
    for name, photo in (("cat", "chelsea.png"), ("coffee", "coffee.png")):
        (tmp_path / "photos" / name).mkdir(parents=True)
        image = Image.open(photo_folder() / photo).convert("RGB")
        image.save(tmp_path / "photos" / name / "1.jpg")
    birds, draft = [code for place, code in blocks("text") if place == "docs/descriptions.md"][:2]
    (tmp_path / "birds.json").write_text(birds, encoding="utf-8")
    (tmp_path / "draft.json").write_text(draft, encoding="utf-8")
    Store(tmp_path / "embeddings").close()
    shutil.copytree(labelled, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_docs_show_commands_and_code() -> None:
    assert len(commands()) >= 8
    assert len(blocks("python")) >= 8


@pytest.fixture(scope="session")
def builtin() -> Encoder:
    """The built-in model, loaded once for all commands: what they print does not depend on it."""
    return load_encoder("builtin")


@pytest.fixture
def run(
    folder: Path,
    builtin: Encoder,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[str], tuple[int, str, str]]:
    """Run a command line of the docs in this process."""
    known = dataclasses.replace(registry._SCHEMES["builtin"], loader=lambda rest: builtin)
    monkeypatch.setitem(registry._SCHEMES, "builtin", known)

    def run(command: str) -> tuple[int, str, str]:
        words = [
            name
            for word in shlex.split(command)
            for name in (sorted(map(str, Path().glob(word))) or [word])
        ]
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as end:
            main(words[1:])
        return int(end.value.code or 0), *capsys.readouterr()

    return run


def _slow(command: str) -> Any:
    """Those that take over two seconds: many texts, or many crops."""
    words = ("demo", "parity", "explain", "ablate", "label", "cost", "evaluate")
    slow = command.split()[1] in words
    return pytest.param(command, marks=pytest.mark.slow if slow else ())


@pytest.mark.parametrize("command", [_slow(one) for one in commands()])
def test_command(run: Callable[[str], tuple[int, str, str]], command: str) -> None:
    code, out, err = run(command)
    assert code == 0, err
    assert out


def test_commands_for_data_that_is_not_here_have_options_that_exist() -> None:
    """Commands in ``bash`` blocks need data sets or weights: they are read, not run."""
    lines = [line for _, code in blocks("bash") for line in code.splitlines()]
    found = [shlex.split(line)[1:] for line in lines if line.startswith("crossalign ")]
    assert len(found) >= 10
    for words in found:
        with pytest.raises(SystemExit) as end:
            main([*words, "--help"])  # unknown options are refused before help is shown
        assert end.value.code == 0, words
    with pytest.raises(SystemExit) as end:
        main(["evaluate", "--nonsense", "--help"])
    assert end.value.code == 2


@pytest.mark.slow
def test_console_blocks(run: Callable[[str], tuple[int, str, str]]) -> None:
    """A command behind a ``$`` prints, to the letter, what stands below it."""
    shown = blocks("console")
    assert len(shown) >= 2
    for _, code in shown:
        command, _, expected = code.removeprefix("$ ").partition("\n")
        assert run(command)[1] == expected


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_python_blocks(folder: Path, page: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The blocks of a page run one after the other, each seeing the names of those before it."""
    names: dict[str, object] = {}
    for place, code in blocks("python"):
        if place == page:
            exec(compile(code, page, "exec"), names)
    assert "Traceback" not in capsys.readouterr().out


def test_json_example_has_the_keys_that_the_command_prints(folder: Path) -> None:
    (example,) = (json.loads(code) for _, code in blocks("json"))
    script = Path(sys.executable).with_name("crossalign")
    command = [script, "classify", "photo.jpg", "-c", "cat", "-c", "dog", "--crops", "2", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout).keys() == example.keys()
