"""``crossalign calibrate``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import typer

from crossalign.cli.application import MANY, OK, SOME_FAILED, command, say, value_of
from crossalign.cli.declarations import REQUIRED, argument, option
from crossalign.cli.inputs import check_apart, check_writable
from crossalign.cli.options import BackgroundOptions, ClassifierOptions, say_left_out
from crossalign.cli.output import predict

_NOISE = 0.005  # of the log-loss, which is no reason for a note


@dataclass(frozen=True)
class _CountedBackground(BackgroundOptions):
    none_of_these: bool = option(
        "Count photos that fit a background better than every class.", default=False
    )


@command("crossalign calibrate labelled -c 'tabby cat' -c pug --out calibration.json", under=MANY)
def calibrate(
    *,
    photos: Path = argument(
        "PHOTOS", "Folder of class folders, or a .csv table with path and label."
    ),
    out: Path = option("The calibration, as JSON.", default=REQUIRED, metavar="FILE"),
    options: ClassifierOptions,
    beside: _CountedBackground,
    precision: float | None = option(
        "Find the threshold from which on so many labels are right, of new photos too."
    ),
    plot: Path | None = option("Draw the reliability: .svg or .html.", metavar="FILE"),
) -> int:
    """Learn from labelled photos what scores are worth, for `crossalign label --calibration`."""
    import numpy as np

    from crossalign.alignment.calibration import calibrate as learn
    from crossalign.alignment.calibration import check_precision
    from crossalign.alignment.precision import CONFIDENCE
    from crossalign.errors import CalibrationError
    from crossalign.labeling.decisions import Decisions, scoring_settings
    from crossalign.labeling.labelled_photos import labelled_photos
    from crossalign.reports.reliability import check_plot, summary, write_reliability

    with value_of("--precision"):
        check_precision(precision)
    files = (options.classes.classes, beside.background)
    check_apart("--out", out, "read by this command", [photos, *filter(None, files)])
    check_writable("--out", out)
    if plot is not None:
        with value_of("--plot"):
            check_plot(plot)
        check_writable("--plot", plot)
    decisions = Decisions(none_of_these=beside.none_of_these, background=beside.texts())
    classes = options.classes.load()
    classifier = options.build(classes, decisions.background_for(classes))
    say_left_out(decisions, classifier)
    labelled = labelled_photos(photos, classifier.classes)
    scores, labels, failed, lost = [], [], 0, 0
    paths = [path for path, _ in labelled]
    for prediction, (_, label) in zip(predict(classifier, paths), labelled, strict=True):
        if prediction.scores is None:
            say(f"error: {prediction.error}")
            failed += 1
            continue
        scores.append(prediction.scores)
        labels.append(label)
        if prediction.background is not None:
            lost += bool(prediction.background.max() > prediction.scores.max())
    found = learn(
        np.array(scores).reshape(len(labels), -1),
        np.array(labels, np.int64),
        precision=precision,
        settings=scoring_settings(classifier),
    )
    found.save(out)
    typer.echo(summary(found))
    if found.after.log_loss > found.before.log_loss + _NOISE:
        say(
            "note: the confidences came out worse than those of the usual temperature; "
            f"{len(labels)} photos are too few to learn from, or unlike one another. Give more"
        )
    if beside.none_of_these:
        typer.echo(f"{lost} of {len(labels)} photos fit the background better than every class")
    for note in found.notes:
        say(f"note: {note}")
    missed = False
    if (threshold := found.threshold) is not None:
        typer.echo(
            f"from confidence {threshold.confidence:.6f} on, {threshold.precision:.3f} of these "
            f"labels are right, and at least {threshold.wanted:g} of those of new photos like "
            f"these (this holds in {CONFIDENCE:.0%} of all such cases); that is "
            f"{threshold.coverage:.3f} of the photos"
        )
    else:
        try:
            found.check_threshold()
        except CalibrationError as error:
            say(f"error: {error}")
            missed = True
    if plot is not None:
        write_reliability(plot, found)
    typer.echo(f"Calibration: {out}")
    return SOME_FAILED if failed or missed else OK
