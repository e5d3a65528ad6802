"""The checks that need no encoder: each a small function that yields findings, in one table."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from crossalign.texts.languages import main_language, other_language
from crossalign.texts.lint.draft import Draft
from crossalign.texts.lint.findings import Finding, LintOptions, Severity
from crossalign.texts.quality import (
    bad_characters,
    main_script,
    majority,
    markup,
    mended_mojibake,
    names_class,
    refuses,
    visible,
)
from crossalign.texts.validation import lookalike_key

Found: TypeAlias = tuple[str, str, int | None, str | None]
"""Message, class, position and text of a finding whose check and severity the table knows."""

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Check:
    """One check.

    Args:
        name: What it is called.
        severity: Of what it finds.
        looks_for: What it finds, in words.
        run: Yields what it found, in a draft or what is made of one.
    """

    name: str
    severity: Severity
    looks_for: str
    run: Callable[[Any, LintOptions], Iterator[Found]]


def run_table(table: Iterable[Check], subject: Any, options: LintOptions) -> list[Finding]:
    """Run checks one after the other.

    Args:
        table: The checks.
        subject: What to check.
        options: What to hold it to.

    Returns:
        The findings, in the order of the table.
    """
    return [
        Finding(check.severity, check.name, *found)
        for check in table
        for found in check.run(subject, options)
    ]


def _duplicate_classes(draft: Draft, _options: LintOptions) -> Iterator[Found]:
    seen: dict[str, str] = {}
    for entry in draft.classes:
        key = lookalike_key(entry.name)
        if key in seen:
            same = seen[key] == entry.name
            what = "stands twice" if same else f"is {quote(seen[key])} to a text encoder"
            yield f"{what}; merge, remove or rename one.", entry.name, None, None
        seen.setdefault(key, entry.name)


def _empty_classes(draft: Draft, _options: LintOptions) -> Iterator[Found]:
    for entry in draft.classes:
        if not entry.name.strip():
            yield "a class without a name.", entry.name, None, None
        if not draft.names_only and not entry.texts:
            yield "no text at all; write some, or remove the class.", entry.name, None, None
    for at in draft.texts:
        if not at.text.strip():
            yield "an empty text.", *at


def _control_characters(draft: Draft, _options: LintOptions) -> Iterator[Found]:
    for entry in draft.classes:
        for char in bad_characters(entry.name, allowed=""):
            yield f"the name holds the character {char!a}; remove it.", entry.name, None, None
    for at in draft.texts:
        for char in bad_characters(at.text):
            yield f"holds the character {char!a}; remove it.", *at


def _encoding(draft: Draft, _options: LintOptions) -> Iterator[Found]:
    names = [(entry.name, None, entry.name) for entry in draft.classes]
    for at in (*names, *draft.texts):
        text = at[2]
        if "\ufffd" in text:
            yield "holds a character that was lost (U+FFFD).", *at
        elif (mended := mended_mojibake(text)) != text:
            yield f"UTF-8 read as Windows-1252; meant is {quote(mended)}.", *at


def _script(draft: Draft, options: LintOptions) -> Iterator[Found]:
    scripts = [main_script(at.text) for at in draft.texts]
    expected = options.script or majority(scripts)
    for at, script in zip(draft.texts, scripts, strict=True):
        if expected and script and script != expected:
            yield f"written in {script}, not in {expected}.", *at


def _language(draft: Draft, options: LintOptions) -> Iterator[Found]:
    expected = options.language or main_language(at.text for at in draft.texts)
    for at in draft.texts:
        if other := other_language(at.text, expected, at.class_name):
            yield f"reads as {other.title()}, not as {expected.title()}.", *at


def _markup(draft: Draft, _options: LintOptions) -> Iterator[Found]:
    found = ((markup(at.text), at) for at in draft.texts)
    return ((f"holds markup: {quote(piece, 30)}.", *at) for piece, at in found if piece)


def _refusal(draft: Draft, _options: LintOptions) -> Iterator[Found]:
    return (("a refusal, not a description.", *at) for at in draft.texts if refuses(at.text))


def _too_few(draft: Draft, options: LintOptions) -> Iterator[Found]:
    for entry in draft.classes:
        count = len(entry.texts)
        if not draft.names_only and 0 < count < options.min_texts:
            yield f"{count} of at least {options.min_texts} texts.", entry.name, None, None


def _too_many_words(draft: Draft, options: LintOptions) -> Iterator[Found]:
    for at in draft.texts:
        words = len(at.text.split())
        if options.max_words is not None and words > options.max_words:
            yield f"{words} of at most {options.max_words} words.", *at


def _naming(draft: Draft, options: LintOptions) -> Iterator[Found]:
    named = [names_class(at.text, at.class_name) for at in draft.texts]
    wanted = options.naming
    if wanted == "auto":
        wanted = "always" if named and 2 * sum(named) >= len(named) else "any"
    for at, does in zip(draft.texts, named, strict=True):
        if wanted == "always" and not does:
            yield "does not name its class.", *at
        if wanted == "never" and does:
            yield "names its class.", *at


def _repeated(draft: Draft, _options: LintOptions) -> Iterator[Found]:
    classes_of: defaultdict[str, set[str]] = defaultdict(set)
    for at in draft.texts:
        classes_of[plain(at.text)].add(at.class_name)
    seen: set[tuple[str, str]] = set()
    for at in draft.texts:
        key = plain(at.text)
        others = sorted(classes_of[key] - {at.class_name})
        if (at.class_name, key) in seen:
            yield "stands twice in its class, so it counts twice.", *at
        elif others and key:
            yield f"stands in {quote(others[0])} too; it tells neither apart.", *at
        seen.add((at.class_name, key))


def plain(text: str) -> str:
    """Give what two texts share that say the same in the same words.

    Args:
        text: Any text.

    Returns:
        Its words, in small letters; the text itself where it has none.
    """
    return " ".join(_WORD.findall(text.casefold())) or text


def quote(text: str, limit: int = 60) -> str:
    """Quote a text within a message.

    Args:
        text: Any text, a hostile one too.
        limit: Longest quotation in characters.

    Returns:
        It in quotes, safe to print.
    """
    return f"'{visible(text, limit)}'"


CHECKS: tuple[Check, ...] = (
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
