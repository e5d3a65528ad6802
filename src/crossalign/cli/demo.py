"""``crossalign demo``."""

from __future__ import annotations

from pathlib import Path

import typer

from crossalign.cli.application import OK, ONE, SOME_FAILED, command
from crossalign.cli.declarations import option
from crossalign.cli.inputs import check_writable
from crossalign.cli.output import predict, print_table


@command("crossalign demo --out demo", under=ONE)
def demo(
    out: Path = option(
        "Where to write the report.", default=Path("crossalign-demo"), metavar="DIR"
    ),
) -> int:
    """Label real photos, offline, and write an HTML report."""
    import time

    from crossalign.classifier import Classifier
    from crossalign.images.examples import PHOTOS, photo_folder
    from crossalign.reports.explanation_page import Entry, write_report
    from crossalign.texts.everyday import everyday_classes

    folder = photo_folder()
    report = out / "report.html"
    check_writable("--out", report)
    classifier = Classifier(everyday_classes())
    classifier.prepare()
    start = time.monotonic()
    photos = [folder / photo.file for photo in PHOTOS]
    predictions = list(predict(classifier, photos, keep_evidence=True))
    seconds = time.monotonic() - start

    rows, entries, right = [], [], 0
    for photo, path, prediction in zip(PHOTOS, photos, predictions, strict=True):
        entries.append(Entry(prediction, path, note=f"The photo shows: {photo.shows}"))
        if prediction.label is None:
            rows.append((photo.file, photo.shows, "-", "", "", prediction.error or ""))
            continue
        right += prediction.label == photo.shows
        (_, score), (runner_up, _) = prediction.ranked(2)
        words, _ = prediction.explain().top_descriptions(1)[0]
        rows.append((photo.file, photo.shows, prediction.label, f"{score:.3f}", runner_up, words))
    print_table(("photo", "shows", "label", "score", "runner-up", "strongest description"), rows)
    spec = classifier.method.crops
    summary = (
        f"{right} of {len(rows)} photos right, among {len(classifier.classes)} classes with "
        f"{sum(map(len, classifier.texts))} descriptions"
    )
    typer.echo(
        f"\n{summary}; {spec.count if spec else 0} crops a photo, "
        f"{seconds / len(rows):.2f} s a photo."
    )
    write_report(
        report,
        entries,
        title="Photos labelled with words alone",
        introduction=f"{summary}. Method {classifier.method.name}, {spec.count if spec else 0} "
        f"crops a photo, encoder {classifier.encoder.card.name} "
        f"{classifier.encoder.card.revision}.",
    )
    typer.echo(f"Report: {report}")
    return SOME_FAILED if any(p.error is not None for p in predictions) else OK
