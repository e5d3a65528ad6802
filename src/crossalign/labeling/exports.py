"""What comes after labelling: class folders, FiftyOne, Label Studio, COCO-style JSON.

All are written from a finished job and can be written again at any time.
"""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from crossalign.errors import ImageError, LabelingError
from crossalign.images import read_file
from crossalign.labeling.decisions import NONE_OF_THESE, UNDECIDED, Row
from crossalign.labeling.jobfile import JobFile
from crossalign.labeling.sinks import open_text, whole_file
from crossalign.labeling.sources import Source


@dataclass(frozen=True, slots=True)
class Job:
    """What an export is made from.

    Args:
        file: The finished job.
        source: Its source.
        classes: All classes, in order.
        model: Who labelled, in words.
    """

    file: JobFile
    source: Source
    classes: tuple[str, ...]
    model: str


Exporter: TypeAlias = Callable[[Path, Job], int]
"""Writes to a path; gives the number of images written."""


def parse_export(text: str) -> tuple[str, Path]:
    """Read ``KIND=PATH``.

    Args:
        text: Such as ``coco=labels.json``.

    Returns:
        Kind and path.

    Raises:
        LabelingError: If it is something else.
    """
    kind, equals, path = text.partition("=")
    if kind not in EXPORTS or not equals or not path:
        raise LabelingError(
            f"expected an export as KIND=PATH with KIND one of {', '.join(EXPORTS)}; got {text!r}."
        )
    return kind, Path(path)


def export(kind: str, path: Path, job: Job) -> int:
    """Write one export.

    Args:
        kind: One of ``EXPORTS``.
        path: A folder for copy, link, move and fiftyone; a file for others.
        job: The finished job.

    Returns:
        Number of images written.

    Raises:
        LabelingError: If it cannot be written, or not from this source.
    """
    folder = job.source.folder
    if folder is not None and path.resolve().is_relative_to(folder.resolve()):
        raise LabelingError(
            f"{path} is inside the source, whose images it would add to. Choose another place."
        )
    try:
        return EXPORTS[kind](path, job)
    except OSError as error:
        raise LabelingError(f"cannot export to {path}: {error.strerror or error}.") from error


def labels_of(row: Row) -> list[str]:
    """Name the classes that an image was given.

    Args:
        row: Its row.

    Returns:
        None of them where nothing was decided.
    """
    if isinstance(row.decision, list):
        return row.decision
    return [] if row.decision in (None, NONE_OF_THESE, UNDECIDED) else [str(row.decision)]


# ---------------------------------------------------------------------------------- class folders


def _folders(path: Path, job: Job, *, how: str) -> int:
    """A folder a decision, with its images. No file is ever overwritten."""
    if how != "copy" and not job.source.files:
        raise LabelingError(
            f"images in {job.source.name} are not files of their own, so they cannot be "
            f"{'linked' if how == 'link' else 'moved'}; use copy=FOLDER."
        )
    wanted = {row.path: row for row in job.file.rows() if row.error is None}
    place, written = _PLACED[how], 0
    for entry in job.source.entries():
        row = wanted.pop(entry.path, None)
        if row is None:
            continue
        if how == "move" and isinstance(row.decision, list):
            raise LabelingError(
                "with several labels an image cannot be moved into one folder; use link or copy."
            )
        for name in labels_of(row) or [_outcome(row)]:
            # The identity keeps photos apart that are called alike in different folders.
            target = path.joinpath(_safe(name), *map(_safe, entry.id.strip("/").split("/")))
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                place(entry.load(), target)
            except ImageError as error:
                raise LabelingError(f"{error}. It was there when it was labelled.") from error
        written += 1
    return written


def _outcome(row: Row) -> str:
    return row.decision if isinstance(row.decision, str) else "no label"


def _copy(source: Any, target: Path) -> None:
    if target.exists():
        return
    with whole_file(target) as unfinished:
        if isinstance(source, str):
            shutil.copyfile(source, unfinished)
        else:
            unfinished.write_bytes(read_file(source) or b"")
    if isinstance(source, str):
        shutil.copystat(source, target)


def _link(source: str, target: Path) -> None:
    if not os.path.lexists(target):
        target.symlink_to(Path(source).absolute())


def _move(source: str, target: Path) -> None:
    if target.exists():
        raise LabelingError(f"{target} is in the way of {source}. Move it aside first.")
    shutil.move(source, target)


_PLACED: dict[str, Callable[[Any, Path], None]] = {"copy": _copy, "link": _link, "move": _move}


def _safe(name: str) -> str:
    """Make a name that every file system takes; two different names never become one."""
    safe = re.sub(r'[%<>:"/\\|?*\x00-\x1f]|^\.+$|[. ]$', _percent, name)
    return safe or "%"


def _percent(match: re.Match[str]) -> str:
    return "".join(f"%{ord(character):02X}" for character in match[0])


# ----------------------------------------------------------------------------------- label formats


def _fiftyone(path: Path, job: Job) -> int:
    """FiftyOneImageClassificationDataset: data.json (where images are) and labels.json."""
    if not job.source.files:
        raise LabelingError(
            f"FiftyOne needs images that are files; those in {job.source.name} are not. Unpack "
            "them first, or use copy=FOLDER."
        )
    path.mkdir(parents=True, exist_ok=True)
    numbers = {name: at for at, name in enumerate(job.classes)}
    images, written = {}, {}
    several = False
    for at, row in enumerate(job.file.rows()):
        if row.error is not None:
            continue
        names = [numbers[name] for name in labels_of(row)]
        several = several or isinstance(row.decision, list)
        key = f"{at:09}"
        images[key] = str(Path(row.path).absolute())
        written[key] = names if several else (names[0] if names else None)
    _write_json(path / "data.json", images)
    _write_json(path / "labels.json", {"classes": list(job.classes), "labels": written})
    return len(images)


def _label_studio(path: Path, job: Job) -> int:
    """Tasks with predictions, for a project whose view has Choices named ``label``."""

    def tasks() -> Iterator[dict[str, Any]]:
        for row in job.file.rows():
            if row.error is None:
                yield _task(row, job.model)

    return _write_list(path, tasks())


def _task(row: Row, model: str) -> dict[str, Any]:
    names = labels_of(row)
    choice = {
        "from_name": "label",
        "to_name": "image",
        "type": "choices",
        "value": {"choices": names},
    }
    score = row.confidence if row.confidence is not None else row.score
    return {
        "data": {"image": f"/data/local-files/?d={_absolute(row.path).lstrip('/')}"},
        "meta": {"content_hash": row.content_hash, "decision": row.decision},
        "predictions": [
            {"model_version": model, "score": score, "result": [choice] if names else []}
        ],
    }


def _coco(path: Path, job: Job) -> int:
    """COCO's images, categories and annotations; an annotation is a label of the whole image."""
    numbers = {name: at for at, name in enumerate(job.classes, start=1)}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for at, row in enumerate((row for row in job.file.rows() if row.error is None), start=1):
        images.append({"id": at, "file_name": row.path, "width": row.width, "height": row.height})
        for name in labels_of(row):
            annotation = {
                "id": len(annotations) + 1,
                "image_id": at,
                "category_id": numbers[name],
                "bbox": [0, 0, row.width, row.height],
                "area": (row.width or 0) * (row.height or 0),
                "iscrowd": 0,
                "score": row.confidence if row.confidence is not None else row.score,
            }
            annotations.append(annotation)
    categories = [{"id": at, "name": name} for name, at in numbers.items()]
    info = {"description": f"Labelled by {job.model}"}
    _write_json(
        path,
        {
            "info": info,
            "images": images,
            "categories": categories,
            "annotations": annotations,
        },
    )
    return len(images)


def _absolute(path: str) -> str:
    return Path(path).absolute().as_posix()


def _write_json(path: Path, values: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as unfinished, open_text(unfinished) as stream:
        json.dump(values, stream, ensure_ascii=False)


def _write_list(path: Path, items: Iterator[Any]) -> int:
    """Write a JSON list an item at a time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with whole_file(path) as unfinished, open_text(unfinished) as stream:
        stream.write("[")
        for item in items:
            stream.write(",\n" if written else "\n")
            json.dump(item, stream, ensure_ascii=False)
            written += 1
        stream.write("\n]\n")
    return written


EXPORTS: dict[str, Exporter] = {
    "copy": functools.partial(_folders, how="copy"),
    "link": functools.partial(_folders, how="link"),
    "move": functools.partial(_folders, how="move"),
    "fiftyone": _fiftyone,
    "label-studio": _label_studio,
    "coco": _coco,
}
"""The kinds of export, by name."""
