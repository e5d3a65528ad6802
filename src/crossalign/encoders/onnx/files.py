"""Where a dual encoder's ONNX files lie, in a folder or on the hub, and what identifies them."""

from __future__ import annotations

import fnmatch
import functools
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crossalign.encoders.base import Preprocess
from crossalign.encoders.hub import Source, digest_files, hub_commit
from crossalign.encoders.preprocessing import (
    PROCESSORS,
    read_json,
    read_open_clip_preprocess,
    read_processor,
)
from crossalign.errors import EncoderError

SUFFIXES = {
    "fp32": "",
    "fp16": "_fp16",
    "int8": "_int8",
    "uint8": "_uint8",
    "q8": "_quantized",
    "q4": "_q4",
    "q4f16": "_q4f16",
    "bnb4": "_bnb4",
}
"""Variants of a model by how its weights are stored, and what their file names end in."""

# Vision and text graph without suffix and ending: hub conversions, then the photo libraries' split.
PLACES = (
    ("onnx/vision_model", "onnx/text_model"),
    ("vision_model", "text_model"),
    ("visual/model", "textual/model"),
)
TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
SETTINGS = (
    *("config.json", *PROCESSORS, *TOKENIZER),
    *("visual/preprocess_cfg.json", *(f"textual/{file}" for file in TOKENIZER)),
)
NEEDED = (
    "config.json, preprocessor_config.json, tokenizer.json, tokenizer_config.json, "
    "onnx/vision_model.onnx and onnx/text_model.onnx (or visual/model.onnx, "
    "visual/preprocess_cfg.json, textual/model.onnx, textual/tokenizer.json, "
    "textual/tokenizer_config.json and config.json)"
)
WEIGHTS = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.safetensors")

EXTERNAL = ("_data*", ".data*")
"""What the names of external weights add to their graph's: ``model.onnx_data``, and in pieces."""


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """The files of one variant of one model.

    Args:
        folder: The model's folder.
        vision: Graph of the vision tower.
        text: Graph of the text tower.
        dtype: Which variant these are, a key of :data:`SUFFIXES`.
    """

    folder: Path
    vision: Path
    text: Path
    dtype: str

    @property
    def split(self) -> bool:
        """Whether this is the split layout, with the configuration of open_clip."""
        return self.vision.parent.name == "visual"

    @property
    def tokenizer_folder(self) -> Path:
        """Where ``tokenizer.json`` lies."""
        return self.folder / "textual" if self.split else self.folder

    def config(self) -> dict[str, Any]:
        """Read ``config.json``; open_clip may keep the model's part under ``model_cfg``."""
        config = read_json(self.folder / "config.json")
        inner = config.get("model_cfg")
        return inner if self.split and isinstance(inner, dict) else config

    def preprocess(self) -> Preprocess:
        """Read how pixels are made ready."""
        if self.split:
            path = self.folder / "visual" / "preprocess_cfg.json"
            return read_open_clip_preprocess(read_json(path), str(path))
        return read_processor(self.folder)

    def graphs(self) -> list[Path]:
        """List both graphs and their external weights, ``model.onnx_data`` and the like."""
        found = []
        for graph in (self.vision, self.text):
            beside = [path for end in EXTERNAL for path in graph.parent.glob(f"{graph.name}{end}")]
            found += [graph, *sorted(beside)]
        return found

    def bytes(self) -> int:
        """Add up the sizes of the graphs and their external weights."""
        return sum(path.stat().st_size for path in self.graphs())

    def revision(self) -> str:
        """Identify the weights and settings: the hub's commit, or a digest; and the variant.

        The digest of a local folder covers names and whole contents of settings, graphs and
        external weights. Within a process it is computed once, as long as no file changes.
        """
        commit = hub_commit(self.folder)
        if commit is not None:
            return f"{commit}-{self.dtype}"
        paths = [self.folder / name for name in SETTINGS]
        stamps = [
            (str(path), status.st_size, status.st_mtime_ns, status.st_ctime_ns)
            for path in [*paths, *self.graphs()]
            if path.is_file()
            for status in [path.stat()]
        ]
        return f"{_digest(self.folder, tuple(stamps))}-{self.dtype}"


def locate(rest: str, dtype: str | None, revision: str | None) -> tuple[str, ModelFiles]:
    """Find a model's files; those of a hub repository are downloaded if they are not here.

    Args:
        rest: A folder, or a repository of the hub as ``owner/name`` or ``owner/name@REVISION``.
        dtype: Variant, a key of :data:`SUFFIXES`; by default fp32, or else the first there is.
        revision: Branch, tag or commit of a repository.

    Returns:
        What names the model, without a revision, and the files.

    Raises:
        EncoderError: If the model or the variant is not there, or something is missing from it.
    """
    source = Source.read("onnx", rest, revision, NEEDED)
    if source.folder is not None:
        return rest, find(source.folder, dtype)
    present = variants(_graph_names(folder := source.download(patterns(dtype or "fp32"))))
    if (dtype or "fp32") not in present:
        there = _offered(source, present)
        if dtype is not None and there:
            raise EncoderError(
                f"{source.repository} has no variant {dtype!r}; there is {', '.join(there)}."
            )
        dtype = next(iter(there), None)
        folder = source.download(patterns(dtype)) if dtype else folder
    return source.repository, find(folder, dtype)


def find(folder: Path, dtype: str | None = None) -> ModelFiles:
    """Find a model's files in a folder.

    Args:
        folder: The model's folder.
        dtype: Variant, a key of :data:`SUFFIXES`; by default fp32, or else the first there is.

    Returns:
        The files.

    Raises:
        EncoderError: If the variant is not there, or something is missing from the folder.
    """
    names = _graph_names(folder)
    present = variants(names)
    if not present:
        raise EncoderError(_what_is_missing(folder, names))
    if dtype is not None and dtype not in present:
        raise EncoderError(
            f"{folder} has no variant {dtype!r}; there is {', '.join(present)}. "
            f"{dtype} would be {_file(PLACES[0][0], dtype)} and {_file(PLACES[0][1], dtype)}."
        )
    chosen = dtype or next(iter(present))
    vision, text = present[chosen]
    return ModelFiles(folder, folder / vision, folder / text, chosen)


def variants(names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Find the variants of which both towers are there.

    Args:
        names: Paths of files within the model's folder.

    Returns:
        Vision and text graph by variant, fp32 first.

    Example:
        >>> variants(["onnx/vision_model_fp16.onnx", "onnx/text_model_fp16.onnx", "config.json"])
        {'fp16': ('onnx/vision_model_fp16.onnx', 'onnx/text_model_fp16.onnx')}
    """
    names = set(names)
    found: dict[str, tuple[str, str]] = {}
    for dtype in SUFFIXES:
        for vision, text in PLACES:
            pair = _file(vision, dtype), _file(text, dtype)
            if names.issuperset(pair):
                found.setdefault(dtype, pair)
    return found


def patterns(dtype: str) -> list[str]:
    """List what is fetched from the hub for one variant: settings and graphs, nothing else."""
    graphs = [_file(stem, dtype) for pair in PLACES for stem in pair]
    external = [f"{graph}{end}" for graph in graphs for end in EXTERNAL]
    return [*SETTINGS, "README.md", *graphs, *external]


def _offered(source: Source, present: dict[str, tuple[str, str]]) -> dict[str, tuple[str, str]]:
    """Find the variants that a repository has, or those fetched before if it is out of reach."""
    try:
        return variants(source.list_files())
    except EncoderError:
        if present:
            return present
        raise


def _graph_names(folder: Path) -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for place in ("", "onnx", "visual", "textual")
        for path in (folder / place).glob("*.onnx")
    }


def _file(stem: str, dtype: str) -> str:
    return f"{stem}{SUFFIXES[dtype]}.onnx"


def _what_is_missing(folder: Path, names: set[str]) -> str:
    message = f"expected a dual encoder in ONNX files in {folder}; "
    if not names:
        message += "it holds no .onnx file. "
    else:
        towers = {"vision": ("vision_model", "visual/"), "text": ("text_model", "textual/")}
        without = [
            tower
            for tower, marks in towers.items()
            if not any(mark in name for name in names for mark in marks)
        ]
        message += f"it holds {', '.join(sorted(names))}, "
        message += f"no {' and no '.join(without)} tower. " if without else "no two that match. "
    if any(fnmatch.fnmatch(path.name, kind) for path in folder.iterdir() for kind in WEIGHTS):
        message += "Weights of PyTorch lie there too; they are not read here. "
    missing = [name for name in ("config.json", "preprocessor_config.json", "tokenizer.json")
               if not (folder / name).exists()]  # fmt: skip
    if missing and not (folder / "visual").is_dir():
        message += f"Missing too: {', '.join(missing)}. "
    return (
        f"{message}Needed: {NEEDED}. If a download was cut off, or HF_HUB_OFFLINE is set, fetch "
        "the rest; the model 'builtin' works offline."
    )


@functools.lru_cache(maxsize=32)
def _digest(folder: Path, stamps: tuple[tuple[str, int, int, int], ...]) -> str:
    """Digest files; the times of change are there to tell the cache of a new content."""
    return digest_files(
        hashlib.blake2b(digest_size=8),
        ((f"{Path(name).relative_to(folder).as_posix()}\0{size}\0", Path(name))
         for name, size, *_ in stamps),
    )  # fmt: skip
