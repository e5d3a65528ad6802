"""The front door in the terminal.

Exit codes: 0 all done; 1 done, but some images failed (they are listed); 2 usage or input error,
nothing done; 130 interrupted.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import crossalign
from crossalign.errors import CrossalignError

if TYPE_CHECKING:
    from crossalign.classifier import Classifier
    from crossalign.encoders import Encoder
    from crossalign.predictions import Prediction

OK, SOME_FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130

app = typer.Typer(
    name="crossalign",
    help="Label images with words alone: crops of the image meet descriptions of the classes.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # square brackets in help and in messages are meant as they stand
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and leave with its exit code.

    Args:
        arguments: Words of the command line; those of this process by default.

    Raises:
        SystemExit: Always, with the exit code.
    """
    for stream in (sys.stdout, sys.stderr):
        # A file name may hold what the terminal's encoding cannot show; never fail over that.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    app(arguments)


def _command(function: Callable[..., int]) -> Callable[..., None]:
    """Make a function that gives an exit code a command; users' mistakes end in one line."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            code = function(*args, **kwargs)
            if sys.stdout is not None:  # it is None where the shell closed it
                sys.stdout.flush()
        except KeyboardInterrupt:
            _say("interrupted")
            code = INTERRUPTED
        except CrossalignError as error:
            _say(f"error: {error}")
            code = USAGE
        except BrokenPipeError:  # the reader, such as `head`, has seen enough
            _abandon_output()
            code = INTERRUPTED
        except OSError as error:  # such as a full disk
            _say(f"error: {error}")
            _abandon_output()
            code = USAGE
        raise typer.Exit(code)

    return app.command(name=function.__name__)(run)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"crossalign {crossalign.__version__}")
        raise typer.Exit


@app.callback()
def _front_door(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    pass


@_command
def classify(
    images: Annotated[list[str], typer.Argument(metavar="IMAGE", help="Image files.")],
    class_: Annotated[
        list[str] | None,
        typer.Option("--class", "-c", metavar="CLASS", help="A class name; repeat for each class."),
    ] = None,
    classes: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Classes: .txt with one a line, or .json {class: [description, ...]}.",
        ),
    ] = None,
    model: Annotated[str, typer.Option(help="Encoder; see `crossalign models`.")] = "builtin",
    method: Annotated[str, typer.Option(help="clip, clip-e, clip-d, waffle, cupl or wca.")] = "wca",
    crops: Annotated[int, typer.Option(help="Crops an image, for methods that take any.")] = 60,
    seed: Annotated[int, typer.Option(help="Seed of random crops and random words.")] = 0,
    dtype: Annotated[
        str | None, typer.Option(help="Precision of the encoder, where it has several.")
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="Where the encoder runs, where it has a choice.")
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="Classes to show for each image.")] = 5,
    json_: Annotated[
        bool, typer.Option("--json", help="Print one line of JSON for each image.")
    ] = False,
) -> int:
    """Label images among the given classes."""
    from crossalign.classifier import Classifier

    chosen = _classes(class_, classes)
    encoder = _encoder(model, dtype=dtype, device=device)
    classifier = Classifier(chosen, encoder=encoder, method=method, crops=crops, seed=seed)
    show = _print_json if json_ else _print_ranked
    failed = 0
    for prediction in _predict(classifier, images):
        failed += prediction.error is not None
        show(prediction, top)
    if failed:
        _say(f"{failed} of {len(images)} images failed")
    return SOME_FAILED if failed else OK


@_command
def models(
    json_: Annotated[
        bool, typer.Option("--json", help="Print one line of JSON for each encoder.")
    ] = False,
) -> int:
    """List the encoders that are known by name and on this machine."""
    import dataclasses

    from crossalign.encoders import list_encoders

    cards = list_encoders()
    if json_:
        for card in cards:
            _print_line(dataclasses.asdict(card))
        return OK
    rows = [
        (
            card.name,
            str(card.dim),
            f"{card.image_size} px",
            f"{card.context_length} tokens",
            card.licence,
            f"{card.bytes / 1e6:.1f} MB",
        )
        for card in cards
    ]
    _print_table(("name", "dimension", "input", "context", "licence", "size"), rows)
    return OK


@_command
def parity(
    model_a: Annotated[str, typer.Argument(metavar="MODEL_A", help="The encoder to reproduce.")],
    model_b: Annotated[str, typer.Argument(metavar="MODEL_B", help="The one that should do so.")],
    photos: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Photos, in any subfolder; synthetic pictures otherwise."),
    ] = None,
    classes: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Classes to decide among; 48 everyday ones otherwise."),
    ] = None,
    gate: Annotated[float, typer.Option(help="Least cosine that passes.")] = 0.999,
    dtype_a: Annotated[str | None, typer.Option(help="Precision of MODEL_A.")] = None,
    dtype_b: Annotated[str | None, typer.Option(help="Precision of MODEL_B.")] = None,
) -> int:
    """Compare two encoders: cosines, changed decisions and speed. Exit code 1 below the gate."""
    from crossalign.demo import everyday_classes
    from crossalign.descriptions import DescriptionSet
    from crossalign.parity import compare

    chosen = everyday_classes() if classes is None else DescriptionSet.load(classes)
    a, b = _encoder(model_a, dtype=dtype_a), _encoder(model_b, dtype=dtype_b)
    found = compare(a, b, _files(photos), chosen)
    rows = [
        (
            name,
            str(side.count),
            f"{side.min_cosine:.6f}",
            f"{side.median_cosine:.6f}",
            f"{side.speed_a:.1f}",
            f"{side.speed_b:.1f}",
            f"{side.speed_b / side.speed_a:.2f}",
        )
        for name, side in (("images", found.images), ("texts", found.texts))
    ]
    head = ("", "compared", "least cosine", "median", "A a second", "B a second", "B to A")
    _print_table(head, rows)
    share = 100.0 * found.changed / found.decisions
    typer.echo(
        f"\n{found.changed} of {found.decisions} decisions among {len(chosen)} classes changed "
        f"({share:.1f} %)"
    )
    if found.skipped:
        _say(f"{found.skipped} files could not be read as images and were left out")
    verdict = "passes" if found.passes(gate) else "does NOT pass"
    typer.echo(f"{model_b} {verdict} the gate of {gate} against {model_a}")
    return OK if found.passes(gate) else SOME_FAILED


@_command
def demo(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where to write the report.")] = Path(
        "crossalign-demo"
    ),
) -> int:
    """Label real photos, offline, and write an HTML report."""
    import time

    from crossalign.classifier import Classifier
    from crossalign.demo import PHOTOS, everyday_classes, photo_folder
    from crossalign.report import Entry, write_report

    folder = photo_folder()
    report = out / "report.html"
    _check_writable(report)
    classifier = Classifier(everyday_classes())
    classifier.prepare()
    start = time.monotonic()
    photos = [folder / photo.file for photo in PHOTOS]
    predictions = list(_predict(classifier, photos, keep_evidence=True))
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
    _print_table(("photo", "shows", "label", "score", "runner-up", "strongest description"), rows)
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


def _files(folder: Path | None) -> list[Path]:
    """All files below a folder that are named like photos."""
    if folder is None:
        return []
    endings = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".avif"}
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in endings)
    if not found:
        raise typer.BadParameter(f"no photos in {folder}: expected a folder with image files")
    return found


def _check_writable(report: Path) -> None:
    """Find out before the work is done, not after."""
    try:
        report.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=report.parent):
            pass
    except OSError as error:
        raise typer.BadParameter(f"cannot write to {report.parent}: {error.strerror}") from error
    if report.is_dir():
        raise typer.BadParameter(f"cannot write {report}: a folder of that name is in the way")


def _encoder(name: str, **options: str | None) -> Encoder:
    from crossalign.encoders import load_encoder

    return load_encoder(name, **{key: value for key, value in options.items() if value is not None})


def _classes(names: list[str] | None, file: Path | None) -> Any:
    from crossalign.descriptions import DescriptionSet

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


def _predict(
    classifier: Classifier, images: Iterable[Any], *, keep_evidence: bool = False
) -> Iterator[Prediction]:
    """Predict with progress on standard error."""
    from crossalign._progress import Progress

    with Progress("texts encoded") as progress:
        classifier.prepare(progress.update)
    images = list(images)
    with Progress("images labelled", len(images)) as progress:
        predictions = classifier.predict(images, keep_evidence=keep_evidence)
        for done, prediction in enumerate(predictions, start=1):
            progress.update(done)
            yield prediction


def _print_json(prediction: Prediction, _top: int) -> None:
    _print_line(prediction.to_dict())


def _print_ranked(prediction: Prediction, top: int) -> None:
    if prediction.error is not None:
        _say(f"error: {prediction.error}")
        return
    typer.echo(prediction.image)
    for name, score in prediction.ranked(top):
        typer.echo(f"  {score:7.4f}  {name}")


def _print_line(values: dict[str, Any]) -> None:
    # Elsewhere than in UTF-8 a character that cannot be shown would spoil the line as JSON.
    readable = getattr(sys.stdout, "encoding", None) in ("utf-8", "UTF-8", "utf8")
    typer.echo(json.dumps(values, ensure_ascii=not readable))


def _print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
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


def _abandon_output() -> None:
    """Keep the interpreter from failing over what is left in the buffer when it ends."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(message: str) -> None:
    typer.echo(message, err=True)
