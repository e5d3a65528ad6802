"""The commands on real photos with the built-in model."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from crossalign.cli import main
from crossalign.images.examples import photo_folder


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name, source in (("cat", "chelsea.png"), ("coffee", "coffee.png")):
        folder = tmp_path / "photos" / name
        folder.mkdir(parents=True)
        image = Image.open(photo_folder() / source).convert("RGB")
        image.resize((200, 130)).save(folder / "a.jpg")
    return tmp_path / "photos"


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    return int(end.value.code or 0)


@pytest.mark.slow
def test_evaluate_and_check(photos, tmp_path, capsys):
    out = tmp_path / "out"
    common = ("--crops", 2, "--method", "clip", "--method", "wca")
    assert run("evaluate", photos, *common, "--out", out) == 0
    shown = capsys.readouterr()
    assert "100.0" in shown.out
    assert "may be noise" in shown.err
    assert run("evaluate", "--check", out / "receipt.json") == 0
    assert "the evaluation repeats" in capsys.readouterr().out
    assert run("evaluate", "--check", out, "--seed", 3) == 1
    assert "seed: 1 run(s) from seed 0, now 1 from seed 3" in capsys.readouterr().out
    receipt = json.loads((out / "receipt.json").read_text())
    assert receipt["request"]["crops"] == 2


def test_zeros_on_the_command_line_count(photos, tmp_path):
    words = ("evaluate", photos, "--method", "wca", "--crops", 1, "--crop-scale", 0, "--out")
    assert run(*words, tmp_path / "out", "--description-weighting", "max") == 0
    receipt = json.loads((tmp_path / "out" / "receipt.json").read_text())
    assert receipt["methods"]["wca"]["crop_scale"] == 0
    assert receipt["methods"]["wca"]["description_weighting"] == "max"


def test_mistakes_end_in_one_line(photos, tmp_path, capsys):
    for words, message in (
        (("evaluate",), "no data set"),
        (("evaluate", tmp_path / "nowhere"), "there is no"),
        (("evaluate", "imagenet", "--root", tmp_path), "To be had from"),
        (("evaluate", photos, "--method", "nonsense"), "unknown method"),
        (("evaluate", photos, "--protocol", "odd"), "unknown protocol"),
        (("evaluate", "--check", tmp_path), "expected a receipt"),
        (("evaluate", photos, "--crops", "many"), "error: --crops: expected a number, or auto"),
        (("evaluate", photos, "--method", "lgca", "--crops", "auto"), "weighs crops by 'top-k'"),
        (("evaluate", photos, "--names", "openai"), "crossalign, clip, clip-d"),
        (("evaluate", photos, "--reported", tmp_path / "x.csv"), "published numbers"),
        (("ablate", photos, "--factor", "odd"), "unknown factor"),
        (("ablate", photos, "--method", "clip"), "takes no crops"),
        (("cost", tmp_path / "nowhere"), "there is no"),
    ):
        assert run(*words) == 2, words
        assert message in " ".join(capsys.readouterr().err.split()), words


def test_broken_photos_end_in_exit_code_one(photos, tmp_path, capsys):
    (photos / "cat" / "b.jpg").write_bytes(b"broken")
    assert run("evaluate", photos, "--method", "clip", "--out", tmp_path / "out") == 1
    assert "1 image could not be read; predictions.csv says which" in capsys.readouterr().err


@pytest.mark.slow
def test_ablate_and_cost(photos, tmp_path, capsys):
    words = ("ablate", photos, "--crops", 2, "--factor", "parts", "--out", tmp_path / "out")
    assert run(*words) == 0
    assert "whole image" in capsys.readouterr().out
    assert run("cost", photos, "--crops", 2, "--images", 1, "--method", "wca", "--json") == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["method"] for row in rows] == ["clip", "wca"]
    for row in rows:  # a process with the built-in model, and not with this one's tests
        assert row["process_bytes"] is None or 50e6 < row["process_bytes"] < 2e9


@pytest.mark.slow
def test_options_of_encoders_reach_them(photos, encoders, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    texts = {"cat": ["a cat with fur", "a cat"], "coffee": ["a cup", "hot coffee in a cup"]}
    Path("texts.json").write_text(json.dumps(texts))
    few = ("--method", "wca", "--crops", 2)
    for words in (
        ("evaluate", photos, *few, "--out", "evaluation"),
        ("ablate", photos, *few, "--factor", "count=1,2", "--out", "ablation"),
        ("cost", photos, *few, "--images", 1),
        ("lint", "texts.json", "--fail-on", "error"),
        ("refine", "texts.json", "--out", "fewer.json"),
    ):
        for engine in ("--engine", "--runtime"):
            more = ("--model", "fake:x", "--dtype", "int8", "--device", "here", engine, "y")
            encoders.clear()
            assert run(*words, *more) == 0, words
            assert {encoder.options for encoder in encoders} == {("int8", "here", "y")}, words


@pytest.mark.slow
def test_layouts_of_crops(photos, encoders, tmp_path, capsys):
    laid = ("--model", "fake:x", "--kind", "nested", "--side", 0.3, 0.4, "--crops", 4)
    out = tmp_path / "out"
    assert run("evaluate", photos, "--method", "wca", *laid, "--out", out) == 0
    wca = json.loads((out / "receipt.json").read_text())["methods"]["wca"]
    assert (wca["crops"]["kind"], wca["crops"]["side"]) == ("nested", [0.3, 0.4])
    assert run("ablate", photos, *laid, "--factor", "count=1,2", "--out", out / "ablation") == 0
    held = json.loads((out / "ablation" / "count" / "receipt.json").read_text())["methods"]
    assert {(way["crops"]["kind"], *way["crops"]["side"]) for way in held.values()} == {
        ("nested", 0.3, 0.4)
    }
    capsys.readouterr()
    assert run("ablate", photos, *laid, "--factor", "kind=even,grid", "--out", out / "kinds") == 0
    assert "without effect: --kind" in capsys.readouterr().err
    assert run("cost", photos, "--method", "wca", *laid, "--images", 1) == 0
    assert run("cost", photos, "--method", "clip", *laid, "--images", 1) == 0
    assert "without effect: --kind: none of the methods cuts crops" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["evaluate", "ablate", "cost"])
def test_help_is_instant_and_whole(command):
    code = (
        "import sys\nfrom crossalign.cli import main\n"
        f"try: main(['{command}', '--help'])\nexcept SystemExit: pass\n"
        "assert not {'numpy', 'PIL', 'pyarrow', 'scipy'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "DATASET" in done.stdout
