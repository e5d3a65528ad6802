"""Settings, the token and the log: what is refused at the start, and what nobody can forge."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import pytest

from crossalign import ServerError
from crossalign.server.logs import LineFormatter
from crossalign.server.settings import TOKEN_VARIABLE, Settings


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"workers": 0}, "expected workers as a whole number from 1 up; got 0"),
        ({"queue": -1}, "expected queue as a whole number from 0 up"),
        ({"workers": 1.5}, "expected workers as a whole number"),
        ({"workers": True}, "expected workers as a whole number"),
        ({"batch_seconds": float("nan")}, "expected batch_seconds as a number from 0 up"),
        ({"body_seconds": 0}, "expected body_seconds as a number from 0.1 up"),
        ({"shutdown_seconds": float("inf")}, "expected shutdown_seconds as a number from 0.1 up"),
        ({"crops": 300}, "crops is 300, above max_crops, 200"),
        ({"kept_texts": 10}, "below max_texts"),
        ({"token": "short"}, "16 to 512 printable ASCII characters"),
        ({"token": "sixteen letters, with spaces"}, "without spaces"),
    ],
)
def test_settings_out_of_range(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ServerError, match=words):
        Settings(**values)


def test_a_token_is_never_shown_by_a_mistake() -> None:
    with pytest.raises(ServerError) as caught:
        Settings(token="seven77")
    assert "seven77" not in str(caught.value)


def test_where_the_token_comes_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    assert Settings().token is None
    monkeypatch.setenv(TOKEN_VARIABLE, " from-the-environment\n")
    assert Settings().token == "from-the-environment"
    (tmp_path / "token").write_text("from-the-file-of-it\n")
    assert Settings(flags={"token_file": tmp_path / "token"}).token == "from-the-file-of-it"
    (tmp_path / "empty").write_text("\n")
    for name in ("empty", "missing"):
        with pytest.raises(ServerError, match="expected a file that holds a token"):
            Settings(flags={"token_file": tmp_path / name})


def test_settings_are_data() -> None:
    settings = Settings(workers=2)
    assert settings == Settings(flags={"workers": 2})
    assert settings.model_copy(update={"workers": 3}).workers == 3
    assert "a-token-of-ours-" not in repr(Settings(token="a-token-of-ours-"))


def test_the_environment_sets_what_nobody_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"WORKERS": "3", "BANK": "no", "ALLOWED_HOSTS": "a, b", "QUEUE": ""}.items():
        monkeypatch.setenv(f"CROSSALIGN_{name}", value)
    settings = Settings(flags={"max_body_mb": 1.5, "batch_ms": 2.0, "queue": None})
    assert settings == Settings(
        workers=3,
        bank=False,
        allowed_hosts=("a", "b"),
        max_body_bytes=1_500_000,
        batch_seconds=0.002,
        queue=64,
    )
    assert Settings(workers=5).workers == 5


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("WORKERS", "many", "expected workers as a whole number from 1 up; got 'many'."),
        ("WORKERS", "0", "expected workers as a whole number from 1 up; got 0."),
        ("BODY_SECONDS", "inf", "expected body_seconds as a number from 0.1 up; got inf."),
        ("BANK", "perhaps", "bank: expected true or false; got 'perhaps'."),
        ("TOKEN", "short", "expected a token of 16 to 512 printable ASCII characters"),
    ],
)
def test_what_is_wrong_in_the_environment(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    monkeypatch.setenv(f"CROSSALIGN_{name}", value)
    with pytest.raises(ServerError) as caught:
        Settings()
    assert str(caught.value).startswith(f"CROSSALIGN_{name}: {words}")


def test_unknown_settings_are_named() -> None:
    with pytest.raises(ServerError, match="wrokers: there is no such field; there are method"):
        Settings(wrokers=3)


def test_no_record_can_pass_for_another() -> None:
    formatter = LineFormatter("%(levelname)s %(message)s")
    try:
        raise ValueError("a\nINFO forged")
    except ValueError:
        record = logging.LogRecord(
            "x", logging.ERROR, "", 0, "failed on %s", ("b\r\x1b[2J\nINFO forged",), sys.exc_info()
        )
    lines = formatter.format(record).splitlines()
    assert lines[0] == "ERROR failed on b\\r\\x1b[2J"
    assert len(lines) > 4
    assert all(line.startswith("  | ") for line in lines[1:])
