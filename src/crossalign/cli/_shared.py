"""What several commands do alike: read what was given, show progress, print."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from crossalign.cli._app import say
from crossalign.cli._options import byte_count

if TYPE_CHECKING:
    from crossalign.alignment.adaptive import Adaptive
    from crossalign.classifier import Classifier
    from crossalign.encoders import Encoder
    from crossalign.encoders.parity import Parity
    from crossalign.engine.cache.store import Store
    from crossalign.labeling.decisions import Decisions
    from crossalign.methods import Method
    from crossalign.predictions.prediction import Prediction
    from crossalign.texts.descriptions import DescriptionSet


def image_files(folder: Path | None) -> list[Path]:
    """All files below a folder that are named like photos."""
    if folder is None:
        return []
    from crossalign.images import has_image_ending

    if not folder.is_dir():
        raise typer.BadParameter(f"expected a folder with image files; there is none at {folder}")
    found = sorted(path for path in folder.rglob("*") if has_image_ending(path))
    if not found:
        raise typer.BadParameter(f"no photos in {folder}: expected a folder with image files")
    return found


def check_writable(report: Path) -> None:
    """Find out before the work is done, not after."""
    try:
        report.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=report.parent):
            pass
    except OSError as error:
        raise typer.BadParameter(f"cannot write to {report.parent}: {error.strerror}") from error
    if report.is_dir():
        raise typer.BadParameter(f"cannot write {report}: a folder of that name is in the way")


def check_apart(written: Path, what: str, read: Iterable[str | Path]) -> None:
    """Find out whether a file would take the place of one that is read, under whatever name."""
    for source in read:
        try:
            same = written.samefile(source)
        except (OSError, ValueError):  # either is not there: nothing to lose
            continue
        if same:
            raise typer.BadParameter(
                f"{written} is {what}, and would be overwritten. Choose another name"
            )


# Who takes an option of encoders, and how the option is spelt.
_TAKEN: dict[str, tuple[tuple[str, ...], str]] = {
    "dtype": (("onnx", "hf", "open_clip"), "--dtype"),
    "device": (("onnx", "hf", "open_clip"), "--device"),
    "engine": (("onnx",), "--runtime"),
}


def encoder_options(name: str, **options: str | None) -> dict[str, str]:
    """Those options that were given, if the encoder of that name takes them."""
    given = {key: value for key, value in options.items() if value is not None}
    scheme = name.partition(":")[0]
    for key in given:
        takers, spelt = _TAKEN.get(key, ((), key))
        if scheme not in takers and scheme in ("builtin", "onnx", "hf", "open_clip"):
            kinds = ", ".join(f"{taker}:" for taker in takers)
            raise typer.BadParameter(
                f"{spelt} goes with encoders of {kinds}; {name} has no such choice"
            )
    return {"runtime" if key == "engine" else key: value for key, value in given.items()}


def encoder_named(name: str, **options: str | None) -> Encoder:
    from crossalign.encoders import load_encoder

    given = encoder_options(name, **options)
    if not sys.stderr.isatty():  # bars of other libraries are for people who watch
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    return load_encoder(name, **given)


def classes_given(names: list[str] | None, file: Path | None) -> Any:
    from crossalign.texts.descriptions import DescriptionSet

    if names and file is not None:
        raise typer.BadParameter("give classes with -c or with --classes FILE, not with both")
    if file is not None:
        return DescriptionSet.load(file)
    if names:
        return DescriptionSet.from_classes(names)
    raise typer.BadParameter(
        "no classes: name them with -c CLASS (repeated), or give --classes FILE (.txt with one a "
        "line, or .json {class: [description, ...]})"
    )


def crops_given(text: str | None, risk: float | None, method: Method) -> int | Adaptive | None:
    """Read --crops and --risk; None leaves the number to the method."""
    if text == "auto":
        from crossalign.alignment.adaptive import Adaptive

        return Adaptive() if method.crops is None else Adaptive.of(method.crops.count, risk)
    if risk is not None:
        raise typer.BadParameter("--risk goes with --crops auto")
    if text is None:
        return None
    if not text.isdecimal():
        raise typer.BadParameter(f"expected --crops as a number, or auto; got {text!r}")
    return int(text)


def method_given(
    name: str, kind: str | None = None, side: tuple[float, float] | None = None
) -> Method:
    """Take a method by name, with another layout or range of its crops where that was asked for."""
    from crossalign.methods import get_method

    method = get_method(name)
    asked: tuple[tuple[str, Any], ...] = (("kind", kind), ("side", side))
    changes = {name: value for name, value in asked if value is not None}
    if not changes:
        return method
    if method.crops is None:
        raise typer.BadParameter(
            f"--{' and --'.join(changes)} go with crops; method {method.name} takes none"
        )
    return dataclasses.replace(method, crops=dataclasses.replace(method.crops, **changes))


def store_limit(folder: Path | None, size: str | None) -> int | None:
    """Bytes that a store may take; None for no limit."""
    if size is None:
        return None
    if folder is None:
        raise typer.BadParameter("--store-size goes with --store DIR")
    return byte_count(size)


def store_given(folder: Path | None, size: str | None) -> Store | None:
    """Open the store that was asked for, if any."""
    from crossalign.engine.cache.store import Store

    limit = store_limit(folder, size)
    return None if folder is None else Store(folder, max_bytes=limit)


def classifier_given(
    classes: DescriptionSet,
    encoder: Encoder,
    *,
    method: str,
    crops: str | None,
    risk: float | None,
    seed: int,
    bank: bool,
    store: Path | None,
    store_size: str | None,
    draft: bool,
    kind: str | None = None,
    side: tuple[float, float] | None = None,
    background: Sequence[str] = (),
) -> Classifier:
    """Make the classifier that the options common to several commands ask for."""
    from crossalign.classifier import Classifier

    chosen = method_given(method, kind, side)
    return Classifier(
        classes,
        background=background,
        encoder=encoder,
        method=chosen,
        crops=crops_given(crops, risk, chosen),
        seed=seed,
        bank=bank,
        store=store_given(store, store_size),
        draft=draft,
    )


def say_undescribed(classifier: Classifier) -> None:
    """Say which classes, given by name, have no descriptions and are put into templates."""
    names = classifier.undescribed
    if names:
        shown = ", ".join(map(repr, names[:5])) + (", ..." if len(names) > 5 else "")
        say(
            f"note: no descriptions of {shown} in the bank ({len(names)} of "
            f"{len(classifier.classes)} classes); templates stand in"
        )


def background_given(none_of_these: bool, file: Path | None) -> tuple[str, ...]:
    """Read the texts that stand for everything else; the package's own without a file."""
    from crossalign.labeling.decisions import BACKGROUND, load_background

    if file is None:
        return BACKGROUND
    if not none_of_these:
        raise typer.BadParameter("--background goes with --none-of-these")
    return load_background(file)


def say_left_out(decisions: Decisions, classifier: Classifier) -> None:
    """Say which background texts are none, because they name a class."""
    from crossalign.texts.quality import visible

    if decisions.none_of_these:
        for text in sorted(set(decisions.background) - set(classifier.background)):
            say(f"note: {visible(text)!r} is no background here: it names a class")


def predict(
    classifier: Classifier, images: Iterable[Any], *, keep_evidence: bool = False
) -> Iterator[Prediction]:
    """Predict with progress on standard error."""
    from crossalign.utils.progress import Progress

    with Progress("texts encoded") as progress:
        classifier.prepare(progress.update)
    images = list(images)
    with Progress("images labelled", len(images)) as progress:
        predictions = classifier.predict(images, keep_evidence=keep_evidence)
        for done, prediction in enumerate(predictions, start=1):
            progress.update(done)
            yield prediction


def print_line(values: dict[str, Any]) -> None:
    # Elsewhere than in UTF-8 a character that cannot be shown would spoil the line as JSON.
    readable = getattr(sys.stdout, "encoding", None) in ("utf-8", "UTF-8", "utf8")
    typer.echo(json.dumps(values, ensure_ascii=not readable))


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print aligned columns, in bold heads on a terminal."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in head:
        table.add_column(title, overflow="fold")
    for row in rows:
        # Text, not str: a name with square brackets is not markup.
        table.add_row(*(Text(cell) for cell in row))
    console = Console()
    if not console.is_terminal:
        console = Console(width=200)
    console.print(table)


def print_parity(found: Parity, classes: int) -> None:
    """Print a comparison of two encoders as a table."""
    rows = [
        (
            name,
            str(side.count),
            _cosine(side.min_cosine),
            _cosine(side.median_cosine),
            f"{side.speed_a:.1f}",
            f"{side.speed_b:.1f}",
            f"{side.speed_b / side.speed_a:.2f}",
        )
        for name, side in (("images", found.images), ("texts", found.texts))
    ]
    head = ("", "compared", "least cosine", "median", "A a second", "B a second", "B to A")
    print_table(head, rows)
    if found.dims[0] != found.dims[1]:
        typer.echo(
            f"\ndimensions differ: {found.dims[0]} and {found.dims[1]}, so there are no cosines"
        )
    share = 100.0 * found.changed / found.decisions
    typer.echo(
        f"\n{found.changed} of {found.decisions} decisions among {classes} classes changed "
        f"({share:.1f} %)"
    )
    for line in found.failed:
        say(line)
    if found.failed:
        say(f"{found.skipped} of {found.skipped + found.images.count} photos could not be read")


def _cosine(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.6f}"
