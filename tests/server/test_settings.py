"""Settings, the token and the log: what is refused at the start, and what nobody can forge."""

from __future__ import annotations

import dataclasses
import logging
import sys
from pathlib import Path
from typing import Any

import pytest

from crossalign import ServerError
from crossalign.server.logs import LineFormatter
from crossalign.server.settings import TOKEN_VARIABLE, Settings, find_token


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
    assert find_token(None) is None
    monkeypatch.setenv(TOKEN_VARIABLE, " from-the-environment\n")
    assert find_token(None) == "from-the-environment"
    (tmp_path / "token").write_text("from-the-file\n")
    assert find_token(tmp_path / "token") == "from-the-file"
    (tmp_path / "empty").write_text("\n")
    for name in ("empty", "missing"):
        with pytest.raises(ServerError, match="expected a file that holds a token"):
            find_token(tmp_path / name)


def test_settings_are_data() -> None:
    assert dataclasses.replace(Settings(), workers=2).workers == 2


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
