"""``crossalign classify``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from crossalign.cli.application import OK, ONE, SOME_FAILED, command, say
from crossalign.cli.declarations import argument, option
from crossalign.cli.options import ClassifierOptions, JsonOptions
from crossalign.cli.output import predict, print_line

if TYPE_CHECKING:
    from crossalign.predictions import Prediction


@command("crossalign classify photo.jpg -c cat -c dog", under=ONE)
def classify(
    *,
    images: list[str] = argument("IMAGE", "Image files."),
    options: ClassifierOptions,
    output: JsonOptions,
    top: int = option("Classes to show for each image; JSON has all.", default=5, min=1),
) -> int:
    """Label images among the given classes.

    Classes given by name alone are described by the bank of descriptions that ships with the
    package, where it knows them (methods cupl and wca), and by templates otherwise.
    """
    classifier = options.build(options.classes.load())
    options.classes.say_undescribed(classifier)
    show = _print_json if output.json else _print_ranked
    failed = taken = 0
    for prediction in predict(classifier, images):
        failed += prediction.error is not None
        taken += prediction.crops or 0
        show(prediction, top)
    if classifier.adaptive is not None and classifier.method.crops and failed < len(images):
        say(f"{taken / (len(images) - failed):.1f} crops an image")
    if failed:
        say(f"{failed} of {len(images)} images failed")
    return SOME_FAILED if failed else OK


def _print_json(prediction: Prediction, _top: int) -> None:
    print_line(prediction.to_dict())


def _print_ranked(prediction: Prediction, top: int) -> None:
    if prediction.error is not None:
        say(f"error: {prediction.error}")
        return
    typer.echo(prediction.image)
    for name, score in prediction.ranked(top):
        typer.echo(f"  {score:7.4f}  {name}")
