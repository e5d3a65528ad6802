"""Options of the commands that evaluate, and the request that they make."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer

from crossalign.cli.application import say, value_of
from crossalign.cli.declarations import Options, argument, option
from crossalign.cli.options import EncoderOptions, LayoutOptions, SpeedOptions, byte_count

if TYPE_CHECKING:
    from crossalign.engine.cache.store import Store
    from crossalign.evaluation import Request


@dataclass(frozen=True)
class DatasetOptions(Options):
    """What to evaluate on."""

    dataset: str | None = argument(
        "DATASET", "A folder of labelled photos, or a data set's name with --root.", default=None
    )
    root: str | None = option("Folder of a named data set.", metavar="DIR")
    split: str | None = option("Which part; the usual one by default.")
    names: str | None = option(
        "Class names in place of the data set's own: a .txt, .csv or .json file, also one "
        "of descriptions, or a list of ImageNet's names: crossalign, clip or clip-d.",
        metavar="FILE",
    )


@dataclass(frozen=True)
class PartOptions(Options):
    """How much of it."""

    partial: bool = option("Take what is there of a published data set.", default=False)
    per_class: int | None = option("Most images of a class, the first ones.", min=1)


@dataclass(frozen=True)
class EncodersOptions(EncoderOptions, heading="Encoder"):
    """Which encoders, and how they run."""

    model: list[str] | None = option("Encoder; repeat for several.")  # type: ignore[assignment]


@dataclass(frozen=True)
class MethodsOptions(Options):
    """Which methods."""

    method: list[str] | None = option("Method; repeat for several; clip, cupl and wca by default.")


@dataclass(frozen=True)
class TextOptions(Options):
    """What classes are described with."""

    descriptions: str | None = option(".json {class: [sentence, ...]}.", metavar="FILE")
    descriptors: str | None = option(".json {class: [descriptor, ...]}.", metavar="FILE")
    no_bank: bool = option(
        "Templates, not the bank, where there are no descriptions.", default=False
    )


@dataclass(frozen=True, kw_only=True)
class NumberOptions(Options, heading="Method"):
    """How many crops, and how they are laid out."""

    crops: int | None = option("Crops that enter a score; the method's own by default.", min=1)
    layout: LayoutOptions


@dataclass(frozen=True)
class RunOptions(Options):
    """How chance enters, and how sharply crops and texts are weighed."""

    crop_scale: float | None = option("Crop scale S_c.")
    description_scale: float | None = option("Description scale S_d.")
    protocol: str | None = option(
        "fresh (new crops for each seed) or published (one pool, resampled; sides 0.1 to 0.9)."
    )
    runs: int | None = option("Seeds, or resamplings of the pool.", min=1)
    seed: int | None = option("Seed of the first run.", min=0)
    pool: int | None = option("Crops in the pool of the published protocol.", min=1)


@dataclass(frozen=True)
class CacheOptions(SpeedOptions, heading="Speed"):
    """Where embeddings are kept."""

    store: Path | None = option("Where embeddings are kept; OUT/store by default.", metavar="DIR")
    no_store: bool = option(
        "Keep no embeddings: slower, and no room on the disk taken.", default=False
    )

    @contextmanager
    def opened(self, out: Path) -> Iterator[Store | Path | Literal[False] | None]:
        """Give a store that has a limit now, a folder, or None for where evaluate puts it."""
        if self.no_store and (self.store is not None or self.store_size is not None):
            raise typer.BadParameter("--no-store goes with neither --store nor --store-size")
        if self.no_store or self.store_size is None:
            yield False if self.no_store else self.store
            return
        from crossalign.engine.cache.store import Store

        limit = byte_count("--store-size", self.store_size)
        with Store(self.store or out / "store", max_bytes=limit) as store:
            yield store


def request_fields(*groups: Options, **more: Any) -> dict[str, Any]:
    """Keep what was given on the command line, as fields of a request."""
    given = dict(more)
    for group in groups:
        for name, value in vars(group).items():
            given |= request_fields(value) if isinstance(value, Options) else {name: value}
    # A zero, such as a scale of 0, is something that was given.
    fields = {
        name: value for name, value in given.items() if value is not None and value is not False
    }
    for name, field in (("model", "models"), ("method", "methods")):
        if name in fields:
            value = fields.pop(name)
            fields[field] = (value,) if isinstance(value, str) else tuple(value)
    if "runtime" in fields:
        fields["engine"] = fields.pop("runtime")
    if "revision" in fields:
        pinned = fields.pop("revision")
        fields["models"] = tuple(f"{name}@{pinned}" for name in fields.get("models", ("builtin",)))
    if fields.pop("no_bank", False):
        fields["bank"] = False
    return fields


def request_of(fields: dict[str, Any]) -> Request:
    """Make the request, which needs a data set."""
    from crossalign.evaluation import Request

    if "dataset" not in fields:
        raise typer.BadParameter(
            "no data set: give a folder of class folders, or a name with --root DIR"
        )
    options = {"models": "model", "methods": "method"}
    names = [options.get(name, name) for name in fields if name not in ("dataset", "bank")]
    with value_of(*(f"--{name.replace('_', '-')}" for name in names)):
        return Request.from_json(fields)


def note(text: str) -> None:
    """Say what one should know before the work begins."""
    say(f"note: {text}")
