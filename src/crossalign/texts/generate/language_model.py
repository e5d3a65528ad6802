"""Descriptions written by a language model: many questions, each answered once and for good.

An answer is in the journal before it is used. Whatever ends a run, the next one takes up what is
there and asks only what is open.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Protocol

from crossalign.errors import WriterError
from crossalign.texts.descriptions import DescriptionSet
from crossalign.texts.generate import described_set
from crossalign.texts.generate.answers import MAX_CHARACTERS, read_answer
from crossalign.texts.generate.endpoint import Endpoint, EndpointBusy, OversizedReply, Reply
from crossalign.texts.generate.journal import Journal, Record
from crossalign.texts.generate.prompts import Question
from crossalign.texts.quality import digest, text_id

_POLL = 0.1  # seconds between looks at Ctrl-C


class Asks(Protocol):
    """Whatever can be asked: a :class:`crossalign.texts.generate.endpoint.Client`."""

    def ask(self, prompt: str) -> Reply:
        """Ask one question, once."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long to go on asking an endpoint that does not answer.

    Args:
        first: Seconds to wait after the first failure; each further wait is twice as long.
        longest: Most seconds of one wait.
        tries: Times that one question is sent before it is left open.
        unheard: The same for an endpoint that cannot be reached and never could in this run.
        limit: Most seconds that an endpoint may ask to wait (``Retry-After``) and be obeyed.
        in_a_row: Questions left open one after the other before the run ends.
        sleep: Waits for some seconds; by default until then or the end of the run.
        clock: A monotonic clock in seconds.
    """

    first: float = 1.0
    longest: float = 60.0
    tries: int = 8
    unheard: int = 3
    limit: float = 600.0
    in_a_row: int = 3
    sleep: Callable[[float], Any] | None = None
    clock: Callable[[], float] = time.monotonic


@dataclass(frozen=True, slots=True)
class Written:
    """The answer to one question that counts.

    Args:
        question: The question.
        texts: Its usable descriptions.
        record: The answer as the journal keeps it.
        problem: Why it is not all that was asked for; empty if it is.
    """

    question: Question
    texts: tuple[str, ...]
    record: Record
    problem: str = ""


@dataclass(slots=True)
class GenerationResult:
    """What came of a run.

    Args:
        written: One for each settled question, in the order of the questions.
        open: Questions without a settled answer, and why.
        asked: Requests that this run sent.
        tokens_in: Tokens that the endpoint counted in this run's prompts.
        tokens_out: And in its answers.
    """

    written: list[Written] = field(default_factory=list)
    open: list[tuple[Question, str]] = field(default_factory=list)
    asked: int = 0
    tokens_in: int = 0
    tokens_out: int = 0

    @property
    def bad(self) -> list[Written]:
        """Settled questions whose answers stayed bad."""
        return [written for written in self.written if written.problem]


def write(
    questions: Sequence[Question],
    client: Asks,
    endpoint: Endpoint,
    journal: Journal,
    *,
    parallel: int = 4,
    tries: int = 3,
    retry: RetryPolicy | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> GenerationResult:
    """Have every question answered that the journal has no answer to.

    Args:
        questions: From `make_questions`.
        client: Asks the endpoint.
        endpoint: Where it asks; for what is written down.
        journal: Keeps the answers.
        parallel: Requests in flight at a time.
        tries: Answers to one question that may be bad, those of earlier runs included.
        retry: With an endpoint that does not answer.
        on_progress: Called with the number of questions settled and their total.

    Returns:
        What came of it.

    Raises:
        WriterError: If the endpoint refuses for good; what was answered is in the journal.
    """
    if parallel < 1 or tries < 1:
        raise WriterError(
            f"expected at least 1 request at a time and 1 try; got {parallel} and {tries}."
        )
    total = len({_key(question, endpoint) for question in questions})
    pending = {
        _key(question, endpoint): question
        for question in still_open(questions, endpoint, journal, tries)
    }
    tasks = deque(pending.items())
    run = _Run(tasks, client, endpoint, journal, tries, retry or RetryPolicy())
    threads = [
        threading.Thread(target=run.work, name=f"crossalign-writer-{place}", daemon=True)
        for place in range(min(parallel, len(pending)))
    ]
    report = on_progress or (lambda _done, _total: None)
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            while thread.is_alive():
                report(total - len(pending) + run.settled, total)
                thread.join(_POLL)
    finally:
        run.stop.set()
    if run.fatal is not None:
        raise run.fatal
    report(total - len(pending) + run.settled, total)
    for question in questions:
        key = _key(question, endpoint)
        if written := _settled(question, journal.answers(key), tries):
            run.result.written.append(written)
        else:
            run.result.open.append((question, run.reasons.get(key, "not asked any more")))
    return run.result


@dataclass(slots=True)
class _Run:
    """What the threads of one run share."""

    tasks: deque[tuple[str, Question]]
    client: Asks
    endpoint: Endpoint
    journal: Journal
    tries: int
    retry: RetryPolicy
    result: GenerationResult = field(default_factory=GenerationResult)
    settled: int = 0
    stop: threading.Event = field(default_factory=threading.Event)
    fatal: BaseException | None = None
    reasons: dict[str, str] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    not_before: float = -math.inf
    lost_in_a_row: int = 0
    heard: bool = False

    def work(self) -> None:
        """Take questions until there are none, or somebody says stop."""
        try:
            while not self.stop.is_set():
                try:
                    key, question = self.tasks.popleft()
                except IndexError:
                    return
                self._settle(key, question)
                with self.lock:
                    self.settled += 1
        except BaseException as error:  # raised again in the thread that waits
            with self.lock:
                self.fatal = self.fatal or error
            self.stop.set()

    def _settle(self, key: str, question: Question) -> None:
        """Ask until an answer is good, or there were enough bad ones, or none comes at all."""
        while not self.stop.is_set():
            if _settled(question, self.journal.answers(key), self.tries):
                return
            try:
                reply = self._ask(question.prompt)
            except EndpointBusy as busy:
                with self.lock:
                    self.reasons[key] = busy.reason
                    self.lost_in_a_row += 1
                    if self.lost_in_a_row >= self.retry.in_a_row:
                        self.stop.set()
                return
            if reply is None or not self.journal.add(self._record(key, question, reply)):
                return
            with self.lock:
                self.lost_in_a_row = 0

    def _ask(self, prompt: str) -> Reply | None:
        """Send a question until something comes back; None if the run ends meanwhile."""
        failures = 0
        while True:
            self._pause()
            if self.stop.is_set():
                return None
            with self.lock:
                self.result.asked += 1
            try:
                reply = self.client.ask(prompt)
            except OversizedReply:
                reply = Reply("", 0, 0)  # an answer, and a bad one: asking for ever costs money
            except EndpointBusy as busy:
                failures += 1
                wait = busy.wait
                if wait is None:
                    wait = min(self.retry.longest, self.retry.first * 2.0 ** (failures - 1))
                heard = self.heard or not busy.unreachable
                if failures >= (self.retry.tries if heard else self.retry.unheard):
                    raise
                if wait > self.retry.limit:
                    self.stop.set()
                    raise EndpointBusy(f"it asks to wait {wait:.0f} seconds") from None
                if busy.limited:  # on all threads together, so none asks for a while
                    with self.lock:
                        self.not_before = max(self.not_before, self.retry.clock() + wait)
                else:
                    self._sleep(wait)
                continue
            with self.lock:
                self.heard = True
                self.result.tokens_in += reply.tokens_in
                self.result.tokens_out += reply.tokens_out
            return reply

    def _pause(self) -> None:
        while not self.stop.is_set():
            with self.lock:
                wait = self.not_before - self.retry.clock()
            if wait <= 0:
                return
            self._sleep(wait)

    def _sleep(self, seconds: float) -> None:
        (self.retry.sleep or self.stop.wait)(seconds)

    def _record(self, key: str, question: Question, reply: Reply) -> Record:
        # One character more than is looked at, so that it reads as too long the next time too.
        answer = reply.text[: MAX_CHARACTERS + 1]
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        asked = (key, question.class_name, self.endpoint.model, question.prompt, now)
        tokens = (reply.tokens_in, reply.tokens_out)
        return Record(*asked, answer, digest(answer), *tokens, reply.cut)


def _settled(question: Question, records: Sequence[Record], tries: int) -> Written | None:
    """Choose the answer with the most usable texts, the first of those; None while it is open."""
    read = [(read_answer(item.answer, question.rules, cut=item.cut), item) for item in records]
    answer, record = max(read, key=lambda pair: len(pair[0].texts), default=(None, None))
    if answer is None or record is None or (answer.problem and len(records) < tries):
        return None
    return Written(question, answer.texts, record, answer.problem)


def _key(question: Question, endpoint: Endpoint) -> str:
    return question.key(endpoint.model, endpoint.settings)


def compose(
    classes: Sequence[str], written: Sequence[Written], settings: dict[str, Any]
) -> tuple[DescriptionSet | None, list[str]]:
    """Make a set of what was written, with word of where each text came from.

    Args:
        classes: Class names, in order.
        written: The answers.
        settings: What was wished for; kept with the texts.

    Returns:
        The set, None if it would be empty; and the classes left out of it for lack of any text.
    """
    texts: dict[str, dict[str, str]] = {name: {} for name in classes}
    answers = []
    for item in written:
        if not item.texts:
            continue
        for text in item.texts:
            # Two answers may say the same; once is enough.
            texts[item.question.class_name].setdefault(text.casefold(), text)
        answers.append(
            {
                "class": item.question.class_name,
                "question": item.question.template,
                "model": item.record.model,
                "time": item.record.time,
                "hash": item.record.hash,
                "texts": [text_id(text) for text in item.texts],
            }
        )
    groups = {name: list(found.values()) for name, found in texts.items()}
    return described_set(groups, "language model", settings, answers)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run will take, roughly.

    Args:
        questions: Requests, if every answer is good.
        tokens_in: Tokens of the prompts, at four characters each.
        tokens_out: Tokens of the answers, at a token and a half a word.
    """

    questions: int
    tokens_in: int
    tokens_out: int

    def cost(self, price_in: float, price_out: float) -> float:
        """Give the price.

        Args:
            price_in: Of a million tokens of prompts.
            price_out: Of a million tokens of answers.

        Returns:
            In the currency of the prices.
        """
        return (self.tokens_in * price_in + self.tokens_out * price_out) / 1e6


def estimate(questions: Iterable[Question]) -> Estimate:
    """Reckon what questions will take.

    Args:
        questions: Those that will be asked.

    Returns:
        The estimate.
    """
    asked = list(questions)
    return Estimate(
        len(asked),
        sum(-(-len(question.prompt) // 4) + 8 for question in asked),
        sum(question.rules.count * (question.rules.words * 3 // 2 + 4) for question in asked),
    )


def still_open(
    questions: Iterable[Question], endpoint: Endpoint, journal: Journal, tries: int
) -> list[Question]:
    """List the questions that a run would ask.

    Args:
        questions: All questions.
        endpoint: Where they would be asked.
        journal: What is answered.
        tries: Answers to one question that may be bad.

    Returns:
        Those without a settled answer.
    """
    return [
        question
        for question in questions
        if not _settled(question, journal.answers(_key(question, endpoint)), tries)
    ]
