"""``crossalign describe``."""

from __future__ import annotations

import contextlib
import dataclasses
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from crossalign.cli.application import OK, SOME_FAILED, WORDS, command, say, value_of
from crossalign.cli.declarations import Options, argument, option
from crossalign.cli.inputs import check_writable
from crossalign.utils.text import first_of

if TYPE_CHECKING:
    from crossalign.texts.descriptions import DescriptionSet
    from crossalign.texts.generate.endpoint import Endpoint
    from crossalign.texts.generate.language_model import GenerationResult
    from crossalign.texts.generate.prompts import GenerationOptions, PromptSet, Question

_SHOWN = 20  # classes or answers that are named before the rest is counted


@dataclass(frozen=True)
class _Wordnet(Options, heading="Wordnet"):
    wordnet: bool = option("Take the glosses of an installed wordnet instead.", default=False)
    lexicon: str | None = option("Wordnet to use, such as oewn:2025; any in English else.")


@dataclass(frozen=True)
class _Texts(Options, heading="Descriptions"):
    domain: str = option('What kind of thing all classes are, such as "type of bird".', default="")
    prompts: str = option(
        "Prompt set: local, cupl, clip-d, or a .json file with one.", default="local"
    )
    number: int = option("Descriptions of a class.", default=12)
    words: int = option("Most words of a description.", default=20)
    language: str = option("Language of the descriptions.", default="English")
    naming: Literal["always", "never", "any"] | None = option(
        "Whether they name their class; as the prompt set has it by default."
    )

    def load(self) -> tuple[PromptSet, GenerationOptions]:
        from crossalign.texts.generate.prompts import GenerationOptions, get_prompt_set

        with value_of("--prompts"):
            prompts = get_prompt_set(self.prompts)
        with value_of("--number", "--words", "--language", "--domain"):
            return prompts, GenerationOptions(
                self.number, self.words, self.language, self.domain, self.naming
            )


@dataclass(frozen=True)
class _Model(Options, heading="Language model"):
    llm: str | None = option("Base URL of an OpenAI-compatible endpoint.", metavar="URL")
    llm_model: str | None = option("Name of the model there.")
    parallel: int = option("Requests at a time.", default=4, min=1)
    tries: int = option(
        "Answers to a question that may be bad, earlier runs' too.", default=3, min=1
    )
    timeout: float = option("Seconds for one answer.", default=120.0)
    temperature: float | None = option("Of the model's sampling.")
    max_tokens: int | None = option("Most tokens of an answer.")
    price: tuple[float, float] | None = option(
        "Price of a million tokens of prompts and answers.", metavar="IN OUT"
    )

    def endpoint(self) -> Endpoint:
        from crossalign.texts.generate.endpoint import Endpoint, key_for

        if self.llm is None or self.llm_model is None:
            raise typer.BadParameter("--llm URL needs --llm-model NAME beside it")
        with value_of("--timeout", "--temperature", "--max-tokens", "--llm"):
            return Endpoint(
                self.llm,
                self.llm_model,
                key_for(self.llm),
                self.timeout,
                self.temperature,
                self.max_tokens,
            )


@command(
    "crossalign describe birds.txt --out birds.json --llm http://localhost:11434/v1 "
    "--llm-model qwen2.5:7b",
    under=WORDS,
)
def describe(
    *,
    classes: Path = argument("CLASSES", "Class names: .txt with one a line, or .json."),
    model: _Model,
    wordnet: _Wordnet,
    wanted: _Texts,
    out: Path | None = option("Where to write the descriptions.", metavar="FILE.json"),
    overwrite: bool = option(
        "Write over texts in FILE.json that were made by hand.", default=False
    ),
    dry_run: bool = option("Show what would be asked and its cost; ask nothing.", default=False),
) -> int:
    """Have descriptions written for class names, by a language model or from a wordnet.

    The endpoint's key is read from the environment variable CROSSALIGN_LLM_KEY. Every answer is
    kept beside FILE.json at once; the same command goes on where an earlier one ended. Classes
    whose texts somebody changed in FILE.json since stay as they are.
    """
    from crossalign.texts.descriptions import DescriptionSet

    if wordnet.wordnet == (model.llm is not None):
        raise typer.BadParameter("give either --llm URL with --llm-model NAME, or --wordnet")
    if out is not None and out.suffix.lower() != ".json":
        raise typer.BadParameter(f"{out}: expected a .json file", param_hint="--out")
    if out is None and not dry_run:
        raise typer.BadParameter("name the output: --out FILE.json")
    names = DescriptionSet.load(classes)
    if out is not None and not dry_run:
        check_writable("--out", out)
    target = None if out is None else _Target(out, names.classes, overwrite)
    if wordnet.wordnet:
        return _from_wordnet(names, target, wordnet.lexicon, wanted.domain, dry_run)

    from crossalign.texts.generate.prompts import make_questions

    endpoint = model.endpoint()
    prompts, options = wanted.load()
    asked = names.classes if target is None else target.to_describe()
    questions = make_questions(asked, prompts, options)
    if dry_run or target is None:
        return _plan(questions, endpoint, out, model)
    settings = {
        "prompts": prompts.name,
        **dataclasses.asdict(options),
        "naming": options.naming or prompts.naming,
    }
    return _ask(asked, questions, endpoint, settings, target, model)


@dataclass(frozen=True, slots=True)
class _Target:
    """The file to be written, which may be there and hold what somebody made by hand."""

    path: Path
    names: tuple[str, ...]
    overwrite: bool

    def kept(self) -> DescriptionSet | None:
        from crossalign.texts.generate.manual_edits import edited_by_hand

        return None if self.overwrite else edited_by_hand(self.path)

    def to_describe(self) -> list[str]:
        """Leave out, and name, the classes that are kept as they are."""
        from crossalign.texts.generate.manual_edits import without

        kept = self.kept()
        if kept is not None:
            say(
                f"kept as they are in {self.path}, since their texts are not those that were "
                f"written there: {_listed(kept.classes)}; --overwrite has them written anew"
            )
        return without(self.names, kept)

    def save(self, described: DescriptionSet | None, missing: Sequence[str], code: int) -> int:
        from crossalign.texts.generate.manual_edits import merged, without

        kept = self.kept()  # again: somebody may be at work on it while answers come in
        missing = without(missing, kept)
        if missing:
            say(f"NOT in the file, for lack of any description: {_listed(missing)}")
            code = SOME_FAILED
        whole = merged(self.names, described, kept)
        if whole is None:
            say(f"no description at all; {self.path} is not written")
            return SOME_FAILED
        whole.save(self.path)
        count = sum(map(len, whole.texts))
        typer.echo(f"{count} descriptions of {len(whole)} classes written to {self.path}")
        return code


def _listed(names: Sequence[str]) -> str:
    from crossalign.texts.quality import visible

    return first_of([visible(name) for name in names], _SHOWN)


def _plan(questions: list[Question], endpoint: Endpoint, out: Path | None, model: _Model) -> int:
    from crossalign.texts.generate.journal import Journal, journal_path
    from crossalign.texts.generate.language_model import estimate, still_open

    left = questions
    if out is not None and journal_path(out).is_file():
        with Journal(journal_path(out)) as journal:
            left = still_open(questions, endpoint, journal, model.tries)
    for question in questions:
        if question.class_name == questions[0].class_name:
            typer.echo(f"{question.prompt}\n")
    found = estimate(left)
    done = f" ({len(questions) - len(left)} answered already)" if len(left) < len(questions) else ""
    typer.echo(
        f"{found.questions} questions to {endpoint.model}{done}, those about the first class as "
        f"above; about {found.tokens_in} tokens in, {found.tokens_out} tokens out"
    )
    if (price := model.price) is not None:
        typer.echo(f"about {found.cost(*price):.4f} at {price[0]:g} and {price[1]:g} a million")
    return OK


def _ask(
    names: Sequence[str],
    questions: list[Question],
    endpoint: Endpoint,
    settings: dict[str, str | int],
    target: _Target,
    model: _Model,
) -> int:
    from crossalign.errors import WriterError
    from crossalign.texts.generate.endpoint import Client
    from crossalign.texts.generate.journal import Journal, journal_path
    from crossalign.texts.generate.language_model import compose, write
    from crossalign.utils.progress import Progress

    if endpoint.exposes_key:
        say("warning: the key goes to this endpoint unencrypted (http, not https)")
    path = journal_path(target.path)
    with (
        contextlib.closing(Client(endpoint)) as client,
        Journal(path) as journal,
        Progress("questions answered", len(questions)) as progress,
    ):
        if journal.unreadable:
            say(f"{path}: {journal.unreadable} torn or foreign lines were passed over")
        try:
            outcome = write(
                questions,
                client,
                endpoint,
                journal,
                parallel=model.parallel,
                tries=model.tries,
                on_progress=progress.update,
            )
        except KeyboardInterrupt:
            say(f"what was answered is kept in {path}; the same command goes on from there")
            raise
    say(
        f"{outcome.asked} requests; {outcome.tokens_in} tokens in, {outcome.tokens_out} tokens out "
        "as the endpoint counts"
    )
    if outcome.open:
        reasons = Counter(reason for _, reason in outcome.open)
        told = ", ".join(f"{reason} ({count})" for reason, count in reasons.most_common(3))
        message = f"{len(outcome.open)} of {len(questions)} questions are open: {told}"
        if not outcome.written:
            raise WriterError(f"{endpoint.url} did not answer: {told}. Is it running?")
        say(f"{message}. {target.path} is not written; the same command goes on from {path}")
        return SOME_FAILED
    described, missing = compose(names, outcome.written, dict(settings))
    _report_bad(outcome, model.tries)
    return target.save(described, missing, SOME_FAILED if outcome.bad else OK)


def _report_bad(outcome: GenerationResult, tries: int) -> None:
    from crossalign.texts.generate.answers import CUT_OFF
    from crossalign.texts.quality import visible

    for item in outcome.bad[:_SHOWN]:
        asked = visible(item.question.template, 60)
        say(f'bad answers: {visible(item.question.class_name)}, "{asked}": {item.problem}')
    if any(item.problem.startswith(CUT_OFF) for item in outcome.bad):
        say("answers were cut off: raise --max-tokens, or the limit of the endpoint")
    if outcome.bad:
        say(
            f"{len(outcome.bad)} questions have no good answer after {tries} tries; what was "
            "usable is kept. --tries sets how many are made"
        )


def _from_wordnet(
    names: DescriptionSet, target: _Target | None, lexicon: str | None, domain: str, dry_run: bool
) -> int:
    from crossalign.texts.generate.wordnet import describe_classes
    from crossalign.texts.quality import visible

    if target is not None:
        target.to_describe()
    described, senses, missing = describe_classes(names.classes, lexicon=lexicon, domain=domain)
    for sense in senses:
        typer.echo(f"{visible(sense.class_name)}: {visible(sense.gloss)}  ({sense.synset})")
    if target is None or dry_run:
        return SOME_FAILED if missing else OK
    return target.save(described, missing, OK)
