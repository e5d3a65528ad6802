"""The front door in the terminal.

Exit codes: 0 all done; 1 done, but some images failed (they are listed); 2 usage or input error,
nothing done; 130 interrupted.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

import crossalign

# In the order in which --help lists them.
# fmt: off
from crossalign.cli import (  # isort: skip # noqa: F401
    classify,
    explain,
    label,
    calibrate,
    evaluate,
    ablate,
    cost,
    store,
    models,
    export,
    parity,
    serve,
    demo,
    describe,
    lint,
    refine,
)
# fmt: on
from crossalign.cli._app import app


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
