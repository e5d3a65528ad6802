"""The checks that need no encoder: each a small function that yields findings, in one table."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from crossalign.texts.languages import main_language, other_language
from crossalign.texts.lint.draft import Draft
from crossalign.texts.lint.findings import Finding, LintOptions, Severity, expected_script
from crossalign.texts.quality import (
    bad_characters,
    main_script,
    markup,
    mended_mojibake,
    names_class,
    refuses,
    visible,
)
from crossalign.texts.validation import lookalike_key

Place: TypeAlias = tuple[str, str | None, int | None, str | None]
"""Message, class, position and text of a finding whose check and severity the table knows."""

_WORD = re.compile(r"\w+")

Subject = TypeVar("Subject", contravariant=True)


@dataclass(frozen=True, slots=True)
class Check(Generic[Subject]):
    """One check.

    Args:
        name: What it is called.
        severity: Of what it finds.
        looks_for: What it finds, in words.
        run: Yields what it found.
    """

    name: str
    severity: Severity
    looks_for: str
    run: Callable[[Subject, LintOptions], Iterator[Place]]


def run_table(
    table: tuple[Check[Subject], ...], subject: Subject, options: LintOptions
) -> list[Finding]:
    """Run checks one after the other.

    Args:
        table: The checks.
        subject: What to check.
        options: What to hold it to.

    Returns:
        The findings, in the order of the table.
    """
    return [
        Finding(check.severity, check.name, *place)
        for check in table
        for place in check.run(subject, options)
    ]


def _duplicate_classes(draft: Draft, _options: LintOptions) -> Iterator[Place]:
    seen: dict[str, str] = {}
    for entry in draft.classes:
        key = lookalike_key(entry.name)
        if key not in seen:
            seen[key] = entry.name
            continue
        same = seen[key] == entry.name
        what = "stands twice" if same else f"is {said(seen[key])} to a text encoder"
        yield f"{what}; merge, remove or rename one.", entry.name, None, None


def _empty_classes(draft: Draft, _options: LintOptions) -> Iterator[Place]:
    for entry in draft.classes:
        if not entry.name.strip():
            yield "a class without a name.", entry.name, None, None
        if not draft.names_only and not entry.texts:
            yield "no text at all; write some, or remove the class.", entry.name, None, None
        for position, text in entry.texts:
            if not text.strip():
                yield "an empty text.", entry.name, position, text


def _control_characters(draft: Draft, _options: LintOptions) -> Iterator[Place]:
    for entry in draft.classes:
        for char in bad_characters(entry.name, allowed=""):
            yield f"the name holds the character {char!a}; remove it.", entry.name, None, None
    for entry, position, text in draft.all_texts():
        for char in bad_characters(text):
            yield f"holds the character {char!a}; remove it.", entry.name, position, text


def _encoding(draft: Draft, _options: LintOptions) -> Iterator[Place]:
    names = [(entry, None, entry.name) for entry in draft.classes]
    for entry, position, text in [*names, *draft.all_texts()]:
        if "\ufffd" in text:
            yield "holds a character that was lost (U+FFFD).", entry.name, position, text
        elif (mended := mended_mojibake(text)) != text:
            meant = f"UTF-8 read as Windows-1252; meant is {said(mended)}."
            yield meant, entry.name, position, text


def _script(draft: Draft, options: LintOptions) -> Iterator[Place]:
    expected = expected_script([text for _, _, text in draft.all_texts()], options)
    for entry, position, text in draft.all_texts():
        script = main_script(text)
        if expected and script and script != expected:
            yield f"written in {script}, not in {expected}.", entry.name, position, text


def _language(draft: Draft, options: LintOptions) -> Iterator[Place]:
    places = list(draft.all_texts())
    expected = options.language or main_language(text for _, _, text in places)
    for entry, position, text in places:
        if other := other_language(text, expected, entry.name):
            wrong = f"reads as {other.title()}, not as {expected.title()}."
            yield wrong, entry.name, position, text


def _markup(draft: Draft, _options: LintOptions) -> Iterator[Place]:
    for entry, position, text in draft.all_texts():
        if found := markup(text):
            yield f"holds markup: {said(found, 30)}.", entry.name, position, text


def _refusal(draft: Draft, _options: LintOptions) -> Iterator[Place]:
    for entry, position, text in draft.all_texts():
        if refuses(text):
            yield "a refusal, not a description.", entry.name, position, text


def _too_few(draft: Draft, options: LintOptions) -> Iterator[Place]:
    for entry in draft.classes:
        count = len(entry.texts)
        if not draft.names_only and 0 < count < options.min_texts:
            yield f"{count} of at least {options.min_texts} texts.", entry.name, None, None


def _too_many_words(draft: Draft, options: LintOptions) -> Iterator[Place]:
    for entry, position, text in draft.all_texts():
        words = len(text.split())
        if options.max_words is not None and words > options.max_words:
            yield f"{words} of at most {options.max_words} words.", entry.name, position, text


def _naming(draft: Draft, options: LintOptions) -> Iterator[Place]:
    places = list(draft.all_texts())
    named = [names_class(text, entry.name) for entry, _, text in places]
    wanted = options.naming
    if wanted == "auto":
        wanted = "always" if places and 2 * sum(named) >= len(named) else "any"
    for (entry, position, text), does in zip(places, named, strict=True):
        if wanted == "always" and not does:
            yield "does not name its class.", entry.name, position, text
        if wanted == "never" and does:
            yield "names its class.", entry.name, position, text


def _repeated(draft: Draft, _options: LintOptions) -> Iterator[Place]:
    classes_of: defaultdict[str, set[str]] = defaultdict(set)
    for entry, _, text in draft.all_texts():
        classes_of[plain(text)].add(entry.name)
    seen: set[tuple[str, str]] = set()
    for entry, position, text in draft.all_texts():
        key = plain(text)
        others = sorted(classes_of[key] - {entry.name})
        if (entry.name, key) in seen:
            yield "stands twice in its class, so it counts twice.", entry.name, position, text
        elif others and key:
            yield (
                f"stands in {said(others[0])} too; it tells neither apart.",
                *((entry.name, position, text)),
            )
        seen.add((entry.name, key))


def plain(text: str) -> str:
    """Give what two texts share that say the same in the same words.

    Args:
        text: Any text.

    Returns:
        Its words, in small letters; the text itself where it has none.
    """
    return " ".join(_WORD.findall(text.casefold())) or text


def said(text: str, limit: int = 60) -> str:
    """Quote a text within a message.

    Args:
        text: Any text, a hostile one too.
        limit: Longest quotation in characters.

    Returns:
        It in quotes, safe to print.
    """
    return f"'{visible(text, limit)}'"


CHECKS: tuple[Check[Draft], ...] = (
    Check("duplicate-class", "error", "classes that no encoder can tell apart", _duplicate_classes),
    Check("empty", "error", "a class or text with nothing in it", _empty_classes),
    Check("characters", "error", "control, invisible or unpaired ones", _control_characters),
    Check("encoding", "warning", "text decoded wrongly, or lost characters", _encoding),
    Check("script", "warning", "a text in another script than the rest", _script),
    Check("language", "warning", "a text in another language than the rest", _language),
    Check("markup", "warning", "HTML, Markdown, list marks, links, unfilled holes", _markup),
    Check("refusal", "warning", "a language model that declines or speaks of itself", _refusal),
    Check("too-few", "warning", "a class with fewer texts than asked for", _too_few),
    Check("too-long", "warning", "a text of more words than allowed", _too_many_words),
    Check("naming", "warning", "a text that does not name its class where most do", _naming),
    Check("repeated", "warning", "a text that stands twice, in one class or in two", _repeated),
)
"""The checks on what a file says. Faults of its form (``structure``) are found in reading it."""
