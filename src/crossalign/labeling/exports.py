"""What comes after labelling: class folders, FiftyOne, Label Studio, COCO-style JSON.

All are written from a finished job and can be written again at any time.
"""

from __future__ import annotations

import itertools
import json
import os
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from crossalign.errors import LabelingError
from crossalign.labeling.class_folders import copy_folders, link_folders, move_folders
from crossalign.labeling.decisions import Decisions, Row
from crossalign.labeling.job_file import JobFile
from crossalign.labeling.output_table import check_ours, job_path
from crossalign.labeling.ownership import OwnFolder, check_writable, is_inside, is_source
from crossalign.labeling.sources import Source
from crossalign.utils.files import failing_as, file_digest, open_text, whole_file


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


def check_exports(
    exports: Sequence[tuple[str, Path]],
    source: Source,
    decisions: Decisions,
    out: Path,
    *,
    restart: bool = False,
) -> None:
    """Raise if one of some exports will not be possible, before there is anything to export.

    Args:
        exports: Kinds and paths.
        source: The source.
        decisions: How scores will become decisions.
        out: The job's table.
        restart: Whether the job begins anew.

    Raises:
        LabelingError: If it will not.
    """
    taken = {out.resolve(), job_path(out).resolve()}
    for kind, path in exports:
        if path.resolve() in taken:
            raise LabelingError(f"{kind}={path}: that place is taken already. Choose another one.")
        taken.add(path.resolve())
        _check(kind, path, source, decisions.multi_label)
        if kind in _FILES and os.path.lexists(path):
            _check_replaceable(path, out, restart)
    if sum(kind == "move" for kind, _ in exports) > 1:
        raise LabelingError("images can be moved to one place only; use copy or link for others.")


def _check(kind: str, path: Path, source: Source, several: bool) -> None:
    if kind != "copy" and not source.files:
        raise LabelingError(
            f"{kind} needs images that are files of their own; those in {source.name} are not. "
            "Unpack them first, or use copy=FOLDER."
        )
    if kind == "move" and several:
        raise LabelingError(
            "with several labels an image cannot be moved into one folder; use link or copy."
        )
    if is_inside(path, source):
        raise LabelingError(
            f"{path} is inside the source, whose images it would add to. Choose another place."
        )
    if is_source(path, source):
        raise LabelingError(f"{path} is what the images are read from. Choose another place.")
    if kind == "fiftyone":
        OwnFolder(path, _FIFTYONE).check()
    elif path.exists() and path.is_dir() == (kind in _FILES):
        other = "folder" if path.is_dir() else "file"
        raise LabelingError(f"{kind}={path}: a {other} of that name is in the way.")
    check_writable(path.parent if kind in _FILES else path)


def _check_replaceable(path: Path, out: Path, restart: bool) -> None:
    if job_path(out).exists():
        with JobFile(job_path(out), anew=restart) as job:
            if job.wrote_file(file_digest(path)):
                return
    raise LabelingError(
        f"{path} is there already and is not as this job wrote it. It is left as it is. Move it "
        "aside, or choose another place."
    )


def write_exports(exports: Sequence[tuple[str, Path]], job: Job) -> Iterator[tuple[str, Path, int]]:
    """Write exports; images are moved first, so that all others find them in their new place.

    Args:
        exports: Kinds and paths.
        job: The finished job.

    Yields:
        Kind, path and number of images of each, when it is written.
    """
    for kind, path in sorted(exports, key=lambda one: one[0] != "move"):
        yield kind, path, export(kind, path, job)


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
    several = any(isinstance(row.decision, list) for row in itertools.islice(job.file.rows(), 1))
    _check(kind, path, job.source, several)
    if kind in _FILES:
        check_ours(path, job.file)
    with failing_as(LabelingError, f"cannot export to {path}: "):
        return EXPORTS[kind](path, job)


# ----------------------------------------------------------------------------------- label formats


def _fiftyone(path: Path, job: Job) -> int:
    """FiftyOneImageClassificationDataset: data.json (where images are) and labels.json."""
    own = OwnFolder(path, _FIFTYONE)
    own.clear()
    numbers = {name: at for at, name in enumerate(job.classes)}
    images, written = {}, {}
    for at, row in enumerate(job.file.rows()):
        if row.error is not None:
            continue
        names = [numbers[name] for name in row.labels]
        key = f"{at:09}"
        images[key] = str(Path(row.path).absolute())
        several = isinstance(row.decision, list)
        written[key] = names if several else next(iter(names), None)
    _write_json(own.claim("data.json"), job, images)
    _write_json(own.claim("labels.json"), job, {"classes": list(job.classes), "labels": written})
    return len(images)


def _label_studio(path: Path, job: Job) -> int:
    """Tasks with predictions, for a project whose view has Choices named ``label``."""
    written = 0
    with _noted(path, job) as stream:
        stream.write("[")
        for written, row in enumerate(_labelled(job), start=1):
            stream.write(",\n" if written > 1 else "\n")
            json.dump(_task(row, job.model), stream, ensure_ascii=False)
        stream.write("\n]\n")
    return written


def _task(row: Row, model: str) -> dict[str, Any]:
    choices = {"value": {"choices": row.labels}}
    choice = {"from_name": "label", "to_name": "image", "type": "choices", **choices}
    result = [choice] if row.labels else []
    return {
        "data": {"image": _local_file(row.path)},
        "meta": {"content_hash": row.content_hash, "decision": row.decision},
        "predictions": [{"model_version": model, "score": _confidence(row), "result": result}],
    }


def _coco(path: Path, job: Job) -> int:
    """COCO's images, categories and annotations; an annotation is a label of the whole image."""
    numbers = {name: at for at, name in enumerate(job.classes, start=1)}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for at, row in enumerate(_labelled(job), start=1):
        images.append({"id": at, "file_name": row.path, "width": row.width, "height": row.height})
        for name in row.labels:
            annotation = {
                "id": len(annotations) + 1,
                "image_id": at,
                "category_id": numbers[name],
                "bbox": [0, 0, row.width, row.height],
                "area": (row.width or 0) * (row.height or 0),
                "iscrowd": 0,
                "score": _confidence(row),
            }
            annotations.append(annotation)
    content = {
        "info": {"description": f"Labelled by {job.model}"},
        "images": images,
        "categories": [{"id": at, "name": name} for name, at in numbers.items()],
        "annotations": annotations,
    }
    _write_json(path, job, content)
    return len(images)


def _labelled(job: Job) -> Iterator[Row]:
    return (row for row in job.file.rows() if row.error is None)


def _confidence(row: Row) -> float | None:
    """What says how sure a label is: the score where nothing was calibrated."""
    return row.score if row.confidence is None else row.confidence


def _local_file(path: str) -> str:
    """Address of a file for Label Studio; its document root is taken to be ``/``."""
    absolute = Path(path).absolute().as_posix().lstrip("/")
    return f"/data/local-files/?d={urllib.parse.quote(os.fsencode(absolute))}"


def _write_json(path: Path, job: Job, values: Any) -> None:
    with _noted(path, job) as stream:
        json.dump(values, stream, ensure_ascii=False)


@contextmanager
def _noted(path: Path, job: Job) -> Iterator[TextIO]:
    """A file that the job will know as its own, from before it is in its place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as unfinished:
        with open_text(unfinished) as stream:
            yield stream
        job.file.note_file(file_digest(unfinished))


EXPORTS: dict[str, Callable[[Path, Job], int]] = {
    "copy": lambda path, job: copy_folders(path, job.file, job.source),
    "link": lambda path, job: link_folders(path, job.file),
    "move": lambda path, job: move_folders(path, job.file),
    "fiftyone": _fiftyone,
    "label-studio": _label_studio,
    "coco": _coco,
}
"""The kinds of export: each writes to a path and gives the number of images written."""

_FILES = frozenset({"label-studio", "coco"})
_FIFTYONE = "a FiftyOne data set"
