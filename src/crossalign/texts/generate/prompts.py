"""What a language model is asked: prompt sets as data, and the questions made of them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeAlias, get_args

from crossalign.errors import DescriptionError
from crossalign.texts._data import data_text, data_words
from crossalign.texts.class_files import parse_json, read_text
from crossalign.texts.descriptions import wordify
from crossalign.texts.english import indefinite_article
from crossalign.texts.generate.answers import AnswerRules
from crossalign.texts.quality import bad_characters, digest
from crossalign.utils.validation import one_of, whole_number

Naming: TypeAlias = Literal["always", "never", "any"]
"""Whether a description must, must not or may name its class."""

_HOLES = frozenset({"class", "a class"})
_HOLE = re.compile(r"\{([^{}]*)\}")
_NAMING = {
    "always": 'Every one must contain the name "{name}".',
    "never": 'None may contain the name "{name}".',
    "any": "",
}
# The script that a language is written in, for those where there is no doubt.
_SCRIPT_OF = {
    language: script for script, names in data_words("scripts.txt").items() for language in names
}


@dataclass(frozen=True, slots=True)
class PromptSet:
    """Questions about a class.

    Args:
        name: What it is called.
        questions: Each with ``{class}`` for the bare name or ``{a class}`` for the name with its
            article (and, where one is given, the domain behind it).
        naming: Whether the descriptions should name the class.
        source: The paper whose manner this is.

    Raises:
        DescriptionError: If there is no question, or one lacks the class or has other holes.
    """

    name: str
    questions: tuple[str, ...]
    naming: Naming = "always"
    source: str = ""

    def __post_init__(self) -> None:
        if not self.questions:
            raise DescriptionError(f"Expected questions in the prompt set {self.name!r}, got none.")
        one_of("naming", self.naming, get_args(Naming), error=DescriptionError)
        for question in self.questions:
            holes = set(_HOLE.findall(question))
            if not holes or holes - _HOLES or bad_characters(question):
                raise DescriptionError(
                    "Expected a question of plain text with {class} or {a class} and no other "
                    f"hole, got {question!r}."
                )


@dataclass(frozen=True, slots=True)
class GenerationOptions:
    """What descriptions should be like.

    Args:
        number: Descriptions of a class, shared out among the questions of a set.
        words: Most words of one.
        language: Name of the language, in English.
        domain: What kind of thing all classes are, such as ``"type of bird"``.
        naming: Whether they name their class; None leaves that to the prompt set.

    Raises:
        DescriptionError: If a value is out of range.
    """

    number: int = 12
    words: int = 20
    language: str = "English"
    domain: str = ""
    naming: Naming | None = None

    def __post_init__(self) -> None:
        wrong = DescriptionError
        whole_number("the number of descriptions", self.number, 1, 200, error=wrong)
        whole_number("the number of words", self.words, 1, 200, error=wrong)
        for name in ("language", "domain"):
            value = getattr(self, name)
            if len(value) > 200 or bad_characters(value, allowed=""):
                raise wrong(f"expected a {name} of at most 200 characters; got {value[:40]!r}.")
        if not self.language.strip():
            raise wrong("expected a language; got none.")


@dataclass(frozen=True, slots=True)
class Question:
    """One question about one class.

    Args:
        class_name: The class, as the user writes it.
        template: The question as the prompt set has it.
        prompt: What the model reads.
        rules: What its answer is held to.
    """

    class_name: str
    template: str
    prompt: str
    rules: AnswerRules

    def key(self, model: str, settings: Mapping[str, Any]) -> str:
        """Name the question to one model, so that it is known again in a later run.

        Args:
            model: The model's name.
            settings: What else is sent and shapes the answer, such as the temperature.

        Returns:
            16 hexadecimal digits.
        """
        content = json.dumps([model, dict(settings), self.class_name, self.prompt], sort_keys=True)
        return digest(content)[:16]


def _prompt_set(name: str, values: Mapping[str, Any]) -> PromptSet:
    questions, naming = tuple(values["questions"]), values.get("naming", "always")
    return PromptSet(name, questions, naming, values.get("source", ""))


PROMPT_SETS: Mapping[str, PromptSet] = MappingProxyType(
    {
        name: _prompt_set(name, values)
        for name, values in json.loads(data_text("prompts.json")).items()
    }
)
"""The prompt sets known by name."""


def get_prompt_set(name: str) -> PromptSet:
    """Find a prompt set by name, or read one from a file.

    Args:
        name: A name of `PROMPT_SETS`, or a ``.json`` file ``{"questions": [...], "naming": ...}``.

    Returns:
        The prompt set.

    Raises:
        DescriptionError: If there is none of that name, or the file is no prompt set.

    Example:
        >>> get_prompt_set("clip-d").naming
        'never'
    """
    if name in PROMPT_SETS:
        return PROMPT_SETS[name]
    if not name.lower().endswith(".json"):
        raise DescriptionError(
            f"Expected a prompt set ({', '.join(PROMPT_SETS)}) or a .json file with one, "
            f"got {name!r}."
        )
    try:
        content = parse_json(read_text(Path(name)))
        shape = isinstance(content, dict) and set(content) <= {"questions", "naming"}
        asked = content.get("questions") if shape else None
        if not isinstance(asked, list) or not all(isinstance(item, str) for item in asked):
            raise DescriptionError(
                'Expected {"questions": [text, ...], "naming": "always"|"never"|"any"}.'
            )
        return _prompt_set(Path(name).stem, content)
    except DescriptionError as error:
        raise DescriptionError(f"{name}: {error}") from error.__cause__


def make_questions(
    classes: Sequence[str], prompts: PromptSet, options: GenerationOptions | None = None
) -> list[Question]:
    """Write out what is asked about every class.

    Args:
        classes: Class names.
        prompts: The prompt set.
        options: What the descriptions should be like.

    Returns:
        The questions, class after class. With fewer descriptions than questions, the last questions
        of the set are left out.

    Example:
        >>> options = GenerationOptions(number=2, domain="type of bird")
        >>> question = make_questions(["owl"], PROMPT_SETS["cupl"], options)[0]
        >>> print(question.prompt.splitlines()[0])
        What does an owl (a type of bird) look like?
    """
    options = options or GenerationOptions()
    naming = options.naming or prompts.naming
    language = options.language.strip().lower()
    script = _SCRIPT_OF.get(language, "")
    share, rest = divmod(options.number, len(prompts.questions))
    counts = [share + (place < rest) for place in range(len(prompts.questions))]
    questions = []
    for class_name in classes:
        name = wordify(class_name)
        for template, count in zip(prompts.questions, counts, strict=True):
            if count:
                rules = AnswerRules(name, count, options.words, naming, script, language)
                prompt = _prompt(template, rules, options)
                questions.append(Question(class_name, template, prompt, rules))
    return questions


def _prompt(template: str, rules: AnswerRules, options: GenerationOptions) -> str:
    domain = options.domain.strip()
    if domain and not re.match(r"(?:an?|the|some)\s", domain, re.IGNORECASE):
        domain = f"{indefinite_article(domain)} {domain}"
    whole = f"{indefinite_article(rules.name)} {rules.name}{f' ({domain})' if domain else ''}"
    first, *rest = _HOLE.split(template)
    asked = first + "".join(
        (whole if hole == "a class" else rules.name) if place % 2 == 0 else hole
        for place, hole in enumerate(rest)
    )
    one = "one description" if rules.count == 1 else f"{rules.count} different descriptions"
    kind = "a short phrase" if rules.naming == "never" else "one full sentence"
    wanted = (
        f"Answer with {one} in {options.language.strip()}, each {kind} of at most {rules.words} "
        "words about one thing that can be seen in a photo."
    )
    named = _NAMING[rules.naming].replace("{name}", rules.name)
    shape = f"Write a JSON array of {rules.count} string{'s' if rules.count > 1 else ''} and "
    return "\n".join(filter(None, (asked, wanted, named, f"{shape}nothing else.")))
