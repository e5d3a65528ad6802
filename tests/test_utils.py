"""What every room needs: whole files, our own SQLite files, checks of values, words."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from crossalign.utils import files, text
from crossalign.utils.sqlite import Schema, StrangerError, connect, transaction
from crossalign.utils.validation import finite_number, one_of, whole_number

SCHEMA = Schema(0x1234, 1, "CREATE TABLE a (x); CREATE TABLE b (y)")


class Stop(BaseException):
    """An interruption, which no `except Exception` sees."""


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old")

    def interrupted() -> None:
        with files.whole_file(path) as unfinished:
            unfinished.write_text("half")
            raise Stop

    with pytest.raises(Stop):
        interrupted()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    files.write_text(path, "new\n")
    assert path.read_bytes() == b"new\n"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_and_its_folder_are_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = []
    sync, replace = os.fsync, Path.replace

    def watched_sync(handle: int) -> None:
        steps.append("folder" if os.path.isdir(f"/proc/self/fd/{handle}") else "file")  # noqa: PTH112
        sync(handle)

    def watched_replace(self: Path, target: Path) -> Path:
        steps.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", watched_sync)
    monkeypatch.setattr(Path, "replace", watched_replace)
    files.write_text(tmp_path / "a.txt", "text")
    if Path("/proc/self/fd").is_dir():
        assert steps == ["file", "rename", "folder"]


def test_what_a_kill_left_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    left = tmp_path / ".a.txt.0123abcd"
    for other in (left, tmp_path / ".a.txt.mine", tmp_path / ".b.txt.0123abcd"):
        other.touch()
    assert files.unfinished_files(path) == [left]
    assert files.unfinished_files(tmp_path / "gone" / "a.txt") == []


def test_an_interrupted_creation_leaves_no_half_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.sqlite"

    class Interrupted(sqlite3.Connection):
        def execute(self, statement: str, *values: object) -> sqlite3.Cursor:  # type: ignore[override]
            if "TABLE b" in statement:
                raise KeyboardInterrupt
            return super().execute(statement, *values)

    with pytest.MonkeyPatch.context() as patch:
        opened = sqlite3.connect
        patch.setattr(sqlite3, "connect", lambda *a, **k: opened(*a, factory=Interrupted, **k))
        with pytest.raises(KeyboardInterrupt):
            connect(path, SCHEMA, timeout=1)
    rows = connect(path, SCHEMA, timeout=1)  # as if it had never been begun
    assert rows.execute("SELECT name FROM sqlite_master ORDER BY name").fetchall() == [
        ("a",),
        ("b",),
    ]
    rows.close()


@pytest.mark.parametrize("schema", [Schema(0x9999, 1, ""), Schema(0x1234, 2, "")])
def test_a_stranger_is_left_as_it_is(tmp_path: Path, schema: Schema) -> None:
    path = tmp_path / "rows.sqlite"
    connect(path, SCHEMA, timeout=1).close()
    before = path.read_bytes()
    with pytest.raises(StrangerError) as caught:
        connect(path, schema, timeout=1)
    assert caught.value.ours == (schema.application == SCHEMA.application)
    assert path.read_bytes() == before
    renewed = connect(path, schema, timeout=1, renew=lambda stranger: stranger.version == 1)
    assert renewed.execute("SELECT COUNT(*) FROM sqlite_master").fetchone() == (0,)
    renewed.close()


def test_a_transaction_is_undone_by_whatever_ends_it(tmp_path: Path) -> None:
    rows = connect(tmp_path / "rows.sqlite", SCHEMA, timeout=1)

    def interrupted() -> None:
        with transaction(rows):
            rows.execute("INSERT INTO a VALUES (1)")
            raise Stop

    with pytest.raises(Stop):
        interrupted()
    assert rows.execute("SELECT COUNT(*) FROM a").fetchone() == (0,)
    with transaction(rows):
        rows.execute("INSERT INTO a VALUES (1)")
    assert rows.execute("SELECT COUNT(*) FROM a").fetchone() == (1,)
    rows.close()


@pytest.mark.parametrize("value", [0, 11, True, 1.0, "3", None, float("nan")])
def test_only_whole_numbers_within_the_range_pass(value: object) -> None:
    with pytest.raises(ValueError, match=r"expected count as a whole number from 1 to 10; got "):
        whole_number("count", value, 1, 10, error=ValueError)


@pytest.mark.parametrize("value", [-0.1, 1.1, True, float("nan"), float("inf"), "0.5", None])
def test_only_finite_numbers_within_the_range_pass(value: object) -> None:
    with pytest.raises(ValueError, match=r"expected share as a number from 0 to 1; got "):
        finite_number("share", value, 0, 1, error=ValueError)
    assert finite_number("share", 1, 0, 1, error=ValueError) == 1.0


def test_words_of_a_list_alone_pass() -> None:
    assert one_of("fit", "crop", ("crop", "squash"), error=ValueError) == "crop"
    for value in ("stretch", 3, None):
        with pytest.raises(ValueError, match=r"unknown fit .*; choose one of crop, squash\."):
            one_of("fit", value, ("crop", "squash"), error=ValueError)


def test_close_names_are_offered() -> None:
    assert text.did_you_mean("Bultin", ["builtin", "onnx"]) == " Did you mean 'builtin'?"
    assert text.did_you_mean("nothing like it", ["builtin", "onnx"]) == ""
