"""How commands declare what they take: arguments, options, and groups of options."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Annotated, Any, ClassVar, get_type_hints

import typer
from typer.models import ArgumentInfo


class Options:
    """Options that belong together, each declared once, as a frozen dataclass.

    Its fields are made by :func:`option` or :func:`argument`, or are groups themselves. A command
    with a parameter of such a class has all of its options, under one heading of its help.
    """

    heading: ClassVar[str | None] = None

    def __init_subclass__(cls, heading: str | None = None) -> None:
        cls.heading = heading or cls.heading

    def given(self, *without: str) -> dict[str, Any]:
        """Tell what was given on the command line, of options that are None otherwise.

        Args:
            *without: Names of fields that do not count.

        Returns:
            Values by the names of their fields.
        """
        values = vars(self).items()
        return {name: one for name, one in values if one is not None and name not in without}


REQUIRED: Any = dataclasses.MISSING
"""Default of an option that must be given."""


def option(text: str, *names: str, default: Any = None, **more: Any) -> Any:
    """Declare an option of a command or of a group, named as the parameter or the field is.

    Args:
        text: What the help says of it.
        *names: Its names, where they are others.
        default: What it is where it is not given. A flag that is False has no ``--no-`` form.
        **more: As for ``typer.Option``.

    Returns:
        The default of the parameter, or the field.
    """
    return _declare(typer.Option, default, *names, help=text, **more)


def argument(metavar: str, text: str, default: Any = REQUIRED) -> Any:
    """Declare what a command is given without a name.

    Args:
        metavar: What the help calls it.
        text: What the help says of it.
        default: What it is where it is not given.

    Returns:
        The default of the parameter, or the field.
    """
    return _declare(typer.Argument, default, metavar=metavar, help=text)


def _declare(kind: Callable[..., Any], default: Any, *names: str, **settings: Any) -> Any:
    make = functools.partial(kind, **settings)
    return dataclasses.field(default=default, metadata={"make": make, "names": names})


def _is_group(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Options)


@functools.cache
def _fields(group: type) -> tuple[tuple[str, Any, Any], ...]:
    """Name, annotation and declaration of each option."""
    hints = get_type_hints(group, include_extras=True)
    return tuple((field.name, hints[field.name], field) for field in dataclasses.fields(group))


def parameters_of(
    name: str, annotation: Any, default: Any, heading: str | None = None
) -> Iterator[inspect.Parameter]:
    """Give the parameters that one of a command stands for.

    Args:
        name: Its name.
        annotation: Its type; a group of options stands for all of them.
        default: What :func:`option` or :func:`argument` gave, where it is no group.
        heading: Of the help, under which it stands.

    Yields:
        Parameters as typer takes them.
    """
    if _is_group(annotation):
        for field in _fields(annotation):
            yield from parameters_of(*field, annotation.heading)
        return
    if isinstance(default, dataclasses.Field):
        usual = (f"--{name.replace('_', '-')}",) if default.default is False else ()
        declared = default.metadata["make"](*(default.metadata["names"] or usual))
        annotation, default = Annotated[annotation, declared], default.default
    if default is REQUIRED:
        default = inspect.Parameter.empty
    (declared,) = annotation.__metadata__
    declared.rich_help_panel = None if isinstance(declared, ArgumentInfo) else heading
    yield inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
    )


def collected(name: str, annotation: Any, given: dict[str, Any]) -> Any:
    """Put the values of a group's options together.

    Args:
        name: Of a parameter of a command.
        annotation: Its type.
        given: Values of all options of the command, by their names.

    Returns:
        Its value.
    """
    if not _is_group(annotation):
        return given[name]
    return annotation(**{at: collected(at, kind, given) for at, kind, _ in _fields(annotation)})
