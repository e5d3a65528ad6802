"""Options that several commands have in common, each declared once, and what is made of them."""

from __future__ import annotations

import dataclasses
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from crossalign.cli.application import say, value_of
from crossalign.cli.declarations import Options, option
from crossalign.utils.text import quoted

if TYPE_CHECKING:
    from crossalign.alignment.adaptive import Adaptive
    from crossalign.classifier import Classifier
    from crossalign.encoders import Encoder
    from crossalign.engine.cache.store import Store
    from crossalign.labeling.decisions import Decisions
    from crossalign.methods import Method
    from crossalign.texts.descriptions import DescriptionSet


@dataclass(frozen=True)
class ClassOptions(Options, heading="Classes"):
    """Which classes there are."""

    class_: list[str] | None = option(
        "A class name; repeat for each class.", "--class", "-c", metavar="CLASS"
    )
    classes: Path | None = option(
        "Classes: .txt with one a line, or .json {class: [description, ...]}.", metavar="FILE"
    )
    bank: bool = option(
        "Describe classes given by name alone with the bank, where it knows them.", default=True
    )

    def load(self) -> DescriptionSet:
        """Read the classes."""
        from crossalign.texts.descriptions import DescriptionSet

        if self.class_ and self.classes is not None:
            raise typer.BadParameter("give classes with -c or with --classes FILE, not with both")
        if self.classes is not None:
            with value_of("--classes"):
                return DescriptionSet.load(self.classes)
        if self.class_:
            with value_of("--class"):
                return DescriptionSet.from_classes(self.class_)
        raise typer.BadParameter(
            "no classes: name them with -c CLASS (repeated), or give --classes FILE (.txt with one "
            "a line, or .json {class: [description, ...]})"
        )

    def say_undescribed(self, classifier: Classifier) -> None:
        """Say which classes, given by name, have no descriptions and are put into templates."""
        names = classifier.undescribed
        if self.bank and names:
            say(
                f"note: no descriptions of {quoted(names, 5)} in the bank ({len(names)} of "
                f"{len(classifier.classes)} classes); templates stand in"
            )


@dataclass(frozen=True)
class EncoderOptions(Options, heading="Encoder"):
    """Which encoder, and how it runs."""

    model: str = option("Encoder; see `crossalign models`.", default="builtin")
    dtype: str | None = option("Precision of the encoder, where it has several.")
    device: str | None = option("Where the encoder runs, where it has a choice.")
    runtime: str | None = option(
        "What runs onnx: encoders, onnxruntime (default) or openvino.", "--runtime", "--engine"
    )
    revision: str | None = option("Branch, tag or commit of the encoder's hub repository.")

    def settings(self) -> dict[str, str]:
        """Give what the encoder is loaded with, if it takes that."""
        from crossalign.encoders.registry import check_options

        with value_of("--model"):
            check_options(self.model)
        settings = self.given("model")
        for name, value in settings.items():
            with value_of(f"--{name}"):
                check_options(self.model, **{name: value})
        return settings

    def load(self) -> Encoder:
        """Load the encoder."""
        from crossalign.encoders import load_encoder

        if not sys.stderr.isatty():  # bars of other libraries are for people who watch
            os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        settings = self.settings()
        with value_of(*(f"--{name}" for name in settings), "--model"):
            return load_encoder(self.model, **settings)


@dataclass(frozen=True)
class LayoutOptions(Options, heading="Method"):
    """How crops are laid out."""

    kind: str | None = option(
        "How crops are laid out: random, even, refined, nested or grid.  "
        "[default: the method's own]"
    )
    side: tuple[float, float] | None = option(
        "Range of a crop's side, as shares of the image's short side.  "
        "[default: the method's own, 0.5 0.9 for wca]",
        metavar="LOW HIGH",
    )


@dataclass(frozen=True, kw_only=True)
class CropOptions(Options, heading="Method"):
    """How many crops."""

    crops: str | None = option(
        "Crops an image, for methods that take any; auto takes as many as its label "
        "needs.  [default: the method's own, 60 for wca]",
        metavar="N|auto",
    )
    risk: float | None = option(
        "With --crops auto: accepted probability that all crops would say otherwise.  "
        "[default: 0.01]"
    )
    layout: LayoutOptions

    def number(self) -> int | str | None:
        """Read --crops; None leaves the number to the method."""
        if self.crops is None or self.crops == "auto":
            return self.crops
        if not self.crops.isdecimal():
            raise typer.BadParameter(
                f"expected a number, or auto; got {self.crops!r}", param_hint="--crops"
            )
        from crossalign.images.crops import CropSpec

        with value_of("--crops"):
            return CropSpec(count=int(self.crops)).count


@dataclass(frozen=True, kw_only=True)
class MethodOptions(Options, heading="Method"):
    """Which method, with which crops."""

    method: str = option("clip, clip-e, clip-d, waffle, cupl, wca, bifta or lgca.", default="wca")
    crops: CropOptions
    seed: int = option("Seed of random crops and random words.", default=0)

    def load(self) -> Method:
        """Take the method, with another layout or range of its crops where that was asked for."""
        from crossalign.methods import get_method

        with value_of("--method"):
            method = get_method(self.method)
        changes = self.crops.layout.given()
        if changes and method.crops is None:
            raise typer.BadParameter(
                f"--{' and --'.join(changes)} go with crops; method {method.name} takes none"
            )
        crops = method.crops
        for key, value in changes.items():
            with value_of(f"--{key}"):
                crops = dataclasses.replace(crops, **{key: value})  # type: ignore[type-var]
        return dataclasses.replace(method, crops=crops)

    def number(self, method: Method) -> int | Adaptive | None:
        """Read --crops and --risk; None leaves the number to the method."""
        from crossalign.alignment.adaptive import Adaptive

        number = self.crops.number()
        if isinstance(number, str):
            most = Adaptive().maximum if method.crops is None else method.crops.count
            with value_of("--risk"):
                return Adaptive.of(most, self.crops.risk)
        if self.crops.risk is not None:
            raise typer.BadParameter("--risk goes with --crops auto")
        return number


@dataclass(frozen=True)
class SpeedOptions(Options, heading="Speed"):
    """What makes it faster."""

    store: Path | None = option(
        "Keep embeddings there, and never encode anything twice.", metavar="DIR"
    )
    store_size: str | None = option(
        "Limit of the store, such as 500M or 20G; 0 for none.", metavar="SIZE"
    )

    def limit(self) -> int | None:
        """Give the bytes that the store may take; None for no limit."""
        if self.store_size is not None and self.store is None:
            raise typer.BadParameter("--store-size goes with --store DIR")
        return byte_count("--store-size", self.store_size)

    def open_store(self) -> Store | None:
        """Open the store, if any."""
        from crossalign.engine.cache.store import Store

        limit = self.limit()
        if self.store is None:
            return None
        with value_of("--store"):
            return Store(self.store, max_bytes=limit)


@dataclass(frozen=True)
class DraftOptions(SpeedOptions, heading="Speed"):
    """What makes it faster where images are read."""

    draft: bool = option(
        "Decode large JPEGs at a part of their size: faster, not bit-equal.", default=False
    )


@dataclass(frozen=True)
class ClassifierOptions(Options):
    """All that makes a classifier."""

    classes: ClassOptions
    encoder: EncoderOptions
    method: MethodOptions
    speed: DraftOptions

    def build(self, classes: DescriptionSet, background: Sequence[str] = ()) -> Classifier:
        """Make the classifier of these classes."""
        from crossalign.classifier import Classifier

        method = self.method.load()
        crops = self.method.number(method)
        encoder = self.encoder.load()
        with value_of("--seed", "--crops", "--method"):
            return Classifier(
                classes,
                background=background,
                encoder=encoder,
                method=method,
                crops=crops,
                seed=self.method.seed,
                bank=self.classes.bank,
                store=self.speed.open_store(),
                draft=self.speed.draft,
            )


@dataclass(frozen=True)
class BackgroundOptions(Options, heading="Decisions"):
    """What there is beside the classes."""

    none_of_these: bool = option("Let images fit no class.", default=False)
    background: Path | None = option(
        "With --none-of-these: texts for everything else, one a line.", metavar="FILE"
    )

    def texts(self) -> tuple[str, ...]:
        """Read the texts that stand for everything else; the package's own without a file."""
        from crossalign.labeling.decisions import BACKGROUND, load_background

        if self.background is None:
            return BACKGROUND
        if not self.none_of_these:
            raise typer.BadParameter("--background goes with --none-of-these")
        with value_of("--background"):
            return load_background(self.background)


@dataclass(frozen=True)
class JsonOptions(Options):
    """For whom to print."""

    json: bool = option("Print JSON lines, and nothing else on standard output.", default=False)


def say_left_out(decisions: Decisions, classifier: Classifier) -> None:
    """Say which background texts are none, because they name a class."""
    from crossalign.texts.quality import visible

    if decisions.none_of_these:
        for text in sorted(set(decisions.background) - set(classifier.background)):
            say(f"note: {visible(text)!r} is no background here: it names a class")


_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def byte_count(option: str, text: str | None) -> int | None:
    """Read a size such as 500M or 20G.

    Args:
        option: The option that gave it.
        text: A number, and perhaps one of K, M, G and T, which are powers of 1000; None for none.

    Returns:
        Bytes.

    Raises:
        BadParameter: If it is something else.
    """
    if text is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)B?", text.strip().upper())
    if match is None:
        raise typer.BadParameter(
            f"expected a size such as 500M or 20G; got {text!r}", param_hint=option
        )
    return int(float(match[1]) * _UNITS[match[2]])
