"""The service guide: its curl commands are run as shown, its other commands start as shown."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from crossalign.images.examples import photo_folder
from crossalign.server.schemas import Classified, Error
from crossalign.server.settings import Settings

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "service.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
ADDRESS = "http://127.0.0.1:8000"
PETS = {
    "tabby cat": ["The pointed ears of a tabby cat.", "The pink nose of a tabby cat."],
    "pug": ["The flat, wrinkled face of a pug."],
}


def lines() -> list[str]:
    shown = [
        line for kind, code in BLOCK.findall(GUIDE) if kind == "sh" for line in code.splitlines()
    ]
    return [line for line in shown if "127.0.0.1:8000" in line or line.startswith("printf")]


@pytest.mark.slow
def test_every_curl_command_does_what_it_says(builtin: Any, live: Any, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    token = "a-token-of-the-guide"
    open_one, locked = live(builtin), live(builtin, token=token)
    Image.open(photo_folder() / "chelsea.png").convert("RGB").save(tmp_path / "photo.jpg")
    (tmp_path / "pets.json").write_text(json.dumps(PETS))
    (tmp_path / "token").write_text(token)
    answers = {}
    for line in lines():
        server = locked if "Bearer" in line else open_one
        assert line.count(ADDRESS) == (0 if line.startswith("printf") else 1)
        words = line.replace("curl -s", "curl -sS --fail-with-body").replace(
            ADDRESS, server.address
        )
        done = subprocess.run(
            ["bash", "-c", words], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        answers[line] = done.stdout
    assert len(answers) >= 15
    labelled = [json.loads(text) for line, text in answers.items() if "/v1/classify" in line]
    tabby = "tabby cat"
    assert [one["label"] for one in labelled] == [tabby, tabby, "cat", "cat", tabby, tabby]
    explained = [json.loads(text) for line, text in answers.items() if "/v1/explain" in line]
    compared = [(one["contrast"]["first"], one["contrast"]["second"]) for one in explained]
    assert [(first["label"], second["label"]) for first, second in compared] == [
        ("tabby cat", "pug"),
        ("cat", "fox"),
    ]


def test_the_json_shown_is_of_the_shape_described() -> None:
    shown = [json.loads(code) for kind, code in BLOCK.findall(GUIDE) if kind == "json"]
    assert len(shown) == 2
    assert Classified.model_validate(shown[0]).model_dump() == shown[0]
    assert Error.model_validate(shown[1]).model_dump() == shown[1]


def test_the_limits_shown_are_those_of_the_settings() -> None:
    settings = Settings()
    for shown in (
        f"{settings.max_body_bytes // 1_000_000} MB, `--max-body-mb`",
        f"{settings.max_pixels // 1_000_000} million, `--max-megapixels`",
        f"{settings.max_classes:,}, `--max-classes`; {settings.max_texts:,}, `--max-texts`",
        f"{settings.max_text_characters:,}, `--max-text-characters`",
        f"{settings.max_characters:,}, `--max-characters`",
        f"{settings.max_crops}, `--max-crops`",
        f"({settings.workers}, `--workers`)",
        f"({settings.queue}, `--queue`)",
        f"{settings.body_seconds:g} s, `--body-seconds`",
        f"{settings.work_seconds:g} s each, `--work-seconds`",
        f"within {settings.shutdown_seconds:g} seconds (`--shutdown-seconds`)",
        f"{settings.pixels_at_once // 1_000_000} million pixels",
    ):
        assert shown in GUIDE, shown


def test_the_options_shown_are_there() -> None:
    from crossalign.cli import main

    shown = {word for line in GUIDE.splitlines() for word in re.findall(r"--[a-z-]{3,}", line)}
    started = [line for line in GUIDE.splitlines() if line.startswith("crossalign serve")]
    assert len(started) >= 3
    used = {word for line in started for word in shlex.split(line) if word.startswith("--")}
    assert used <= shown
    known = set(re.findall(r"--[a-z-]{3,}", help_of(main)))
    # Of the benchmark, of classify, of podman.
    foreign = {"--requests", "--rounds", "--classes", "--rm"}
    assert shown - foreign <= known


def help_of(main: Any) -> str:
    import contextlib
    import io

    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
        main(["serve", "--help"])
    return out.getvalue()
