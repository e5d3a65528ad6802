"""Data sets in containers: Hugging Face parquet files and WebDataset tar shards."""

from __future__ import annotations

import itertools
import json
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from crossalign.errors import EvaluationError, import_extra
from crossalign.evaluation.datasets.base import Dataset, Example, Reader, ReadOptions, dataset_of
from crossalign.evaluation.datasets.folders import SPLITS
from crossalign.evaluation.datasets.lists import read_names, read_text
from crossalign.images import has_image_ending
from crossalign.texts.descriptions import wordify

_ROWS = 32  # of a parquet file that are in memory at a time


def read_parquet(reader: Reader, options: ReadOptions) -> Dataset:
    """Read parquet files as Hugging Face writes them: a column of images, one of labels.

    Args:
        reader: The reader.
        options: What is asked of it.

    Returns:
        The data set.
    """
    parquet = import_extra("pyarrow.parquet", "reading parquet files", "parquet")
    files, split = _files_of_split(reader, options, ".parquet")
    first = parquet.read_schema(files[0])
    image = _column(files[0], first, ("image", "img", "jpg"))
    label = _column(files[0], first, ("label", "labels", "cls", "fine_label"))
    own = _label_names(first, label)
    values = [parquet.read_table(file, columns=[label])[label].to_pylist() for file in files]
    if own is None:
        ids = sorted({str(value) for value in itertools.chain(*values)}, key=_by_number)
        if options.names is None and all(name.isdigit() for name in ids):
            raise EvaluationError(
                f"{files[0]}: its labels are numbers without names. Give a name for each class "
                "with --names FILE, one a line."
            )
        if options.names is not None and all(name.isdigit() for name in ids):
            ids = [str(number) for number in range(len(options.names.ordered))]
    else:
        ids = [str(number) for number in range(len(own))]
    index = {name: place for place, name in enumerate(ids)}
    labels = [[index.get(str(value), -1) for value in part] for part in values]
    _check_labels(files, labels, len(ids))

    def examples() -> Iterator[Example]:
        for file, numbers in zip(files, labels, strict=True):
            batches = parquet.ParquetFile(file).iter_batches(_ROWS, columns=[image])
            pictures = itertools.chain.from_iterable(batch[image].to_pylist() for batch in batches)
            for row, (picture, number) in enumerate(zip(pictures, numbers, strict=True)):
                yield Example(f"{file.name}/{row}", _bytes_of(picture, options.root), number)

    names = own if own is not None else [wordify(name) for name in ids]
    total, templates = sum(map(len, labels)), _templates(options.root)
    return dataset_of(reader, options, split, ids, names, total, examples, templates)


def read_tars(reader: Reader, options: ReadOptions) -> Dataset:
    """Read WebDataset shards: files of one name belong together, ``.cls`` is the class index.

    Class names come from ``classnames.txt`` (or ``classes.txt``) at the root, one a line, as
    clip-benchmark lays them out.

    Args:
        reader: The reader.
        options: What is asked of it.

    Returns:
        The data set.
    """
    files, split = _files_of_split(reader, options, ".tar")
    # Names that are to be matched with the data set's own say nothing about their order.
    names = None if options.names is not None and options.names.by_name else options.names
    for name in ("classnames.txt", "classes.txt"):
        for folder in (files[0].parent, options.root):
            if names is None and (folder / name).is_file():
                names = read_names(folder / name)
    if names is None:
        raise reader.missing(f"no classnames.txt in {options.root}, and no --names FILE")
    count = len(names.ordered)
    labels = [[label for _, _, label in _samples(file, pixels=False)] for file in files]
    _check_labels(files, labels, count)

    def examples() -> Iterator[Example]:
        for file in files:
            for key, data, label in _samples(file, pixels=True):
                yield Example(f"{file.name}/{key}", data, label)

    ids = [str(number) for number in range(count)]
    total, templates = sum(map(len, labels)), _templates(options.root)
    return dataset_of(reader, options, split, ids, names.ordered, total, examples, templates)


def _files_of_split(reader: Reader, options: ReadOptions, ending: str) -> tuple[list[Path], str]:
    """Find the files of a split: in its folder, or beginning with its name."""
    if options.root.is_file() and options.root.suffix == ending:
        return [options.root], "all"
    found = sorted(options.root.rglob(f"*{ending}")) if options.root.is_dir() else []
    if not found:
        raise reader.missing(f"no {ending} files in {options.root}")
    for split in SPLITS if options.split is None else (options.split,):
        chosen = [
            path
            for path in found
            if path.parent.name == split or path.name.startswith((f"{split}-", f"{split}."))
        ]
        if chosen:
            return chosen, split
    if options.split is not None:
        raise reader.missing(f"no {ending} files of the split '{options.split}' in {options.root}")
    return found, "all"


def _column(file: Path, schema: Any, wanted: Sequence[str]) -> str:
    if found := [name for name in wanted if name in schema.names]:
        return found[0]
    raise EvaluationError(
        f"{file}: expected a column {' or '.join(map(repr, wanted))}; got "
        f"{', '.join(map(repr, schema.names))}."
    )


def _label_names(schema: Any, label: str) -> list[str] | None:
    """Names of the classes, as the datasets library keeps them in the file."""
    try:
        features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
        names = features[label]["names"]
    except (KeyError, TypeError, ValueError):
        return None
    return [wordify(str(name)) for name in names]


def _by_number(name: str) -> tuple[int, str]:
    return (int(name), "") if name.isdigit() else (-1, name)


def _check_labels(files: Sequence[Path], labels: Sequence[Sequence[int]], classes: int) -> None:
    for file, numbers in zip(files, labels, strict=True):
        wrong = (row for row, number in enumerate(numbers) if not 0 <= number < classes)
        if (row := next(wrong, None)) is not None:
            raise EvaluationError(
                f"{file}: expected labels from 0 to {classes - 1}, one for each class name; image "
                f"{row} has another. Check that the class names belong to this data set."
            )


def _bytes_of(picture: Any, root: Path) -> Any:
    """Pixels of a parquet cell: bytes, or a path beside the file."""
    if isinstance(picture, bytes):
        return picture
    if isinstance(picture, dict) and picture.get("bytes"):
        return picture["bytes"]
    path = picture.get("path") if isinstance(picture, dict) else None
    return root / path if path else b""


def _samples(file: Path, *, pixels: bool) -> Iterator[tuple[str, bytes, int]]:
    """Give (key, bytes, label) of a shard, one sample in memory at a time."""
    try:
        with tarfile.open(file) as archive:
            members = (member for member in archive if member.isfile())
            for key, group in itertools.groupby(members, key=lambda member: _key(member.name)):
                data, label = b"", -1
                for member in group:
                    ending = "." + member.name.rpartition(".")[2].lower()
                    if has_image_ending(member.name):
                        data = _content(archive, member) if pixels else b""
                    elif ending in (".cls", ".json"):
                        label = _label(file, key, _content(archive, member))
                archive.members = []  # type: ignore[attr-defined]  # it remembers every member
                yield key, data, label
    except (tarfile.TarError, OSError, EOFError) as error:
        raise EvaluationError(f"{file}: expected a tar file; it cannot be read ({error}).") from (
            error
        )


def _key(name: str) -> str:
    folder, slash, file = name.rpartition("/")
    return folder + slash + file.partition(".")[0]


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = archive.extractfile(member)
    return b"" if stream is None else stream.read()


def _label(file: Path, key: str, data: bytes) -> int:
    try:
        value = json.loads(data)
        return int(value["label"] if isinstance(value, dict) else value)
    except (ValueError, KeyError, TypeError) as error:
        raise EvaluationError(
            f"{file}: expected a class index in {key}.cls, or 'label' in {key}.json ({error!r})."
        ) from error


def _templates(root: Path) -> tuple[str, ...]:
    """Templates that lie beside the shards, as clip-benchmark lays them out."""
    path = root / "zeroshot_classification_templates.txt"
    if not path.is_file():
        return ()
    found = (line.strip().replace("{c}", "{}") for line in read_text(path).splitlines())
    return tuple(line for line in found if line)


PARQUET = Reader.known("parquet", read_parquet)
TARS = Reader.known("webdataset", read_tars)
