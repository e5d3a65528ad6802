"""``crossalign calibrate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crossalign.cli._app import OK, SOME_FAILED, command, say
from crossalign.cli._options import (
    Background,
    Bank,
    ClassesFile,
    ClassNames,
    Crops,
    Device,
    Draft,
    Dtype,
    Engine,
    Kind,
    MethodName,
    ModelName,
    Risk,
    Seed,
    Side,
    StoreFolder,
    StoreSize,
)
from crossalign.cli._shared import (
    background_given,
    check_apart,
    check_writable,
    classes_given,
    classifier_given,
    encoder_named,
    predict,
    say_left_out,
)

_NOISE = 0.005  # of the log-loss, which is no reason for a note


@command
def calibrate(
    photos: Annotated[
        Path,
        typer.Argument(
            metavar="PHOTOS", help="Folder of class folders, or a .csv table with path and label."
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The calibration, as JSON.")],
    class_: ClassNames = None,
    classes: ClassesFile = None,
    model: ModelName = "builtin",
    method: MethodName = "wca",
    crops: Crops = None,
    risk: Risk = None,
    kind: Kind = None,
    side: Side = None,
    seed: Seed = 0,
    bank: Bank = True,
    dtype: Dtype = None,
    device: Device = None,
    engine: Engine = None,
    store: StoreFolder = None,
    store_size: StoreSize = None,
    draft: Draft = False,
    precision: Annotated[
        float | None,
        typer.Option(help="Find the threshold from which on so many labels are right."),
    ] = None,
    none_of_these: Annotated[
        bool,
        typer.Option(
            "--none-of-these", help="Count photos that fit a background better than every class."
        ),
    ] = False,
    background: Background = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw the reliability: .svg or .html.")
    ] = None,
) -> int:
    """Learn from labelled photos what scores are worth, for `crossalign label --calibration`."""
    import numpy as np

    from crossalign.alignment.calibration import calibrate as learn
    from crossalign.alignment.calibration import check_precision
    from crossalign.labeling.decisions import Decisions, scoring_settings
    from crossalign.labeling.labelled_photos import labelled_photos
    from crossalign.reports.reliability import check_plot, summary, write_reliability

    check_precision(precision)
    read = [photos, *(file for file in (classes, background) if file is not None)]
    check_apart(out, "read by this command", read)
    check_writable(out)
    if plot is not None:
        check_plot(plot)
        check_writable(plot)
    decisions = Decisions(
        none_of_these=none_of_these, background=background_given(none_of_these, background)
    )
    wanted = classes_given(class_, classes)
    classifier = classifier_given(
        wanted,
        encoder_named(model, dtype=dtype, device=device, engine=engine),
        method=method,
        crops=crops,
        risk=risk,
        kind=kind,
        side=side,
        seed=seed,
        bank=bank,
        store=store,
        store_size=store_size,
        draft=draft,
        background=decisions.background_for(wanted),
    )
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
    if none_of_these:
        typer.echo(f"{lost} of {len(labels)} photos fit the background better than every class")
    if precision is not None:
        threshold = found.threshold
        typer.echo(
            f"no threshold reaches a precision of {precision:g}: not even the surest labels do"
            if threshold is None
            else f"from confidence {threshold.confidence:.3f} on, {threshold.precision:.3f} of the "
            f"labels are right (95 % interval {threshold.low:.3f} to {threshold.high:.3f}); that "
            f"is {threshold.coverage:.3f} of the photos"
        )
    if plot is not None:
        write_reliability(plot, found)
    typer.echo(f"Calibration: {out}")
    return SOME_FAILED if failed else OK
