"""A labelling job: a source in, a table out, and nothing lost on the way."""

from __future__ import annotations

import itertools
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from crossalign.errors import ImageError, LabelingError
from crossalign.labeling.decisions import Decision, Decisions, scoring_settings, short_digest
from crossalign.labeling.image_scores import ImageScores
from crossalign.labeling.job_file import FAILED, TODO, JobFile, Listing
from crossalign.labeling.output_table import check_ours, check_output, job_path, write_rows
from crossalign.labeling.sources import Entry, Source
from crossalign.utils.text import count_images

if TYPE_CHECKING:
    from crossalign.classifier import Classifier

# What a killed job has to do again: about a second's work.
_SECONDS_PER_CHANGE = 1.0
_MOST_PER_CHANGE = 512

VANISHED = "it was there when the source was listed and is no more; check the source"


@dataclass(frozen=True, slots=True)
class Work:
    """What an engine is given.

    Args:
        classifier: Made with the background of ``decisions``.
        decisions: How scores become decisions.
        source: The source.
        job: Says what is still to be labelled.
        repeated: Whether some entries of the source occur more than once.
    """

    classifier: Classifier
    decisions: Decisions
    source: Source
    job: JobFile
    repeated: bool = False

    def save(self, results: Sequence[ImageScores]) -> None:
        """Decide about images and write them down, all of them or none.

        Args:
            results: Any number of them.
        """
        self.job.save(results, self.decide)

    def decide(self, scored: ImageScores) -> Decision:
        """Decide about one image.

        Args:
            scored: What it scored.

        Returns:
            Its row, and how sure each decision is.
        """
        return self.decisions.decide(scored, self.classifier.classes)

    def entries(self) -> Iterator[Entry]:
        """Go through what is still to be labelled.

        Yields:
            Each entry once; it is to be loaded before the next one is asked for.
        """
        seen: set[str] = set()
        for entry in self.source.entries():
            if entry.id in seen or not self.job.is_todo(entry.id):
                continue
            if self.repeated:
                seen.add(entry.id)
            yield entry


Engine: TypeAlias = Callable[[Work], Iterator[ImageScores]]
"""Scores what is still to be labelled: each image once, in any order."""


def local_engine(work: Work) -> Iterator[ImageScores]:
    """Label in this process.

    Args:
        work: What to label.

    Yields:
        Each image once.
    """
    yield from score_entries(work.entries(), work.classifier)


def score_entries(entries: Iterable[Entry], classifier: Classifier) -> Iterator[ImageScores]:
    """Score entries of a source, with memory that does not grow.

    Args:
        entries: The entries.
        classifier: Made with the background of the decisions to come.

    Yields:
        Each entry once, in order.
    """
    waiting: deque[tuple[Entry, str | None]] = deque()

    def loaded() -> Iterator[Any]:
        image: Any
        error: str | None
        for entry in entries:
            try:
                image, error = entry.load(), None
            except ImageError as reason:
                image, error = b"", str(reason)  # nothing, which fails at once and in its turn
            waiting.append((entry, error))
            yield image

    for prediction in classifier.predict(loaded(), keep_evidence=True):
        entry, error = waiting.popleft()
        names = (entry.id, entry.path)
        yield ImageScores(*names, error=error) if error else ImageScores.of(*names, prediction)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended.

    Args:
        images: Images in the table.
        labelled: Of these, labelled by this run.
        failed: Of all, without a label.
        stopped: Whether it was asked to stop before the end; then there is no table yet.
        left: Images still to be labelled.
    """

    images: int = 0
    labelled: int = 0
    failed: int = 0
    stopped: bool = False
    left: int = 0


def run_job(
    source: Source,
    out: str | os.PathLike[str],
    classifier: Classifier,
    decisions: Decisions | None = None,
    *,
    restart: bool = False,
    retry_errors: bool = False,
    engine: Engine = local_engine,
    on_note: Callable[[str], None] | None = None,
    on_progress: Callable[[int, int, int], None] | None = None,
) -> Outcome:
    """Label all of a source, from where an earlier run of the same job stopped.

    The state is in ``OUT.job``. The table is written when every image is done. SIGINT (Ctrl-C) and
    SIGTERM end the job after the image in work, with everything finished on disk.

    Args:
        source: The images.
        out: The table: .csv, .jsonl or .parquet.
        classifier: Made with the background of ``decisions``, see
            :meth:`Decisions.background_for`.
        decisions: How scores become decisions; the best class, whatever its score, by default.
        restart: Begin anew, whatever was done before.
        retry_errors: Try images again that failed.
        engine: Who labels.
        on_note: Called with what the user should know.
        on_progress: Called with the number of images done, their total, and how many of them were
            done before.

    Returns:
        How it ended.

    Raises:
        LabelingError: If the job cannot start or go on. What is finished is kept.
    """
    decisions, note = decisions or Decisions(), on_note or (lambda _: None)
    table = Path(out)
    check_output(table, source)
    decisions.check(classifier)
    with _stop_signals() as stop, _job_file(table, restart) as job:
        check_ours(table, job)
        work = Work(classifier, decisions, source, job)
        _settle(work, restart, stop, note)
        listing = None if stop.is_set() else _list(source, job, stop, note)
        if listing is None:
            return Outcome(job.count(), stopped=True, left=job.count(TODO))
        if retry_errors and (again := job.retry_errors()):
            note(f"{count_images(again)} that failed before: tried again")
        total = job.count()
        before = total - job.count(TODO)
        if before:
            note(f"{before:,} of {count_images(total)} done before")
        work, labelled = replace(work, repeated=listing.repeated > 0), 0
        if before < total:
            show = on_progress or (lambda *_: None)
            shown = lambda done: show(before + done, total, before)  # noqa: E731
            labelled = _label(engine(work), work, stop, shown)
        stopped = stop.is_set()
        if not stopped:
            labelled += _give_up_on_vanished(work)
            write_rows(table, job, decisions)
        return Outcome(total, labelled, job.count(FAILED), stopped, job.count(TODO))


@contextmanager
def _job_file(table: Path, anew: bool) -> Iterator[JobFile]:
    """Open the job file; one that was made for nothing is taken away again."""
    path = job_path(table)
    before = path.exists()
    empty = False
    try:
        with JobFile(path, anew=anew) as job:
            try:
                yield job
            finally:
                empty = not before and job.count() == 0
    finally:
        if empty:
            path.unlink(missing_ok=True)


def _label(
    results: Iterator[ImageScores],
    work: Work,
    stop: threading.Event,
    on_progress: Callable[[int], None],
) -> int:
    """Take results as they come and write them down a second's work at a time."""
    done, unwritten, since = 0, [], time.monotonic()
    try:
        for result in results:
            unwritten.append(result)
            done += 1
            on_progress(done)
            late = time.monotonic() - since >= _SECONDS_PER_CHANGE
            if late or len(unwritten) >= _MOST_PER_CHANGE:
                work.save(unwritten)
                unwritten, since = [], time.monotonic()
            if stop.is_set():
                break
    finally:
        # Whatever ended the work, what was finished is kept.
        work.save(unwritten)
        if isinstance(results, Generator):
            results.close()
    return done


def _list(
    source: Source, job: JobFile, stop: threading.Event, on_note: Callable[[str], None]
) -> Listing | None:
    """Take stock of the source; None if the job was asked to stop meanwhile."""

    def entries() -> Iterator[tuple[str, str, str]]:
        for entry in source.entries():
            if stop.is_set():
                raise _StoppedListing
            yield entry.id, entry.path, entry.stamp

    try:
        listing = job.scan(entries())
    except _StoppedListing:
        return None
    if not listing.images and not job.any_moved():
        raise _no_images(source)
    if listing.repeated:
        on_note(f"{listing.repeated} entries of {source.name} occur again; each image counts once")
    if listing.gone:
        on_note(
            f"{count_images(listing.gone)} of earlier runs no longer in {source.name}; "
            "their rows stay"
        )
    if listing.changed:
        on_note(f"{count_images(listing.changed)} changed since: labelled again")
    return listing


def _no_images(source: Source) -> LabelingError:
    return LabelingError(
        f"there are no images in {source.name}: expected files that are named like photos "
        "(.jpg, .png, .webp, ...) in a folder or an archive, or lines in a list or a table."
    )


class _StoppedListing(Exception):  # noqa: N818 - it is no error
    pass


def _settle(
    work: Work, restart: bool, stop: threading.Event, on_note: Callable[[str], None]
) -> None:
    """Begin a new job, or see that an old one goes on with what it was begun with.

    Only how scores become decisions may change on the way: then all decisions are made anew.
    """
    job, decisions = work.job, work.decisions
    scoring = {
        **scoring_settings(work.classifier),
        "none of these": short_digest(decisions.background) if decisions.none_of_these else "no",
    }
    deciding = decisions.settings()
    held = job.settings()
    if restart and next(work.source.entries(), None) is None:
        raise _no_images(work.source)  # rows are not thrown away for nothing
    if restart or not held or not job.count():
        if held != {**scoring, **deciding} or restart:
            job.begin({**scoring, **deciding})
        return
    done = job.count() - job.count(TODO)
    changed = {name: value for name, value in scoring.items() if value != held.get(name)}
    if changed:
        raise LabelingError(
            "this output was begun with other settings; going on would mix them:"
            + "".join(f"\n  {line}" for line in _changes(held, changed))
            + f"\nAll {done} finished rows would have to be made again. Add --restart to do so "
            "(with a store nothing is encoded twice), give the settings of before, or choose "
            "another output."
        )
    changed = {name: value for name, value in deciding.items() if value != held.get(name)}
    if changed:
        number = job.decide_again(changed, work.decide, stop.is_set)
        lines = ", ".join(_changes(held, changed))
        on_note(f"{count_images(number)} decided about anew from the scores ({lines})")


def _changes(held: dict[str, str], wanted: dict[str, str]) -> list[str]:
    return [f"{name}: {held.get(name, 'unknown')} -> {value}" for name, value in wanted.items()]


def _give_up_on_vanished(work: Work) -> int:
    """Make rows of images that the source no longer gave when their turn came."""
    given_up = 0
    while missing := list(itertools.islice(work.job.todo(), _MOST_PER_CHANGE)):
        work.save([ImageScores(name, path, error=f"{path}: {VANISHED}") for name, path in missing])
        given_up += len(missing)
    return given_up


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """Turn the first Ctrl-C or SIGTERM into a wish; a second one ends at once, as ever."""
    stop = threading.Event()
    with restored_signals() as before:

        def note(_number: int, _frame: object) -> None:
            stop.set()
            for number, handler in before.items():
                signal.signal(number, handler)

        for number in before:
            signal.signal(number, note)
        yield stop


@contextmanager
def restored_signals() -> Iterator[dict[signal.Signals, Any]]:
    """Have Ctrl-C and SIGTERM do afterwards what they do now, whatever the block sets.

    Yields:
        What handles them now; empty in a thread that cannot set that.
    """
    before: dict[signal.Signals, Any] = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield before
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
