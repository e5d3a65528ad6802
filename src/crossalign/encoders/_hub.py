"""What the hub's cache on this machine holds, and what a repository's card states."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path


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
