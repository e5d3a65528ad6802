"""Lines for a log that nobody can forge by what they send."""

from __future__ import annotations

import logging
import sys

_FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"


class LineFormatter(logging.Formatter):
    r"""Keeps every record recognisable: what came from outside cannot begin a line of its own.

    Control characters are written as escapes, and lines after the first, such as those of a
    traceback, begin with ``  | ``.

    Example:
        >>> record = logging.LogRecord("a", 20, "", 0, "name: x\n2026 INFO b \x1b[2J", None, None)
        >>> print(LineFormatter("%(levelname)s %(message)s").format(record))
        INFO name: x
          | 2026 INFO b \x1b[2J
    """

    def format(self, record: logging.LogRecord) -> str:
        """Write one record."""
        lines = super().format(record).split("\n")
        return "\n  | ".join(printable(line) for line in lines)


def printable(text: str) -> str:
    r"""Write everything that does not print as an escape.

    Args:
        text: Any text.

    Returns:
        The text on one line.

    Example:
        >>> printable("a\r\nb")
        'a\\r\\nb'
    """
    return "".join(
        character
        if character.isprintable()
        else character.encode("unicode_escape", "backslashreplace").decode("ascii")
        for character in text
    )


def configure(level: str) -> None:
    """Send the logs of the service, of its HTTP server and all warnings to standard error.

    Args:
        level: ``"debug"``, ``"info"``, ``"warning"`` or ``"error"``.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter(_FORMAT))
    logging.captureWarnings(True)
    for name in ("crossalign", "uvicorn", "py.warnings"):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
        logger.setLevel(level.upper())
