"""Options that commands share, how mistakes are told, completion, examples in the help."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

import crossalign
from crossalign import cli
from crossalign.cli.application import app
from crossalign.encoders import registry

PROGRAM: Any = get_command(app)
COMMANDS: dict[str, Any] = {
    **PROGRAM.commands,
    **{f"store {name}": one for name, one in PROGRAM.commands["store"].commands.items()},
}
del COMMANDS["store"]
LOADING = ("classify", "explain", "label", "calibrate", "serve", "evaluate", "ablate", "cost")
WORDS = ["-c", "red", "-c", "green"]


@pytest.fixture
def run(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    make_encoder: Any,
    tmp_path: Path,
    picture: Any,
) -> Callable[..., tuple[int, str, str]]:
    """Run a command line in a folder with a picture; ``--model fake`` takes any option."""

    def load(_: str, **options: str) -> Any:
        loaded.append(options)
        return make_encoder()

    loaded: list[dict[str, str]] = []
    monkeypatch.setitem(registry._SCHEMES, "fake", registry.Scheme(usage="fake", loader=load))
    monkeypatch.chdir(tmp_path)
    picture("red", 0).save("red.png")

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            cli.main(list(arguments))
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return caught.value.code or 0, out, err

    run.loaded = loaded  # type: ignore[attr-defined]
    return run


# --------------------------------------------------------------------------------------- the help


@pytest.mark.parametrize("name", COMMANDS)
def test_help_ends_with_an_example_that_is_understood(run: Callable[..., Any], name: str) -> None:
    code, out, _ = run(*name.split(), "--help")
    assert code == 0
    label, _, example = out.rstrip().splitlines()[-1].partition(": ")
    assert label == "Example"
    words = shlex.split(example)
    assert words[: 1 + len(name.split())] == ["crossalign", *name.split()]
    rest = words[1 + len(name.split()) :]
    COMMANDS[name].make_context(name, rest)  # all options exist, and nothing is missing


def test_commands_are_listed_in_groups_with_whole_sentences(run: Callable[..., Any]) -> None:
    _, out, _ = run("--help")
    heads = re.findall(r"^(\w.*):$", out, re.MULTILINE)
    assert heads == [
        *("Options", "One picture", "Many pictures", "Methods", "Encoders and embeddings", "Words"),
    ]
    assert "..." not in out.replace("[ARGS]...", "")
    listed = re.findall(r"^  ([a-z]+)  ", out, re.MULTILINE)
    assert listed == [name for name in listed if name in PROGRAM.commands]
    assert set(listed) == set(PROGRAM.commands)


@pytest.mark.parametrize("name", [*LOADING, "lint", "refine"])
def test_every_command_with_a_model_takes_the_same_options(
    run: Callable[..., Any], name: str
) -> None:
    _, out, _ = run(name, "--help")
    for option in ("--model", "--dtype", "--device", "--runtime", "--revision"):
        assert f"  {option} " in out
    assert "--engine" not in out


# ----------------------------------------------------------------------------- one word, one thing


@pytest.mark.parametrize("option", ["--runtime", "--engine"])
def test_what_runs_an_encoder_has_one_option_and_its_old_name(
    run: Callable[..., Any], option: str
) -> None:
    words = [*WORDS, "--model", "fake", "--method", "clip", option, "openvino", "--revision", "v1"]
    assert run("classify", "red.png", *words)[0] == 0
    assert run.loaded == [{"runtime": "openvino", "revision": "v1"}]


def test_who_labels_is_the_executor(run: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "red.png").rename(tmp_path / "photos" / "red.png")
    words = ["label", "photos", "--out", "labels.csv", *WORDS, "--model", "fake"]
    for option in ("--executor", "--engine"):
        assert run(*words, option, "local")[0] == 0
        code, _, err = run(*words, option, "openvino")
        assert code == 2
        assert err.startswith("error: --executor: expected local or ray; got 'openvino'.")
        assert "--runtime" in err
    assert run(*words, "--runtime", "openvino", "--restart")[0] == 0
    assert run.loaded[-1] == {"runtime": "openvino"}


# --------------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--crops", "0"], "error: --crops: expected count as a whole number from 1 to 10000"),
        (["--crops", "many"], "error: --crops: expected a number, or auto; got 'many'"),
        (["--crops", "auto", "--risk", "5"], "error: --risk: expected risk as a"),
        (["--kind", "zigzag"], "error: --kind: "),
        (["--side", "0.9", "0.5"], "error: --side: "),
        (["--seed", "-1"], "error: --seed: "),
        (["--method", "wcaa"], "error: --method: unknown method 'wcaa'"),
        (["--method", "clip-d"], "error: --method: method 'clip-d' needs short descriptors"),
        (["--model", "bultin"], "error: --model: unknown encoder 'bultin'"),
        (["--model", "builtin", "--dtype", "fp16"], "error: --dtype: builtin knows no option"),
        (["--store", "red.png"], "error: --store: "),
        (["--store", "s", "--store-size", "x"], "error: --store-size: expected a size such as"),
        (["-c", "red"], "error: --class: "),
        (["--top", "0"], "error: --top: expected a number greater than or equal to 1; got '0'"),
        (["--top", "many"], "error: --top: expected a valid integer; got 'many'"),
        (["--classes", "nowhere.txt"], "error: give classes with -c or with --classes FILE"),
    ],
)
def test_a_value_that_cannot_be_names_its_option(
    run: Callable[..., Any], words: list[str], message: str
) -> None:
    code, out, err = run("classify", "red.png", *WORDS, "--model", "fake", *words)
    assert (code, out) == (2, "")
    assert err.startswith(message)
    assert err.count("\n") == 1, "in one line"


def test_words_that_are_close_are_named(run: Callable[..., Any]) -> None:
    code, _, err = run("clasify", "red.png")
    assert code == 2
    assert err.splitlines() == [
        "error: No such command 'clasify'. Did you mean 'classify'?",
        "Try 'crossalign --help' for help.",
    ]
    code, _, err = run("classify", "red.png", "--modle", "fake")
    assert code == 2
    assert err.startswith("error: No such option: --modle (Possible options:")
    assert "--model" in err
    assert err.endswith("Try 'crossalign classify --help' for help.\n")


@pytest.mark.parametrize("words", [[], ["store"]])
def test_no_arguments_show_the_help_and_are_a_mistake(
    run: Callable[..., Any], words: list[str]
) -> None:
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert err.startswith(f"Usage: {' '.join(['crossalign', *words])} [OPTIONS] COMMAND")


# ---------------------------------------------------------------------- completion, and as a module


def test_completion(run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_CROSSALIGN_COMPLETE", "complete_bash")
    for line, wanted in (("crossalign cla", "classify"), ("crossalign label --exec", "--executor")):
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(line.count(" ")))
        code, out, _ = run()
        assert code == 0
        assert out.split() == [wanted]
    monkeypatch.delenv("_CROSSALIGN_COMPLETE")
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    assert "--install-completion" in run("--help")[1]


def test_it_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "crossalign", "--version"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONUTF8": "1"},
    )
    assert done.stdout == f"crossalign {crossalign.__version__}\n"
