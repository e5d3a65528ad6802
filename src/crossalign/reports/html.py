"""Pages and drawings from the templates beside this file: every text in them is escaped."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from crossalign.reports import colours
from crossalign.reports.labels import printable, rounded, text_width, wrapped

if TYPE_CHECKING:
    from jinja2 import Environment, Template
    from markupsafe import Markup


@functools.cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("crossalign", "reports/templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "rounded": rounded,
        "text_width": text_width,
        "wrapped": wrapped,
        "px": "{:.1f}".format,
        "short": "{:.6g}".format,
    }
    for name in ("FIRST", "SECOND", "REGION_COLOURS", "SERIES_COLOURS", "VIRIDIS"):
        environment.globals[name] = getattr(colours, name)
    return environment


def template(name: str) -> Template:
    """Load a template, in which all but markup is escaped.

    Args:
        name: Its file, such as ``explanations.html``.

    Returns:
        The template.
    """
    return _environment().get_template(name)


def render(name: str, /, **values: Any) -> Markup:
    """Fill a template in.

    Args:
        name: Its file, such as ``evaluation.html``.
        **values: What it shows; only what this function gave is taken for markup.

    Returns:
        Markup, which other templates take as it is.
    """
    return rendered(template(name).render(values))


def rendered(text: str) -> Markup:
    """Take a text for markup.

    Args:
        text: What :func:`render` gave, or a part of it, back from a file.

    Returns:
        The same, which templates take as it is.
    """
    from markupsafe import Markup

    return Markup(text)  # noqa: S704  all in it was escaped when it was rendered


def clean(text: str) -> Markup:
    r"""Make any text safe inside HTML and XML, in elements and in quoted attributes.

    Args:
        text: Anything.

    Returns:
        The text, escaped; characters that XML cannot hold as ``\xNN`` or ``\uNNNN``.
    """
    from markupsafe import escape

    return escape(printable(text))


def _shown(value: object) -> object:
    """Replace what no page can hold; markup was cleaned when it was made."""
    return printable(value) if isinstance(value, str) and not hasattr(value, "__html__") else value
