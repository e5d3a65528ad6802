"""The table of a job: it replaces what the job wrote itself, and no other file."""

from __future__ import annotations

import os
from pathlib import Path

from crossalign.errors import LabelingError
from crossalign.labeling.decisions import Decisions
from crossalign.labeling.job_file import JobFile
from crossalign.labeling.ownership import is_source
from crossalign.labeling.sources import Source
from crossalign.labeling.table_writers import write_table
from crossalign.utils.files import file_digest


def job_path(out: str | os.PathLike[str]) -> Path:
    """Name the job file of an output.

    Args:
        out: The table.

    Returns:
        The file beside it.
    """
    path = Path(out)
    return path.with_name(f"{path.name}.job")


def check_output(out: str | os.PathLike[str], source: Source) -> None:
    """Raise if a table would take the place of the source or of a file that no job wrote.

    Args:
        out: The table.
        source: The source.

    Raises:
        LabelingError: If it would.
    """
    table = Path(out)
    if is_source(table, source):
        raise LabelingError(
            f"{table} is what the images are read from, and would be overwritten. Choose another "
            "output."
        )
    if os.path.lexists(table) and not job_path(table).exists():
        raise LabelingError(
            f"{table} is there already, and was not written by a job: {job_path(table).name} is "
            "not beside it. It is left as it is. Choose another output, or move it aside."
        )


def write_rows(out: str | os.PathLike[str], job: JobFile, decisions: Decisions) -> None:
    """Write a job's table, unless one is there that it did not write.

    Args:
        out: The table.
        job: The job, which remembers the table as its own.
        decisions: How scores became decisions.

    Raises:
        LabelingError: If it cannot be written, or something else is in its place.
    """
    table = Path(out)
    check_ours(table, job)
    # Noted before it is in its place: a kill in between must not make it a stranger.
    note = lambda whole: job.note_file(file_digest(whole))  # noqa: E731
    write_table(table, job.rows(), several=decisions.multi_label, on_whole=note)


def check_ours(table: Path, job: JobFile) -> None:
    """Raise if a file is there that a job did not write, or that was changed afterwards.

    Args:
        table: The job's table.
        job: The job.

    Raises:
        LabelingError: If there is; it is left as it is.
    """
    if os.path.lexists(table) and not (table.is_file() and job.wrote_file(file_digest(table))):
        raise LabelingError(
            f"{table} is not as this job wrote it: it was changed since, or comes from elsewhere. "
            "It is left as it is, and so are the job's labels. Move it aside and run the same "
            "command again, or choose another output."
        )
