"""Files that a command reads and writes, checked before the work."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import typer

from crossalign.utils import files


def image_files(option: str, folder: Path | None) -> list[Path]:
    """Find all files below a folder that are named like photos."""
    if folder is None:
        return []
    from crossalign.images import has_image_ending

    if not folder.is_dir():
        raise typer.BadParameter(
            f"expected a folder with image files; there is none at {folder}", param_hint=option
        )
    found = sorted(path for path in folder.rglob("*") if has_image_ending(path))
    if not found:
        raise typer.BadParameter(
            f"no photos in {folder}: expected a folder with image files", param_hint=option
        )
    return found


def check_writable(option: str, file: Path) -> None:
    """Find out before the work is done, not after; the file's folder is made."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        files.check_writable(file.parent)
    except OSError as error:
        raise typer.BadParameter(
            f"cannot write to {file.parent}: {error.strerror}", param_hint=option
        ) from error
    if file.is_dir():
        raise typer.BadParameter(
            f"cannot write {file}: a folder of that name is in the way", param_hint=option
        )


def check_apart(option: str, written: Path, what: str, read: Iterable[str | Path]) -> None:
    """Find out whether a file would take the place of one that is read, under whatever name."""
    for source in read:
        try:
            same = written.samefile(source)
        except (OSError, ValueError):  # either is not there: nothing to lose
            continue
        if same:
            raise typer.BadParameter(
                f"{written} is {what}, and would be overwritten. Choose another name",
                param_hint=option,
            )
