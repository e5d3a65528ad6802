"""A piece of a large job: parquet in, parquet out, a marker when it is done.

A shard is four files in a folder that all workers see: ``NAME.in.parquet``, ``NAME.out.parquet``,
``NAME.done`` (the marker: it is written last), and ``NAME.journal``. The journal makes a shard
whose worker died go on where it was, image by image, so that an image that crashes workers is found
out: when one was begun twice and never finished, it becomes a row with an error.
"""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crossalign.errors import ImageError
from crossalign.labeling.image_scores import Scored
from crossalign.labeling.job import score_entries
from crossalign.labeling.job_file import Result
from crossalign.labeling.ownership import OwnFolder
from crossalign.labeling.sources import Entry, NamedBytes
from crossalign.labeling.table_writers import pyarrow
from crossalign.utils.files import whole_file

if TYPE_CHECKING:
    from crossalign.classifier import Classifier

_BYTES = ("scores", "sketch")
_NAMES = ("path", "error")  # which may hold a file name that is not valid text

MOST_TRIES = 2
"""How often an image is begun before it is given up."""

MOST_ATTEMPTS = 20
"""How often a shard is begun before it is given up, whatever the reason."""


@dataclass(frozen=True, slots=True)
class Shard:
    """The files of a shard.

    Args:
        folder: Where they are.
        name: What they begin with.
    """

    folder: Path
    name: str

    @property
    def source(self) -> Path:
        """Its images."""
        return self.folder / f"{self.name}.in.parquet"

    @property
    def result(self) -> Path:
        """Its rows."""
        return self.folder / f"{self.name}.out.parquet"

    @property
    def marker(self) -> Path:
        """There when the rows are complete."""
        return self.folder / f"{self.name}.done"

    @property
    def journal(self) -> Path:
        """What was begun and what was finished."""
        return self.folder / f"{self.name}.journal"


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
    rows: list[dict[str, Any]] = []
    number = 0
    for entry in entries:
        rows.append(_packed(entry, files))
        if len(rows) == size:
            yield _write(_claimed(own, f"{number:06}"), rows)
            rows, number = [], number + 1
    if rows:
        yield _write(_claimed(own, f"{number:06}"), rows)


def _claimed(own: OwnFolder, name: str) -> Shard:
    """A shard whose files may be removed again, also those that workers will write."""
    shard = Shard(own.path, name)
    for path in (shard.source, shard.result, shard.marker, shard.journal):
        own.place(path.name)
    return shard


def _packed(entry: Entry, files: bool) -> dict[str, Any]:
    values: dict[str, Any] = {"id": _raw(entry.id), "path": _raw(entry.path)}
    try:
        loaded = entry.load()
    except ImageError as error:
        return {**values, "error": str(error)}
    if files and isinstance(loaded, str):
        return {**values, "file": _raw(str(Path(loaded).absolute()))}
    return {**values, "data": loaded.getvalue() if isinstance(loaded, NamedBytes) else None}


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _write(shard: Shard, rows: Sequence[dict[str, Any]]) -> Shard:
    pa, parquet = pyarrow("the Ray engine", "ray")
    kinds = {"id": pa.binary(), "path": pa.binary(), "file": pa.binary(), "data": pa.binary()}
    schema = pa.schema([*kinds.items(), ("error", pa.string())])
    with whole_file(shard.source) as unfinished:
        parquet.write_table(pa.Table.from_pylist(list(rows), schema=schema), unfinished)
    return shard


def read_entries(shard: Shard) -> list[Entry]:
    """Read the images of a shard.

    Args:
        shard: The shard.

    Returns:
        Its entries; those that are files are loaded by their full paths.
    """
    _, parquet = pyarrow("the Ray engine", "ray")
    return [_unpacked(row) for row in parquet.read_table(shard.source).to_pylist()]


def _unpacked(row: dict[str, Any]) -> Entry:
    path = _text(row["path"])

    def load() -> str | NamedBytes:
        if row["error"] is not None:
            raise ImageError(row["error"])
        return _text(row["file"]) if row["data"] is None else NamedBytes(row["data"], path)

    return Entry(_text(row["id"]), path, load)


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
        results = list(score_entries(entries, classifier))
    else:
        results = list(_carefully(shard, entries, finished, tries, classifier))
    _write_results(shard, [_as_given(*pair) for pair in zip(results, entries, strict=True)])
    shard.marker.write_text(f"{len(results)}\n")
    return None


def _as_given(result: Result, entry: Entry) -> Result:
    """Speak of a file by the path that was given, as the local engine does, not by its full one."""
    error = result.scored.error
    if error is None:
        return result
    try:
        full = entry.load()
    except ImageError:  # its own, which names it rightly
        return result
    if not isinstance(full, str) or not error.startswith(full):
        return result
    return Result(result.id, Scored(entry.path, error=entry.path + error.removeprefix(full)))


def _carefully(
    shard: Shard,
    entries: Sequence[Entry],
    finished: dict[int, Result],
    tries: dict[int, int],
    classifier: Classifier,
) -> Iterator[Result]:
    """Score image by image, each noted before and after, from where the last worker was."""
    for at, entry in enumerate(entries):
        if at in finished:
            yield finished[at]
            continue
        if tries.get(at, 0) >= MOST_TRIES:
            message = (
                f"{entry.path}: whoever labels this image dies or fails ({MOST_TRIES} tries); look "
                "at it by itself"
            )
            yield Result(entry.id, Scored(entry.path, error=message))
            continue
        _note(shard, {"begun": at})
        (result,) = score_entries([entry], classifier)
        _note(shard, {"finished": at, "result": to_json(result)})
        yield result


def _note(shard: Shard, values: dict[str, Any]) -> None:
    with shard.journal.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(values) + "\n")


def _read_journal(shard: Shard) -> tuple[int, dict[int, Result], dict[int, int]]:
    """Attempts so far; what they finished; how often each image was begun and not finished."""
    attempts = 0
    finished: dict[int, Result] = {}
    tries: dict[int, int] = {}
    if shard.journal.exists():
        for line in shard.journal.read_text(encoding="utf-8").splitlines():
            try:
                values = json.loads(line)
            except ValueError:  # the worker died while it wrote
                continue
            attempts = max(attempts, values.get("attempt", 0))
            if "begun" in values:
                tries[values["begun"]] = tries.get(values["begun"], 0) + 1
            if "finished" in values:
                finished[values["finished"]] = from_json(values["result"])
    return attempts, finished, tries


def to_json(result: Result) -> dict[str, Any]:
    """Make a result plain values.

    Args:
        result: The result.

    Returns:
        What :func:`from_json` reads.
    """
    values = {"id": result.id, **dataclasses.asdict(result.scored)}
    data = {name: values[name] and base64.b64encode(values[name]).decode() for name in _BYTES}
    return {**values, **data}


def from_json(values: dict[str, Any]) -> Result:
    """Read what :func:`to_json` made.

    Args:
        values: Plain values.

    Returns:
        The result.
    """
    data = {name: values[name] and base64.b64decode(values[name]) for name in _BYTES}
    return _result({**values, **data})


def _write_results(shard: Shard, results: Sequence[Result]) -> None:
    pa, parquet = pyarrow("the Ray engine", "ray")
    kinds = {name: pa.binary() for name in ("id", *_NAMES, *_BYTES)}
    kinds |= {"content_hash": pa.string(), "size": pa.list_(pa.int32())}
    rows = []
    for result in results:
        values = {"id": result.id, **dataclasses.asdict(result.scored)}
        rows.append({**values, **{name: _raw(values[name]) for name in _given(values)}})
    with whole_file(shard.result) as unfinished:
        parquet.write_table(pa.Table.from_pylist(rows, pa.schema(kinds.items())), unfinished)


def read_results(shard: Shard) -> list[Result]:
    """Read what the images of a shard that is done scored.

    Args:
        shard: The shard.

    Returns:
        A result for each of its images.
    """
    _, parquet = pyarrow("the Ray engine", "ray")
    results = []
    for row in parquet.read_table(shard.result).to_pylist():
        values = {**row, **{name: _text(row[name]) for name in _given(row)}}
        results.append(_result(values))
    return results


def _given(values: dict[str, Any]) -> list[str]:
    return [name for name in ("id", *_NAMES) if values[name] is not None]


def _result(values: dict[str, Any]) -> Result:
    rest = {name: value for name, value in values.items() if name not in ("id", "size")}
    size = values["size"]
    return Result(values["id"], Scored(size=None if size is None else tuple(size), **rest))
