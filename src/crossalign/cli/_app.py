"""The application itself: exit codes, and what a command does with an error."""

from __future__ import annotations

import functools
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperCommand

from crossalign.errors import CrossalignError

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


class _Command(TyperCommand):
    """A command whose help has its options in the sections that they name."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the sections, in the order in which options name them.

        Args:
            ctx: The context.
            formatter: What writes.
        """
        sections: dict[str, list[tuple[str, str]]] = {}
        for option in self.get_params(ctx):
            line = option.get_help_record(ctx)
            if line is not None:
                usual = "Arguments" if option.param_type_name == "argument" else "Options"
                section = getattr(option, "rich_help_panel", None) or usual
                sections.setdefault(section, []).append(line)
        for section, lines in sections.items():
            with formatter.section(section):
                formatter.write_dl(lines)


def command(function: Callable[..., int], *, of: typer.Typer = app) -> Callable[..., None]:
    """Make a function that gives an exit code a command; users' mistakes end in one line.

    Args:
        function: Named as the command.
        of: The group of commands that it belongs to.

    Returns:
        The command.
    """

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            with _warnings_in_one_line():
                code = function(*args, **kwargs)
            if sys.stdout is not None:  # it is None where the shell closed it
                sys.stdout.flush()
        except KeyboardInterrupt:
            say("interrupted")
            code = INTERRUPTED
        except CrossalignError as error:
            say(f"error: {error}")
            code = USAGE
        except BrokenPipeError:  # the reader, such as `head`, has seen enough
            _abandon_output()
            code = INTERRUPTED
        except OSError as error:  # such as a full disk
            say(f"error: {error}")
            _abandon_output()
            code = USAGE
        raise typer.Exit(code)

    return of.command(name=function.__name__, cls=_Command)(run)


def say(message: str) -> None:
    """Print a line on standard error.

    Args:
        message: The line.
    """
    typer.echo(message, err=True)


@contextmanager
def _warnings_in_one_line() -> Iterator[None]:
    """Show what a warning says, and not where in the code it comes from."""

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        say(f"warning: {message}")

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


def _abandon_output() -> None:
    """Keep the interpreter from failing over what is left in the buffer when it ends."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
