"""What the linter says, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from crossalign.errors import DescriptionError
from crossalign.texts.languages import LANGUAGES
from crossalign.utils.validation import finite_number, one_of, whole_number

Severity: TypeAlias = Literal["note", "warning", "error"]
"""``error``: the set cannot be used so. ``warning``: a fault. ``note``: worth a look."""

Naming: TypeAlias = Literal["auto", "always", "never", "any"]
"""Whether texts should name their class. ``auto``: as at least half of them do."""

SEVERITIES: tuple[Severity, ...] = get_args(Severity)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, or may be.

    Args:
        severity: How bad it is.
        check: Name of the check that found it.
        message: What it is and what to do, in one line that is safe to print.
        class_name: The class, where it is about one.
        position: Of the text in its class, from 0, where it is about one.
        text: The text itself.
    """

    severity: Severity
    check: str
    message: str
    class_name: str | None = None
    position: int | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class LintOptions:
    """What to hold a file to.

    Args:
        min_texts: Fewest texts of a class.
        max_words: Most words of a text; None for any number.
        naming: Whether texts should name their class.
        near: Cosine above which two texts of a class are near-duplicates; None takes the encoder's
            own.
        script: Unicode name of the expected script, such as ``LATIN``; None takes that of most
            texts.
        language: English name of the expected language in small letters, such as ``german``; None
            takes that of most texts. Only languages in Latin letters are told apart.

    Raises:
        DescriptionError: If a value is out of range.
    """

    min_texts: int = 3
    max_words: int | None = None
    naming: Naming = "auto"
    near: float | None = None
    script: str | None = None
    language: str | None = None

    def __post_init__(self) -> None:
        wrong = DescriptionError
        whole_number("min_texts", self.min_texts, 0, error=wrong)
        if self.max_words is not None:
            whole_number("max_words", self.max_words, 1, error=wrong)
        one_of("naming", self.naming, get_args(Naming), error=wrong)
        if self.near is not None:
            finite_number("near", self.near, -1, 1, error=wrong)
        if self.script is not None and self.script != self.script.upper():
            raise wrong(f"expected script in capitals, such as LATIN or CJK; got {self.script!r}.")
        if self.language is not None:
            one_of("language", self.language, LANGUAGES, error=wrong)
