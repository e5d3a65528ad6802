"""Where a checkpoint of Transformers lies, what of it is needed, and what identifies it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from crossalign.encoders.base import ModelCard
from crossalign.encoders.hub import (
    Source,
    cached_cards,
    digest_files,
    hub_commit,
    read_licence,
    stated_context,
    stated_dim,
)
from crossalign.encoders.preprocessing import read_json, read_processor
from crossalign.errors import EncoderError

WEIGHTS = ("model.safetensors", "model-*.safetensors")
FILES = (*WEIGHTS, "*.json", "*.txt", "*.model")
NEEDED = "config.json, preprocessor_config.json, model.safetensors and a tokenizer.json"


def locate(rest: str, revision: str | None) -> tuple[str, Path]:
    """Find a local folder, or bring what is needed of a hub repository into the cache.

    Args:
        rest: A folder, or a repository of the hub, ``owner/name`` or ``owner/name@REVISION``.
        revision: Branch, tag or commit of a repository.

    Returns:
        What names the model, without a revision; the folder, or the repository's snapshot in the
        cache.

    Raises:
        EncoderError: If it is neither, or the hub does not give it.
    """
    source = Source.read("hf", rest, revision, NEEDED)
    if source.folder is not None:
        return rest, source.folder
    return source.repository, source.download([*FILES, "README.md"], ignore=["*/*"])


def find_weights(folder: Path) -> list[Path]:
    """List the files with the weights, where there is a tokenizer too.

    Args:
        folder: The model's folder.

    Returns:
        Safetensors, in order.

    Raises:
        EncoderError: If there are none, or there is no tokenizer.
    """
    weights = list_files(folder, WEIGHTS)
    if not weights:
        pickles = list_files(folder, ("*.bin", "*.pt", "*.pth", "*.ckpt"))
        raise EncoderError(
            f"expected model.safetensors in {folder}; it has "
            f"{', '.join(file.name for file in pickles) or 'no weights'}. Pickles (.bin, .pt) can "
            "run code and are not loaded. If you trust their source, convert them once: "
            "transformers.AutoModel.from_pretrained(folder).save_pretrained(folder)."
        )
    # Transformers makes up an empty vocabulary where there is none.
    if not list_files(folder, ("tokenizer.json", "vocab.*", "*.model")):
        raise EncoderError(f"expected a tokenizer in {folder}; found none. It needs {NEEDED}.")
    return weights


def list_files(folder: Path, patterns: Sequence[str]) -> list[Path]:
    """List the files of a folder that match one of the patterns.

    Args:
        folder: The folder.
        patterns: As in a shell.

    Returns:
        Their paths, in order, each once.
    """
    return sorted({file for pattern in patterns for file in folder.glob(pattern)})


def read_revision(folder: Path) -> str:
    """Identify the weights and settings.

    Args:
        folder: The model's folder.

    Returns:
        Commit of a hub repository; of a folder, a hash of all that decides its embeddings.
    """
    commit = hub_commit(folder)
    if commit is not None:
        return commit
    files = ((f"{file.name}:{file.stat().st_size}:", file) for file in list_files(folder, FILES))
    return digest_files(hashlib.sha256(), files)[:12]


def cards() -> list[ModelCard]:
    """List the dual encoders of Transformers that the hub's cache on this machine holds."""
    return cached_cards(_describe)


def _describe(name: str, folder: Path) -> ModelCard | None:
    """Describe a model from its settings; None where it is no dual encoder."""
    weights, config = find_weights(folder), read_json(folder / "config.json")
    settings = read_json(folder / "tokenizer_config.json", optional=True)
    limit = stated_context(config, settings)
    size = read_processor(folder).size
    if not isinstance(config.get("text_config", config.get("vision_config")), Mapping):
        return None  # such as an image classifier
    return ModelCard(
        name=f"hf:{name}",
        revision=read_revision(folder),
        dim=stated_dim(config),
        image_size=size,
        context_length=limit or 0,
        licence=read_licence(folder),
        bytes=sum(file.stat().st_size for file in weights),
    )
