"""The application: commands, their groups of options, exit codes, what becomes of an error."""

from __future__ import annotations

import functools
import inspect
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

import crossalign
from crossalign.cli.declarations import collected, parameters_of
from crossalign.errors import CrossalignError, MissingExtraError

OK, SOME_FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130

# Headings under which --help lists the commands, in the order in which they are first used.
ONE, MANY, METHODS, ENCODERS, WORDS = (
    "One picture",
    "Many pictures",
    "Methods",
    "Encoders and embeddings",
    "Words",
)

_USAGE_ERROR: Any = typer.BadParameter.__mro__[1]  # of every mistake that the parser finds


class CommandGroup(TyperGroup):
    """Commands that --help lists under headings, each with its whole first sentence."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Show the help where there is nothing to do, as a mistake.

        Args:
            ctx: The context.
            args: Words of the command line.

        Returns:
            Those that are left.
        """
        if not args and not ctx.resilient_parsing:
            say(ctx.get_help())
            ctx.exit(USAGE)
        return super().parse_args(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        """Write the commands.

        Args:
            ctx: The context.
            formatter: What writes.
        """
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, one in self.commands.items():
            heading = getattr(one, "rich_help_panel", None) or "Commands"
            sections.setdefault(heading, []).append((name, one.get_short_help_str(500)))
        _write(formatter, sections)


class _Command(TyperCommand):
    """A command whose help has its options under their headings, and an example at the end."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the options, without names that are only kept from earlier releases.

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
                names = re.sub(r", --engine(-[ab])?", "", line[0])
                sections.setdefault(section, []).append((names, line[1]))
        _write(formatter, sections)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        """Write the example, on one line.

        Args:
            ctx: The context.
            formatter: What writes.
        """
        formatter.write(f"\nExample: {self.epilog}\n")


def _write(formatter: Any, sections: dict[str, list[tuple[str, str]]]) -> None:
    for heading, lines in sections.items():
        with formatter.section(heading):
            formatter.write_dl(lines)


app = typer.Typer(
    name="crossalign",
    help="Label images with words alone: crops of the image meet descriptions of the classes.",
    cls=CommandGroup,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # square brackets in help and in messages are meant as they stand
    context_settings={"help_option_names": ["-h", "--help"]},
)


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
    try:
        code = app(arguments, prog_name="crossalign", standalone_mode=False)
    except _USAGE_ERROR as error:
        say(f"error: {_message(error)}")
        if type(error) is not typer.BadParameter and error.ctx is not None:
            say(f"Try '{error.ctx.command_path} --help' for help.")
        code = USAGE
    raise SystemExit(code)


def _message(error: Any) -> str:
    """Say what the parser found wrong; before a value that cannot be, the option that it is of."""
    if type(error) is not typer.BadParameter:
        return str(error.format_message())
    option = error.param_hint
    if error.param is not None:
        flags = [name for name in error.param.opts if name.startswith("-")]
        option = max(flags, key=len) if flags else error.param.metavar
    return f"{option}: {_in_our_words(error)}" if option else str(error.message)


def _in_our_words(error: Any) -> str:
    """Say what was expected of a value, as this package does, and what came."""
    text = re.sub(r"^Input should be (?=greater|less)", "Input should be a number ", error.message)
    text = text.partition(", unable")[0].replace("Input should be", "expected")
    text = text.removeprefix("Value error, ")
    found = getattr(error.__cause__, "errors", None)  # by pydantic, which leaves the value out
    value = repr(found()[0]["input"]) if found else ""
    return text if value in text else f"{text}; got {value}"


def command(
    example: str, *, under: str | None = None, of: typer.Typer = app
) -> Callable[[Callable[..., int]], Callable[..., None]]:
    """Make a function that gives an exit code a command; users' mistakes end in one line.

    Args:
        example: What stands at the end of its help.
        under: Heading under which it is listed.
        of: The group of commands that it belongs to.

    Returns:
        What makes a function a command of the same name. Parameters that are groups of options are
        given to it whole.
    """

    def register(function: Callable[..., int]) -> Callable[..., None]:
        taken = inspect.signature(function, eval_str=True).parameters.values()

        @functools.wraps(function)
        def run(**given: Any) -> None:
            groups = {one.name: collected(one.name, one.annotation, given) for one in taken}
            raise typer.Exit(_code_of(functools.partial(function, **groups)))

        parameters = [
            each for one in taken for each in parameters_of(one.name, one.annotation, one.default)
        ]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {one.name: one.annotation for one in parameters}
        return of.command(
            name=function.__name__, cls=_Command, epilog=example, rich_help_panel=under
        )(run)

    return register


def _code_of(function: Callable[[], int]) -> int:
    """Run a command."""
    try:
        with _warnings_in_one_line():
            code = function()
        if sys.stdout is not None:  # it is None where the shell closed it
            sys.stdout.flush()
    except KeyboardInterrupt:
        say("interrupted")
        return INTERRUPTED
    except CrossalignError as error:
        say(f"error: {error}")
        return USAGE
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        _abandon_output()
        return INTERRUPTED
    except OSError as error:  # such as a full disk
        say(f"error: {error}")
        _abandon_output()
        return USAGE
    else:
        return code


@contextmanager
def value_of(*options: str) -> Iterator[None]:
    """Have what is said against a value begin with the option that gave it.

    Args:
        *options: The option; of several, the one that the message speaks of first.

    Raises:
        BadParameter: In place of an error of this package.
    """
    try:
        yield
    except MissingExtraError:
        raise
    except CrossalignError as error:
        text = str(error)
        words = {option: option.strip("-").replace("-", "_") for option in options}
        meant = [option for option, word in words.items() if word in text or len(options) == 1]
        meant.sort(key=lambda option: text.find(words[option]))
        if not meant or meant[0] in text:
            raise
        raise typer.BadParameter(text, param_hint=meant[0]) from error


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
