"""Where a checkpoint of Transformers lies, what of it is needed, and what identifies it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from crossalign.encoders.base import ModelCard
from crossalign.encoders.hub import cached_snapshots, read_licence, stated_context, stated_dim
from crossalign.encoders.preprocessing import read_json, read_preprocess
from crossalign.errors import EncoderError

# Newer versions of Transformers write the second instead of the first.
PROCESSORS = ("preprocessor_config.json", "processor_config.json")
WEIGHTS = ("model.safetensors", "model-*.safetensors")
FILES = (*WEIGHTS, "*.json", "*.txt", "*.model")
NEEDED = "config.json, preprocessor_config.json, model.safetensors and a tokenizer.json"


def locate(rest: str, revision: str | None) -> Path:
    """Find a local folder, or bring what is needed of a hub repository into the cache.

    Args:
        rest: A folder, or a repository of the hub, ``owner/name``.
        revision: Branch, tag or commit of a repository.

    Returns:
        The folder, or the snapshot of the repository in the cache.

    Raises:
        EncoderError: If it is neither, or the hub does not give it.
    """
    folder = Path(rest).expanduser()
    if rest and folder.is_dir():
        if revision is not None:
            raise EncoderError(f"the folder {rest} has no revisions; got revision={revision!r}.")
        return folder
    if not re.fullmatch(r"[\w-][\w.-]*(/[\w-][\w.-]*)?", rest, re.ASCII):
        raise EncoderError(
            f"expected a folder that is there, or a repository (owner/name); got {rest!r}. A "
            f"folder holds {NEEDED}. The encoder 'builtin' works offline as it is."
        )
    import huggingface_hub

    options: dict[str, Any] = {"allow_patterns": [*FILES, "README.md"], "ignore_patterns": ["*/*"]}
    try:
        return Path(huggingface_hub.snapshot_download(rest, revision=revision, **options))
    except Exception as error:  # it raises those of several HTTP libraries
        raise EncoderError(
            f"hf:{rest} is no folder here, and the hub did not give it: {error} To work without "
            f"the hub, put {NEEDED} into a folder and name that: hf:<folder>. The encoder "
            "'builtin' works offline as it is."
        ) from error


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
    if folder.parent.name == "snapshots" and re.fullmatch(r"[0-9a-f]{40}", folder.name):
        return folder.name
    digest = hashlib.sha256()
    for file in list_files(folder, FILES):
        digest.update(f"{file.name}:{file.stat().st_size}:".encode())
        with file.open("rb") as opened:
            while block := opened.read(1 << 22):
                digest.update(block)
    return digest.hexdigest()[:12]


def cards() -> list[ModelCard]:
    """List the dual encoders of Transformers that the hub's cache on this machine holds."""
    found = [_card_of(folder, name) for name, folder in cached_snapshots()]
    return [card for card in found if card is not None]


def _card_of(folder: Path, name: str) -> ModelCard | None:
    """Describe a model from its settings; None where the folder holds none, or half of one."""
    try:
        weights, config = find_weights(folder), read_json(folder / "config.json")
        made = [folder / file for file in PROCESSORS if (folder / file).is_file()]
        size = read_preprocess(read_json(made[0]), str(made[0])).size if made else 0
        settings = folder / "tokenizer_config.json"
        limit = stated_context(config, read_json(settings) if settings.is_file() else {})
    except (EncoderError, OSError):
        return None
    if not size or not isinstance(config.get("text_config", config.get("vision_config")), Mapping):
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
