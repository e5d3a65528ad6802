"""What the hub's cache on this machine holds, and what a repository's card states."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

# Transformers leaves values that are its defaults out of config.json.
DEFAULT_PROJECTION = {
    "clip": 512,
    "metaclip_2": 512,
    "chinese_clip": 512,
    "align": 640,
    "altclip": 768,
}
DEFAULT_WIDTH = 768
DEFAULT_CONTEXT = {"clip": 77, "siglip": 64, "siglip2": 64, "chinese_clip": 512, "align": 512}
UNLIMITED = 10**6  # tokenizers that know no longest text state a huge one


def cached_snapshots() -> Iterator[tuple[str, Path]]:
    """Go through the repositories of models in the hub's cache, without network.

    Yields:
        Name of the repository, and the folder of its newest snapshot.
    """
    import huggingface_hub

    try:
        repositories = huggingface_hub.scan_cache_dir().repos
    except Exception:  # no cache, or one that cannot be read
        return
    for repository in sorted(repositories, key=lambda entry: str(entry.repo_id)):
        newest = sorted(repository.revisions, key=lambda entry: -entry.last_modified)[:1]
        for revision in newest:
            yield str(repository.repo_id), Path(revision.snapshot_path)


def read_licence(folder: Path) -> str:
    """Read the licence that the front matter of a model's README.md states.

    Args:
        folder: The model's folder.

    Returns:
        The name of the licence; "unknown" where there is none.
    """
    try:
        text = (folder / "README.md").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "unknown"
    front = re.match(r"---\s*\n(.*?)\n---", text, re.DOTALL)
    stated = re.findall(r"(?m)^license(?:_name)?: *['\"]?([\w.+-]+)", front[1] if front else "")
    return " ".join(name for name in stated if name != "other") or "unknown"


def stated_dim(config: Mapping[str, Any]) -> int:
    """Read the length of an embedding off a configuration of Transformers or open_clip.

    Args:
        config: Content of ``config.json``, or the model's part of open_clip's.

    Returns:
        What it states, or leaves to the default of its family.
    """
    kind = str(config.get("model_type"))
    towers = [config.get("vision_config"), config.get("text_config")]
    places = [config, *(tower for tower in towers if isinstance(tower, Mapping))]
    keys = ["embed_dim", "projection_dim"]
    keys += [] if kind in DEFAULT_PROJECTION else ["hidden_size"]  # no projection follows there
    found = [place[key] for key in keys for place in places if type(place.get(key)) is int]
    return int(found[0]) if found else DEFAULT_PROJECTION.get(kind, DEFAULT_WIDTH)


def stated_context(config: Mapping[str, Any], settings: Mapping[str, Any]) -> int | None:
    """Read the longest text in tokens off a configuration of Transformers.

    Args:
        config: Content of ``config.json``.
        settings: Content of ``tokenizer_config.json``.

    Returns:
        The smallest length that they state, or leave to the default of the family; None if none.
    """
    old, new = config.get("text_config_dict"), config.get("text_config")
    text = {
        **(old if isinstance(old, Mapping) else {}),
        **(new if isinstance(new, Mapping) else {}),
    }
    default = DEFAULT_CONTEXT.get(str(config.get("model_type")))
    stated = text.get("max_position_embeddings", default)
    return smallest_limit(stated, settings.get("model_max_length"))


def smallest_limit(*stated: object) -> int | None:
    """Find the smallest of the lengths that a model's files state, if any does.

    Args:
        *stated: What stands there.

    Returns:
        The length in tokens.
    """
    limits = [v for v in stated if isinstance(v, int | float) and 1 <= v < UNLIMITED]
    return min(map(int, limits), default=None)
