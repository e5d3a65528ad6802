"""``crossalign explain``."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crossalign.cli.application import OK, ONE, SOME_FAILED, command, say
from crossalign.cli.inputs import check_apart, check_writable
from crossalign.cli.options import ClassifierOptions
from crossalign.cli.output import predict
from crossalign.utils.text import counted

if TYPE_CHECKING:
    from crossalign.classifier import Classifier
    from crossalign.predictions import Prediction
    from crossalign.reports.explanation_page import Entry

_KINDS = (".html", ".png", ".svg")
_CLASSES_LISTED = 10


@command("crossalign explain photo.jpg -c cat -c dog --out why.html", under=ONE)
def explain(
    images: Annotated[list[str], typer.Argument(metavar="IMAGE", help="Image files.")],
    out: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            help="What to write: .html for any number of images, .svg or .png (extra `plots`) for "
            "one.",
        ),
    ],
    options: ClassifierOptions,
    label: Annotated[
        str | None,
        typer.Option(metavar="CLASS", help="The class to explain; the predicted one by default."),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="CLASS", help="The class to compare it with; the best other one by default."
        ),
    ] = None,
) -> int:
    """Show why: which regions and words decided, and how sure the label is."""
    from crossalign.reports.explanation_page import Entry

    kind = out.suffix.lower()
    if kind not in _KINDS:
        raise typer.BadParameter(f"cannot write {out}: expected a name ending in .html, .svg, .png")
    if kind != ".html" and len(images) > 1:
        raise typer.BadParameter(
            f"{out} can show one image; got {len(images)}. Give a name ending in .html for several"
        )
    write = _writer(kind, unfolded=len(images) == 1)
    classes = options.classes.load()
    for option, name in (("--label", label), ("--against", against)):
        _check_class(option, name, classes.classes)
    if label is not None and label == against:
        raise typer.BadParameter(
            f"--label and --against both name {label!r}: expected two different classes"
        )
    if against is not None and len(classes.classes) < 2:
        raise typer.BadParameter(f"--against {against!r}: there is no other class to compare")
    check_apart("--out", out, "one of the images", images)
    check_writable("--out", out)
    classifier = options.build(classes)
    options.classes.say_undescribed(classifier)

    def entries() -> Iterator[Entry]:
        predictions = predict(classifier, images, keep_evidence=True)
        for image, prediction in zip(images, predictions, strict=True):
            yield Entry(_reported(prediction), image, label=label, against=against)
            if label is None and against is not None and prediction.label == against:
                say(f"{image} is {against}, so it is compared with the next best class")

    failed = write(out, classifier, entries())
    if failed < len(images) or kind == ".html":
        typer.echo(f"{len(images) - failed} of {len(images)} images explained: {out}")
    if failed:
        say(f"{failed} of {len(images)} images failed")
    return SOME_FAILED if failed else OK


def _check_class(option: str, name: str | None, classes: Sequence[str]) -> None:
    if name is None or name in classes:
        return
    close = difflib.get_close_matches(name.casefold(), [each.casefold() for each in classes], n=1)
    meant = [each for each in classes if close and each.casefold() == close[0]]
    hint = f" Did you mean {meant[0]!r}?" if meant else ""
    some = ", ".join(map(repr, classes[:_CLASSES_LISTED]))
    more = ", ..." if len(classes) > _CLASSES_LISTED else ""
    raise typer.BadParameter(
        f"{option} {name!r} is not one of the {len(classes)} classes.{hint} They are {some}{more}"
    )


def _reported(prediction: Prediction) -> Prediction:
    if prediction.error is not None:
        say(f"error: {prediction.error}")
    return prediction


def _writer(kind: str, *, unfolded: bool) -> Callable[[Path, Classifier, Iterator[Entry]], int]:
    """Find who writes files of a kind; they give back how many images failed."""
    if kind == ".png":
        from crossalign.reports import figures as plots

        plots.require_matplotlib()
    page = functools.partial(_write_page, unfolded=unfolded)
    return page if kind == ".html" else _write_picture


def _write_page(
    out: Path, classifier: Classifier, entries: Iterator[Entry], *, unfolded: bool
) -> int:
    from crossalign.reports.explanation_page import write_report

    taken: list[int] = []

    def counted() -> Iterator[Entry]:
        for entry in entries:
            if entry.prediction.crops is not None:
                taken.append(entry.prediction.crops)
            yield entry

    texts = sum(map(len, classifier.texts))
    return write_report(
        out,
        counted(),
        title="Why these labels",
        introduction=lambda: (
            f"{len(classifier.classes)} classes with {texts} descriptions. Method "
            f"{classifier.method.name}, {_looks(classifier, taken)}, encoder "
            f"{classifier.encoder.card.name} {classifier.encoder.card.revision}."
        ),
        details=unfolded,
    )


def _looks(classifier: Classifier, taken: Sequence[int]) -> str:
    """Say what was looked at of each photo: all crops there could be, or how many of them."""
    spec, rule = classifier.method.crops, classifier.adaptive
    if spec is None:
        return "the whole image"
    most = spec.count if rule is None else rule.maximum
    crops = f"{counted(most, f'{spec.kind} crop')} a photo"
    if taken and min(taken) == most:
        return crops
    span = sorted({min(taken), max(taken)}) if taken else [0]
    return f"up to {crops}, {' to '.join(map(str, span))} taken"


def _write_picture(out: Path, _classifier: Classifier, entries: Iterator[Entry]) -> int:
    from crossalign.errors import ImageError
    from crossalign.images.load import load_image
    from crossalign.reports import card_svg
    from crossalign.reports import figures as plots
    from crossalign.reports.summary import summarise
    from crossalign.utils.files import whole_file

    (entry,) = entries
    if entry.prediction.error is not None:
        return 1
    try:
        found = summarise(entry.prediction, entry.label, entry.against)
        image = load_image(entry.source)
    except ImageError as error:  # it was there a moment ago
        say(f"error: {error}")
        return 1
    out.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(out) as unfinished:
        if out.suffix.lower() == ".svg":
            unfinished.write_text(card_svg(image, found), encoding="utf-8")
        else:
            plots.save_card(unfinished, image, found)
    return 0
