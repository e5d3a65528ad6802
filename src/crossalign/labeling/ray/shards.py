"""A piece of a large job: parquet in, parquet out, a marker when it is done.

A shard is four files in a folder that all workers see: ``NAME.in.parquet``, ``NAME.out.parquet``,
``NAME.done`` (the marker: it is written last), and ``NAME.journal``. The journal makes a shard
whose worker died go on where it was, image by image, so that an image that crashes workers is found
out: when one was begun twice and never finished, it becomes a row with an error.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crossalign.errors import ImageError
from crossalign.labeling.image_scores import ImageScores
from crossalign.labeling.job import score_entries
from crossalign.labeling.ownership import OwnFolder
from crossalign.labeling.sources import Entry, NamedBytes
from crossalign.labeling.tables import pyarrow
from crossalign.utils.files import whole_file

if TYPE_CHECKING:
    from crossalign.classifier import Classifier

_IN = {"id": "binary", "path": "binary", "file": "binary", "data": "binary", "error": "string"}
_OUT = {"id": "binary", "path": "binary", "content_hash": "string", "size": "list<int32>"}
_OUT |= {"scores": "binary", "sketch": "binary", "error": "binary"}
"""Columns of a shard's tables; names of files need not be valid text, and are binary. The results'
are in the order of the fields of ImageScores."""

_NAMES, _BYTES = ("id", "path", "error"), ("scores", "sketch")

MOST_TRIES = 2
"""How often an image is begun before it is given up."""

MOST_ATTEMPTS = 20
"""How often a shard is begun before it is given up, whatever the reason."""


def _file(ending: str, what: str) -> Any:
    return property(lambda shard: shard.folder / f"{shard.name}{ending}", doc=what)


@dataclass(frozen=True, slots=True)
class Shard:
    """The files of a shard.

    Args:
        folder: Where they are.
        name: What they begin with.
    """

    folder: Path
    name: str

    source = _file(".in.parquet", "Its images.")
    result = _file(".out.parquet", "Its rows.")
    marker = _file(".done", "There when the rows are complete.")
    journal = _file(".journal", "What was begun and what was finished.")


def write_shards(
    own: OwnFolder, entries: Iterable[Entry], size: int, *, files: bool
) -> Iterator[Shard]:
    """Write the images to be labelled.

    Args:
        own: Where; seen by all workers under the same path.
        entries: What is to be labelled.
        size: Images in a shard.
        files: Whether all entries are files, which workers open themselves. Otherwise the images'
            bytes are written.

    Yields:
        Each shard when it is written.
    """
    packed = (_packed(entry, files) for entry in entries)
    for number in itertools.count():
        if not (rows := list(itertools.islice(packed, size))):
            return
        shard = Shard(own.path, f"{number:06}")
        # All of its files may be removed again, also those of workers.
        for path in (shard.source, shard.result, shard.marker, shard.journal):
            own.claim(path.name)
        _write_table(shard.source, rows, _IN)
        yield shard


def _packed(entry: Entry, files: bool) -> dict[str, Any]:
    values: dict[str, Any] = {"id": os.fsencode(entry.id), "path": os.fsencode(entry.path)}
    try:
        loaded = entry.load()
    except ImageError as error:
        return {**values, "error": str(error)}
    if files and isinstance(loaded, str):
        return {**values, "file": os.fsencode(Path(loaded).absolute())}
    return {**values, "data": loaded.getvalue() if isinstance(loaded, NamedBytes) else None}


def read_entries(shard: Shard) -> list[Entry]:
    """Read the images of a shard.

    Args:
        shard: The shard.

    Returns:
        Its entries; those that are files are loaded by their full paths.
    """
    return [_unpacked(row) for row in _read_table(shard.source)]


def _unpacked(row: Mapping[str, Any]) -> Entry:
    path = os.fsdecode(row["path"])

    def load() -> str | NamedBytes:
        if row["error"] is not None:
            raise ImageError(row["error"])
        return os.fsdecode(row["file"]) if row["data"] is None else NamedBytes(row["data"], path)

    return Entry(os.fsdecode(row["id"]), path, load)


def score_shard(shard: Shard, classifier: Classifier) -> str | None:
    """Score the images of a shard, unless it is done.

    Args:
        shard: The shard.
        classifier: Made with the background of the decisions to come.

    Returns:
        None when it is done; else why it is given up.
    """
    if shard.marker.exists():
        return None
    attempts, finished, tries = _read_journal(shard)
    if attempts >= MOST_ATTEMPTS:
        return f"shard {shard.name} was begun {attempts} times and never finished"
    entries = read_entries(shard)
    _note(shard, {"attempt": attempts + 1})
    if attempts == 0:
        found = score_entries(entries, classifier)
    else:
        found = _score_carefully(shard, entries, finished, tries, classifier)
    results = [_with_given_path(*pair) for pair in zip(found, entries, strict=True)]
    _write_table(shard.result, [_to_row(one, os.fsencode, bytes) for one in results], _OUT)
    shard.marker.write_text(f"{len(results)}\n")
    return None


def _with_given_path(result: ImageScores, entry: Entry) -> ImageScores:
    """Speak of a file by the path that was given, as the local engine does, not by its full one."""
    if result.error is None:
        return result
    try:
        full = entry.load()
    except ImageError:  # its own, which names it rightly
        return result
    if not isinstance(full, str) or not result.error.startswith(full):
        return result
    return replace(result, error=entry.path + result.error.removeprefix(full))


def _score_carefully(
    shard: Shard,
    entries: Sequence[Entry],
    finished: Mapping[int, ImageScores],
    tries: Counter[int],
    classifier: Classifier,
) -> Iterator[ImageScores]:
    """Score image by image, each noted before and after, from where the last worker was."""
    for at, entry in enumerate(entries):
        if at in finished:
            yield finished[at]
        elif tries[at] >= MOST_TRIES:
            message = (
                f"{entry.path}: whoever labels this image dies or fails ({MOST_TRIES} tries); look "
                "at it by itself"
            )
            yield ImageScores(entry.id, entry.path, error=message)
        else:
            _note(shard, {"begun": at})
            (result,) = score_entries([entry], classifier)
            row = _to_row(result, str, lambda data: base64.b64encode(data).decode())
            _note(shard, {"finished": at, "result": row})
            yield result


def _note(shard: Shard, values: Mapping[str, Any]) -> None:
    with shard.journal.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(values) + "\n")


def _read_journal(shard: Shard) -> tuple[int, dict[int, ImageScores], Counter[int]]:
    """Attempts so far; what they finished; how often each image was begun and not finished."""
    attempts = 0
    finished: dict[int, ImageScores] = {}
    tries: Counter[int] = Counter()
    if shard.journal.exists():
        for line in shard.journal.read_text(encoding="utf-8").splitlines():
            try:
                values = json.loads(line)
            except ValueError:  # the worker died while it wrote
                continue
            attempts = max(attempts, values.get("attempt", 0))
            if "begun" in values:
                tries[values["begun"]] += 1
            if "finished" in values:
                row = values["result"]
                finished[values["finished"]] = _from_row(row, str, base64.b64decode)
    return attempts, finished, tries


def read_results(shard: Shard) -> list[ImageScores]:
    """Read what the images of a shard that is done scored.

    Args:
        shard: The shard.

    Returns:
        A result for each of its images.
    """
    return [_from_row(row, os.fsdecode, bytes) for row in _read_table(shard.result)]


def _to_row(result: ImageScores, name: Any, data: Any) -> dict[str, Any]:
    """Make a result plain values; ``name`` and ``data`` turn what a table or JSON cannot hold."""
    return _turned(dict(zip(_OUT, astuple(result), strict=True)), name, data)


def _from_row(row: Mapping[str, Any], name: Any, data: Any) -> ImageScores:
    size, values = row["size"], _turned(row, name, data)
    values["size"] = None if size is None else tuple(size)
    return ImageScores(*(values[column] for column in _OUT))


def _turned(row: Mapping[str, Any], name: Any, data: Any) -> dict[str, Any]:
    turns = {**dict.fromkeys(_NAMES, name), **dict.fromkeys(_BYTES, data)}
    return {
        column: turns[column](value) if column in turns and value is not None else value
        for column, value in row.items()
    }


def _write_table(path: Path, rows: Sequence[Mapping[str, Any]], columns: dict[str, str]) -> None:
    pa, parquet = pyarrow("the Ray engine", "ray")
    kinds = {"binary": pa.binary(), "string": pa.string(), "list<int32>": pa.list_(pa.int32())}
    schema = pa.schema([(name, kinds[kind]) for name, kind in columns.items()])
    with whole_file(path) as unfinished:
        parquet.write_table(pa.Table.from_pylist(list(rows), schema=schema), unfinished)


def _read_table(path: Path) -> list[dict[str, Any]]:
    _, parquet = pyarrow("the Ray engine", "ray")
    rows: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
    return rows
