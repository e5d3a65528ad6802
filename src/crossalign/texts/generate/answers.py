"""A language model's answer to texts that can be trusted, or to reasons why not.

An answer is foreign matter: it may be too long, a refusal, a web page or worse. Nothing of it gets
further than here but single lines of printable characters without markup, few and short.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from typing import Any

from crossalign.texts.languages import other_language
from crossalign.texts.quality import bad_characters, main_script, markup, names_class, refuses

MAX_CHARACTERS = 20_000
"""Longest answer that is looked at."""

CUT_OFF = "cut off at the limit of tokens"
"""How the problem of an answer begins that was not written to its end."""

_THOUGHTS = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)  # what reasoning models think aloud
_FENCE = re.compile(r"\A```\w*\s*\n(.*?)\n?\s*```\Z", re.DOTALL)
_BULLET = re.compile(r"\s*(?:[-*\u2022\u2013]|\(?\d{1,3}[.):])\s+")
_QUOTES = {'"': '"', "'": "'", "\u201c": "\u201d", "\u201e": "\u201c", "\u00ab": "\u00bb"}


@dataclass(frozen=True, slots=True)
class AnswerRules:
    """What an answer is held to.

    Args:
        name: The class name, in plain words.
        count: Descriptions asked for.
        words: Most words of one.
        naming: ``always``, ``never`` or ``any``: whether they name the class.
        script: Unicode name of the script they are in; empty for any.
        language: English name of their language in small letters; not looked at unless it is one of
            those in Latin letters that are known.
    """

    name: str
    count: int
    words: int
    naming: str = "always"
    script: str = ""
    language: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is left of an answer.

    Args:
        texts: Usable descriptions, at most as many as asked for.
        problem: Why it is not enough; empty if it is. Our words alone, nothing of the answer's.
    """

    texts: tuple[str, ...]
    problem: str = ""


def read_answer(raw: str, rules: AnswerRules, *, cut: bool = False) -> Answer:
    """Take an answer apart and keep what is usable.

    It may be a JSON array, an object that holds one, a list with bullets or numbers, or plain
    lines. Descriptions that break a rule are left out; if too few remain the answer is no good.

    Args:
        raw: What the model wrote.
        rules: What was asked for.
        cut: Whether it was cut off at the limit of tokens; said if it is no good.

    Returns:
        The usable descriptions, and what is wrong if they are too few.

    Example:
        >>> rules = AnswerRules("pug", 2, 10)
        >>> read_answer('["A flat-faced pug.", "The curled tail of a pug."]', rules).problem
        ''
        >>> read_answer("1. A flat-faced pug.", rules)
        Answer(texts=('A flat-faced pug.',), problem='1 of 2 usable')
    """
    answer = _read(raw, rules)
    if cut and answer.problem:
        return Answer(answer.texts, f"{CUT_OFF}, {answer.problem}")
    return answer


def _read(raw: str, rules: AnswerRules) -> Answer:
    if len(raw) > MAX_CHARACTERS:
        return Answer((), "far too long")
    content = _THOUGHTS.sub("", raw).strip()
    if not content:
        return Answer((), "empty")
    parts = _parts(content)
    if parts is None:
        return Answer((), "malformed JSON")
    # Together they tell what one short description does not.
    other = other_language(" ".join(parts), rules.language, rules.name)
    if other and not refuses(content):
        return Answer((), f"in {other.title()}, not in {rules.language.title()}")
    texts: list[str] = []
    faults: Counter[str] = Counter()
    for part in parts:
        text = _tidy(part)
        fault = _fault(text, rules)
        if not fault and any(text.casefold() == other.casefold() for other in texts):
            fault = "repeated"
        if fault:
            faults[fault] += 1
        else:
            texts.append(text)
    if len(texts) >= rules.count:
        return Answer(tuple(texts[: rules.count]))
    if not texts and refuses(content):
        return Answer((), "a refusal")
    reasons = ", ".join(f"{count} {fault}" for fault, count in faults.most_common())
    problem = f"{len(texts)} of {rules.count} usable{f' ({reasons})' if reasons else ''}"
    return Answer(tuple(texts), problem)


def _parts(content: str) -> list[str] | None:
    """Split an answer into descriptions; None if it is JSON gone wrong."""
    fenced = _FENCE.match(content)
    if fenced:
        content = fenced[1].strip()
    if content[:1] in ("[", "{"):
        return _strings(_json(content))
    start, end = content.find("["), content.rfind("]")
    if 0 <= start < end:  # "Here is the array: [...]"
        found = _strings(_json(content[start : end + 1]))
        if found is not None:
            return found
    lines = [line for line in content.splitlines() if line.strip()]
    listed = [line for line in lines if _BULLET.match(line)]
    if listed:
        return [_BULLET.sub("", line, count=1) for line in listed]
    return [line for line in lines if not line.rstrip().endswith(":")]


def _json(content: str) -> Any:
    try:
        return json.loads(content, strict=False)
    except (ValueError, RecursionError):
        return None


def _strings(content: Any) -> list[str] | None:
    if isinstance(content, dict):
        lists = [value for value in content.values() if isinstance(value, list)]
        content = lists[0] if len(lists) == 1 else None
    if not isinstance(content, list) or not all(isinstance(item, str) for item in content):
        return None
    return content


def _tidy(text: str) -> str:
    text = " ".join(unicodedata.normalize("NFC", text).split())
    if len(text) > 1 and _QUOTES.get(text[0]) == text[-1] and text.count(text[0]) <= 2:
        text = text[1:-1].strip()
    return text


def _fault(text: str, rules: AnswerRules) -> str:
    """Say in a few words what is wrong with a description; empty if nothing is."""
    if not any(map(str.isalpha, text)):
        return "empty"
    # Characters beside words, for languages that put no spaces between them.
    if len(text.split()) > rules.words or len(text) > 15 * rules.words + 40:
        return "too long"
    if bad_characters(text, allowed="") or "\ufffd" in text:
        return "with control characters"
    if markup(text):
        return "with markup"
    if refuses(text):
        return "refusing"
    named = names_class(text, rules.name)
    if rules.naming == "always" and not named:
        return "without the class's name"
    if rules.naming == "never" and named:
        return "with the class's name"
    if rules.script and main_script(text) != rules.script:
        return "in another script"
    if other := other_language(text, rules.language, rules.name):
        return f"in {other.title()}"
    return ""
