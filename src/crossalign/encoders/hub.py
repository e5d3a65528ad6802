"""Models in folders and on the hub: found, fetched, identified, and what their files state."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from crossalign.encoders.base import ModelCard
from crossalign.errors import EncoderError
from crossalign.utils.files import file_digest

_T = TypeVar("_T")

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


@dataclass(frozen=True, slots=True)
class Source:
    """Where a model lies: in a folder, or in a repository of the hub.

    Args:
        scheme: How names of its family begin, without the colon.
        needed: What a folder of this family holds, in words.
        folder: The folder; None for a repository.
        repository: ``owner/name``; "" for a folder.
        revision: Branch, tag or commit of the repository; None for its newest.
    """

    scheme: str
    needed: str
    folder: Path | None
    repository: str = ""
    revision: str | None = None

    @classmethod
    def read(cls, scheme: str, rest: str, revision: str | None, needed: str) -> Source:
        """Understand what stands behind the scheme of a name.

        Args:
            scheme: How the name begins.
            rest: A folder, or ``owner/name`` or ``owner/name@REVISION`` of a repository.
            revision: Branch, tag or commit, if it was given apart.
            needed: What a folder holds, in words.

        Returns:
            The source.

        Raises:
            EncoderError: If it is neither, or a revision is given for a folder or given twice.
        """
        try:
            folder = Path(rest).expanduser().resolve()
            is_folder, is_taken = bool(rest) and folder.is_dir(), folder.exists()
        except (OSError, RuntimeError, ValueError):  # a name that no folder can have
            is_folder, is_taken = False, True
        if is_folder:
            if revision is not None:
                raise EncoderError(
                    f"the folder {rest} has no revisions; got revision={revision!r}."
                )
            return cls(scheme, needed, folder)
        name, at, pinned = rest.partition("@")
        parts = r"[A-Za-z0-9_-][\w.-]*"
        # A bare name is one of the hub's oldest repositories, which are none of ONNX files.
        pattern = rf"{parts}/{parts}" if scheme == "onnx" else rf"{parts}(/{parts})?"
        if is_taken or not re.fullmatch(pattern, name, re.ASCII) or (at and not pinned):
            raise EncoderError(
                f"expected '{scheme}:<folder>' or '{scheme}:<owner>/<name>' of a hub repository, "
                f"with @REVISION behind it if that matters; there is no folder {rest!r}. A model's "
                f"folder holds {needed}. The model 'builtin' works offline."
            )
        if pinned and revision not in (None, pinned):
            raise EncoderError(
                f"{scheme}:{rest} names the revision {pinned!r}, revision={revision!r} another; "
                "give one of them."
            )
        return cls(scheme, needed, None, name, pinned or revision)

    def download(self, allow: Sequence[str], ignore: Sequence[str] = ()) -> Path:
        """Bring files of the repository into the cache, if they are not there.

        Args:
            allow: Patterns of the files that are wanted.
            ignore: Patterns of those that are not, all the same.

        Returns:
            The snapshot's folder.

        Raises:
            EncoderError: If the hub does not give them.
        """
        import huggingface_hub

        options: dict[str, Any] = {"allow_patterns": [*allow]}
        options |= {"ignore_patterns": [*ignore]} if ignore else {}
        return Path(self._ask(huggingface_hub.snapshot_download, **options))

    def list_files(self) -> list[str]:
        """List the files of the repository.

        Returns:
            Their paths within it.

        Raises:
            EncoderError: If the hub does not say.
        """
        import huggingface_hub

        return self._ask(huggingface_hub.list_repo_files)

    def _ask(self, function: Callable[..., _T], **options: Any) -> _T:
        if self.revision is not None:
            options["revision"] = self.revision
        try:
            return function(self.repository, **options)
        except Exception as error:  # the hub's own, the network's, the disk's
            reason = (str(error).strip().splitlines() or [""])[0]
            pinned = f" at revision {self.revision!r}" if self.revision else ""
            raise EncoderError(
                f"{self.repository!r} is no folder here, and could not be fetched from the hub"
                f"{pinned} ({type(error).__name__}: {reason}). It may be misspelt or private, "
                "there may be no network, or HF_HUB_OFFLINE may be set. Without network, put "
                f"{self.needed} into a folder and name that: '{self.scheme}:<folder>'. The model "
                "'builtin' works offline."
            ) from error


def hub_commit(folder: Path) -> str | None:
    """Tell which commit of a repository a folder of the hub's cache is.

    Args:
        folder: The model's folder.

    Returns:
        The commit; None where the folder is no such snapshot.
    """
    pinned = folder.parent.name == "snapshots" and re.fullmatch(r"[0-9a-f]{40}", folder.name)
    return folder.name if pinned else None


def digest_files(digest: Any, files: Iterable[tuple[str, Path]]) -> str:
    """Identify weights and settings by their whole content.

    Args:
        digest: A hash object, to which it is added.
        files: What goes before each file, and the file.

    Returns:
        Hexadecimal digits.
    """
    for before, path in files:
        digest.update(before.encode())
        file_digest(path, lambda: digest)
    found: str = digest.hexdigest()
    return found


def cached_cards(describe: Callable[[str, Path], ModelCard | None]) -> list[ModelCard]:
    """Describe the models of a family that the hub's cache on this machine holds.

    Args:
        describe: From the name and the folder of a repository to the card of its model; None, or
            an :class:`EncoderError`, where it holds none, or half of one.

    Returns:
        The cards.
    """
    cards = []
    for name, folder in cached_snapshots():
        try:
            card = describe(name, folder)
        except (EncoderError, OSError):
            continue
        if card is not None:
            cards.append(card)
    return cards


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
    places = [config, inner(config, "vision_config"), inner(config, "text_config")]
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
    text = {**inner(config, "text_config_dict"), **inner(config, "text_config")}
    default = DEFAULT_CONTEXT.get(str(config.get("model_type")))
    stated = text.get("max_position_embeddings", default)
    return smallest_limit(stated, settings.get("model_max_length"))


def inner(config: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Find the part of a configuration that stands under a key.

    Args:
        config: The configuration.
        key: The key.

    Returns:
        The part; an empty one where none stands there.
    """
    part = config.get(key)
    return part if isinstance(part, Mapping) else {}


def smallest_limit(*stated: object) -> int | None:
    """Find the smallest of the lengths that a model's files state, if any does.

    Args:
        *stated: What stands there.

    Returns:
        The length in tokens.
    """
    limits = [v for v in stated if isinstance(v, int | float) and 1 <= v < UNLIMITED]
    return min(map(int, limits), default=None)
