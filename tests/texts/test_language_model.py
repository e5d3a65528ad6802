"""The way to a language model, against a real server on this machine that speaks the protocol."""

from __future__ import annotations

import contextlib
import email.utils
import http.server
import io
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from crossalign import DescriptionSet, WriterError
from crossalign.cli import main
from crossalign.texts.generate.answers import read_answer
from crossalign.texts.generate.endpoint import MAX_BYTES, Client, Endpoint, key_for, retry_after
from crossalign.texts.generate.journal import Journal, Record, journal_path
from crossalign.texts.generate.language_model import (
    GenerationResult,
    RetryPolicy,
    compose,
    estimate,
    still_open,
    write,
)
from crossalign.texts.generate.prompts import (
    PROMPT_SETS,
    GenerationOptions,
    PromptSet,
    Question,
    make_questions,
)
from crossalign.texts.lint import lint
from crossalign.texts.quality import digest, text_id

KEY = "sk-quite-secret-0123456789"
CLASSES = ("pug", "red panda", "owl")

Reply = tuple[int, dict[str, str], bytes]


def envelope(text: Any, **more: Any) -> Reply:
    usage = {"prompt_tokens": 100, "completion_tokens": 40}
    body = {"choices": [{"message": {"role": "assistant", "content": text}}], "usage": usage}
    return 200, {}, json.dumps({**body, **more}).encode()


def count_and_name(prompt: str) -> tuple[int, str]:
    named = re.search(r'contain the name "(.*)"', prompt)
    count = re.search(r"JSON array of (\d+)", prompt)
    assert count is not None
    return int(count[1]), named[1] if named else ""


def sentences(prompt: str, salt: str = "") -> list[str]:
    count, name = count_and_name(prompt)
    ask = prompt.splitlines()[0].split()[3]
    return [f"The {ask} part {place}{salt} of the {name}." for place in range(count)]


def good(prompt: str) -> Reply:
    return envelope(json.dumps(sentences(prompt)))


class Server:
    """Answers as a script says; writes down what it was asked.

    The script gets the prompt and how often it was asked before, and gives (status, headers, body);
    it may block or raise ``ConnectionError`` to drop the connection.
    """

    def __init__(self, script: Callable[[str, int], Reply]) -> None:
        self.script = script
        self.prompts: list[str] = []
        self.answered: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.times: list[float] = []
        self.bodies: list[dict[str, Any]] = []
        self._lock = threading.Lock()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.handle(self)

            def log_message(self, *arguments: Any) -> None:
                pass

        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}/v1"
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()

    def handle(self, request: http.server.BaseHTTPRequestHandler) -> None:
        body = json.loads(request.rfile.read(int(request.headers["content-length"])))
        prompt = body["messages"][0]["content"]
        with self._lock:
            before = self.prompts.count(prompt)
            self.prompts.append(prompt)
            self.bodies.append({"path": request.path, **body})
            self.headers.append({k.lower(): v for k, v in request.headers.items()})
        try:
            status, headers, content = self.script(prompt, before)
        except ConnectionError:
            request.connection.close()
            return
        try:
            request.send_response(status)
            for name, value in {"content-type": "application/json", **headers}.items():
                request.send_header(name, value)
            if "content-length" not in headers:
                request.send_header("content-length", str(len(content)))
            request.end_headers()
            request.wfile.write(content)
            with self._lock:
                self.answered.append(prompt)
        except OSError:  # the other side has gone
            pass

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[str, int], Reply]], Server]]:
    servers: list[Server] = []

    def start(script: Callable[[str, int], Reply]) -> Server:
        servers.append(Server(script))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


class Clock:
    """Time that passes only by sleeping, and is written down."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []
        self._lock = threading.Lock()

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.slept.append(seconds)
            self.now += seconds


@pytest.fixture(autouse=True)
def _quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy disk takes its time over every answer; that they are synced has a test of its own."""
    monkeypatch.setattr("crossalign.texts.generate.journal.os.fsync", lambda file: None)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ask(tmp_path: Path, clock: Clock) -> Callable[..., GenerationResult]:
    """Have the questions about some classes answered by a server, with a journal in tmp_path."""

    def run(
        server: Server, classes: Any = CLASSES, number: int = 4, **options: Any
    ) -> GenerationResult:
        questions = make_questions(classes, PROMPT_SETS["local"], GenerationOptions(number=number))
        timeout = options.pop("timeout", 20.0)
        endpoint = options.pop("endpoint", Endpoint(server.url, "m", KEY, timeout=timeout))
        settings = options.pop("retry", {})
        retry = RetryPolicy(sleep=clock.sleep, clock=clock, **settings)
        client = Client(endpoint)
        try:
            with Journal(tmp_path / "out.json.journal.jsonl") as journal:
                return write(questions, client, endpoint, journal, retry=retry, **options)
        finally:
            client.close()

    return run


# ----------------------------------------------------------------------------------- good answers


def test_good_answers_become_a_file_with_provenance(
    serve: Any, ask: Callable[..., GenerationResult], tmp_path: Path
) -> None:
    server = serve(lambda prompt, before: good(prompt))
    outcome = ask(server, number=6)
    assert len(server.prompts) == outcome.asked == len(CLASSES) * 4
    assert (outcome.open, outcome.bad) == ([], [])
    assert (outcome.tokens_in, outcome.tokens_out) == (1200, 480)
    described, missing = compose(CLASSES, outcome.written, {"prompts": "local"})
    assert missing == []
    assert described is not None
    assert described.classes == CLASSES
    assert [len(texts) for texts in described.texts] == [6, 6, 6]
    assert lint(described) == []

    described.save(tmp_path / "out.json")
    again = DescriptionSet.load(tmp_path / "out.json")
    assert again == described
    assert again.provenance == described.provenance
    plain = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert plain["owl"] == list(described["owl"]), "a reader that knows nothing of provenance"
    answers = plain["$provenance"]["answers"]
    said = {text for answer in answers for text in answer["texts"]}
    assert said == {text_id(text) for group in described.texts for text in group}
    assert all(answer["model"] == "m" and answer["time"].endswith("+00:00") for answer in answers)


def test_what_is_sent(serve: Any, ask: Callable[..., GenerationResult]) -> None:
    server = serve(lambda prompt, before: good(prompt))
    endpoint = Endpoint(server.url, "some-model", KEY, temperature=0.5, max_tokens=300)
    ask(server, ["owl"], endpoint=endpoint)
    body = server.bodies[0]
    assert body["path"] == "/v1/chat/completions"
    assert (body["model"], body["temperature"], body["max_tokens"]) == ("some-model", 0.5, 300)
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"


def test_only_the_key_that_is_meant_is_sent(
    serve: Any, ask: Callable[..., GenerationResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.setenv(name, "not-for-strangers")
    custom = "X-Mine: not-for-strangers\nAuthorization: Bearer not-for-strangers"
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", custom)
    monkeypatch.delenv("CROSSALIGN_LLM_KEY", raising=False)
    server = serve(lambda prompt, before: good(prompt))
    assert key_for(server.url) == ""
    assert key_for("https://api.openai.com/v1") == "not-for-strangers"
    ask(server, ["owl"], endpoint=Endpoint(server.url, "m", key_for(server.url)))
    assert "authorization" not in server.headers[0]
    ask(server, ["hen"], endpoint=Endpoint(server.url, "m", KEY))
    assert server.headers[-1]["authorization"] == f"Bearer {KEY}"
    assert "not-for-strangers" not in str(server.headers)
    monkeypatch.setenv("CROSSALIGN_LLM_KEY", f" {KEY}\n")
    assert key_for(server.url) == key_for("https://api.openai.com/v1") == KEY


# ------------------------------------------------------------------------------------ bad answers

BAD = {
    "too few": lambda p: envelope(json.dumps(sentences(p)[:-1])),
    "a refusal": lambda p: envelope("I'm sorry, but I can't help with that."),
    "malformed JSON": lambda p: envelope('["The beak of the owl.", "The'),
    "numbers": lambda p: envelope("[1, 2, 3]"),
    "nothing": lambda p: envelope(None),
    "HTML": lambda p: envelope(json.dumps([f"<script>{x}</script>" for x in sentences(p)])),
    "escapes": lambda p: envelope(json.dumps([f"\x1b[31m{x}" for x in sentences(p)])),
    "half a character": lambda p: envelope(json.dumps([f"{x}\ud800" for x in sentences(p)])),
    "no name": lambda p: envelope(json.dumps(["A thing."] * count_and_name(p)[0])),
    "huge": lambda p: (200, {}, b" " * (MAX_BYTES + 1000)),
    "long": lambda p: envelope(json.dumps(sentences(p)) + "x" * 30_000),
    "too wordy": lambda p: envelope(json.dumps([x + " and" * 30 for x in sentences(p)])),
    "zipped": lambda p: (200, {"content-encoding": "gzip"}, b"\x1f\x8b"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_answers_are_asked_for_again(
    serve: Any, ask: Callable[..., GenerationResult], kind: str
) -> None:
    server = serve(lambda prompt, before: BAD[kind](prompt) if before == 0 else good(prompt))
    outcome = ask(server, ["owl"], number=8)
    assert (outcome.open, outcome.bad) == ([], [])
    assert Counter(server.prompts) == dict.fromkeys(server.prompts, 2)
    assert sum(len(item.texts) for item in outcome.written) == 8


@pytest.mark.parametrize("kind", BAD)
def test_what_stays_bad_is_bounded_and_harmless(
    serve: Any, ask: Callable[..., GenerationResult], kind: str, tmp_path: Path
) -> None:
    server = serve(lambda prompt, before: BAD[kind](prompt))
    outcome = ask(server, ["owl"], number=8, tries=2)
    assert Counter(server.prompts) == dict.fromkeys(server.prompts, 2)
    assert len(outcome.bad) == 4
    assert all(item.problem.isascii() and len(item.problem) < 80 for item in outcome.bad)
    described, missing = compose(["owl"], outcome.written, {})
    if described is not None:
        assert not [x for x in lint(described) if x.check not in ("too-few", "naming")]
    else:
        assert missing == ["owl"]
    journal = (tmp_path / "out.json.journal.jsonl").read_bytes()
    assert journal.isascii()
    assert all(byte >= 32 or byte == 10 for byte in journal)
    assert len(journal) < 8 * 30_000
    assert ask(server, ["owl"], number=8, tries=2).asked == 0, "nor asked for in the next run"
    assert ask(server, ["owl"], number=8, tries=3).asked == 4, "unless more tries are allowed"


# ---------------------------------------------------------------------------- limits and breakdowns


def test_retry_after_is_honoured_by_all(
    serve: Any, ask: Callable[..., GenerationResult], clock: Clock
) -> None:
    def script(prompt: str, before: int) -> Reply:
        server.times.append(clock.now)
        return (429, {"retry-after": "17"}, b"{}") if len(server.times) == 1 else good(prompt)

    server: Server = serve(script)
    outcome = ask(server, parallel=1)
    assert (outcome.open, outcome.bad) == ([], [])
    assert server.times[0] == 0
    assert set(server.times[1:]) == {17.0}


def test_a_limit_without_a_time_backs_off(
    serve: Any, ask: Callable[..., GenerationResult], clock: Clock
) -> None:
    server = serve(lambda prompt, before: (429, {}, b"") if before < 4 else good(prompt))
    outcome = ask(server, ["owl"], number=1)
    assert not outcome.open
    assert clock.slept == [1, 2, 4, 8]


def test_a_limit_of_hours_is_not_waited_for(
    serve: Any, ask: Callable[..., GenerationResult], clock: Clock
) -> None:
    server = serve(lambda prompt, before: (429, {"retry-after": "7200"}, b"{}"))
    outcome = ask(server, parallel=1)
    assert clock.slept == []
    assert len(outcome.open) == 12
    assert len(server.prompts) == 1
    assert outcome.open[0][1] == "it asks to wait 7200 seconds"


def drop(prompt: str) -> Reply:
    raise ConnectionError


BROKEN = {
    "500": lambda p: (500, {}, b'{"error": {"message": "out of memory"}}'),
    "503 with HTML": lambda p: (503, {}, b"<html>" * 1000),
    "dropped": drop,
    "not the protocol": lambda p: (200, {}, b"<html>hello</html>"),
    "half an answer": lambda p: (200, {"content-length": "1000"}, b'{"choices": ['),
    "no choices": lambda p: (200, {}, b'{"choices": []}'),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_breakdowns_are_survived(
    serve: Any, ask: Callable[..., GenerationResult], clock: Clock, kind: str
) -> None:
    server = serve(lambda prompt, before: BROKEN[kind](prompt) if before < 2 else good(prompt))
    outcome = ask(server, ["owl"], number=1, timeout=1.0)
    assert (outcome.open, outcome.bad) == ([], [])
    assert outcome.asked == 3
    assert clock.slept == [1, 2]


@pytest.mark.parametrize("kind", BROKEN)
def test_breakdowns_end_the_run_in_time(
    serve: Any, ask: Callable[..., GenerationResult], kind: str
) -> None:
    server = serve(lambda prompt, before: BROKEN[kind](prompt))
    settings = {"tries": 2, "unheard": 2, "in_a_row": 2}
    outcome = ask(server, parallel=1, timeout=1.0, retry=settings)
    assert len(outcome.open) == 12
    assert outcome.asked == 4, "two questions, twice each, and no more"
    assert ask(serve(lambda p, before: good(p))).asked == 12, "and nothing is settled by it"


@pytest.mark.parametrize("drip", [False, True])
def test_slow_answers_end_in_time(
    serve: Any, ask: Callable[..., GenerationResult], drip: bool
) -> None:
    release = threading.Event()

    def script(prompt: str, before: int) -> Reply:
        if before == 0:
            release.wait(1.5)
        return good(prompt)

    server = serve(script)
    if drip:
        original = server.handle

        def handle(request: http.server.BaseHTTPRequestHandler) -> None:
            if server.prompts:
                original(request)
                return
            length = int(request.headers["content-length"])
            prompt = json.loads(request.rfile.read(length))["messages"][0]["content"]
            server.prompts.append(prompt)
            content = good(prompt)[2]
            request.send_response(200)
            request.send_header("content-length", str(len(content)))
            request.end_headers()
            try:
                for place in range(0, len(content), 8):
                    request.wfile.write(content[place : place + 8])
                    request.wfile.flush()
                    if release.wait(0.1):
                        break
            except OSError:
                pass

        server.handle = handle
    outcome = ask(server, ["owl"], number=1, timeout=0.5)
    release.set()
    assert (outcome.open, outcome.bad) == ([], [])
    assert len(server.prompts) == 2


def test_nobody_there(ask: Callable[..., GenerationResult], serve: Any, clock: Clock) -> None:
    server = serve(lambda prompt, before: good(prompt))
    server.close()
    outcome = ask(server, parallel=1)
    assert {reason for _, reason in outcome.open} <= {"the connection failed", "not asked any more"}
    assert outcome.asked == 9, "three questions, three times each"


# ------------------------------------------------------------------------------- refused for good

REFUSED = {401: "CROSSALIGN_LLM_KEY", 403: "no right", 404: "model's name", 400: "settings"}


@pytest.mark.parametrize("status", REFUSED)
def test_refusals_for_good(serve: Any, ask: Callable[..., GenerationResult], status: int) -> None:
    body = b'{"error": {"message": "no \\u001b[31msuch thing"}}'
    server = serve(lambda prompt, before: (status, {}, body))
    with pytest.raises(WriterError, match=REFUSED[status]) as caught:
        ask(server, parallel=1)
    assert len(server.prompts) == 1
    assert f"status {status}" in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert "such thing" in str(caught.value)


@pytest.mark.parametrize("what", ["key", "prompt", "part of the prompt"])
def test_an_error_that_repeats_secrets_is_not_repeated(
    serve: Any, ask: Callable[..., GenerationResult], what: str
) -> None:
    def script(prompt: str, before: int) -> Reply:
        said = {"key": KEY, "prompt": prompt, "part of the prompt": prompt.splitlines()[1]}[what]
        return 400, {}, json.dumps({"error": {"message": f"bad: {said}"}}).encode()

    with pytest.raises(WriterError) as caught:
        ask(serve(script), parallel=1)
    assert "bad:" not in str(caught.value)
    assert KEY not in str(caught.value)


def test_redirects_are_not_followed(serve: Any, ask: Callable[..., GenerationResult]) -> None:
    other = serve(lambda prompt, before: good(prompt))
    location = {"location": f"{other.url}/chat/completions"}
    server = serve(lambda prompt, before: (307, location, b""))
    with pytest.raises(WriterError, match="307"):
        ask(server, parallel=1)
    assert other.prompts == []


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://host/v1", "base URL"),
        ("localhost:8000", "base URL"),
        ("http://", "base URL"),
        ("http://host:99999/v1", "base URL"),
        ("https://user:word@host/v1", "CROSSALIGN_LLM_KEY"),
        ("https://host/v1?api-key=x", "CROSSALIGN_LLM_KEY"),
    ],
)
def test_urls_that_are_refused(url: str, words: str) -> None:
    with pytest.raises(WriterError, match=words):
        Endpoint(url, "m")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"model": " "}, "model"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": float("nan")}, "timeout"),
        ({"key": "a\nb"}, "key"),
        ({"key": "schlüssel"}, "key"),
    ],
)
def test_endpoints_that_are_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(WriterError, match=words) as caught:
        replace(Endpoint("http://127.0.0.1/v1", "m"), **fields)
    assert "schlüssel" not in str(caught.value)


def test_the_key_is_nowhere_to_be_read(
    serve: Any,
    ask: Callable[..., GenerationResult],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("crossalign").setLevel(logging.DEBUG)
    server = serve(lambda p, before: good(p) if before else (500, {}, b"{}"))
    outcome = ask(server)
    described, _ = compose(CLASSES, outcome.written, {})
    assert described is not None
    described.save(tmp_path / "out.json")
    assert KEY not in repr(Endpoint(server.url, "m", KEY))
    assert KEY not in caplog.text
    ours = [record for record in caplog.records if record.name.startswith("crossalign")]
    assert not ours, "there is no log of ours for a prompt to be in"
    assert KEY not in "".join(capfd.readouterr())
    for file in tmp_path.iterdir():
        assert KEY.encode() not in file.read_bytes()
    assert server.prompts[0] not in (tmp_path / "out.json").read_text(encoding="utf-8")


def test_keys_over_plain_http() -> None:
    assert Endpoint("http://example.org/v1", "m", KEY).exposes_key
    assert not Endpoint("http://example.org/v1", "m").exposes_key
    assert not Endpoint("https://example.org/v1", "m", KEY).exposes_key
    assert not Endpoint("http://127.0.0.1:1/v1", "m", KEY).exposes_key


NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": " 0.5 "}, 0.5),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after": email.utils.formatdate(NOW + 90, usegmt=True)}, 90.0),
        ({"retry-after": email.utils.formatdate(NOW - 90, usegmt=True)}, 0.0),
        ({"retry-after": "Wed, 99 Foo 2026 10:00:00 GMT"}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers.get, lambda: NOW) == seconds


# ---------------------------------------------------------------------------------------- journal


def test_a_second_run_asks_nothing(serve: Any, ask: Callable[..., GenerationResult]) -> None:
    server = serve(lambda prompt, before: good(prompt))
    first, second = ask(server), ask(server)
    assert (first.asked, second.asked) == (12, 0)
    assert second.written == first.written
    assert ask(server, [*CLASSES, "hen"]).asked == 4, "only what is new"
    other = Endpoint(server.url, "another model")
    assert ask(server, endpoint=other).asked == 12, "another model answers for itself"


def test_a_torn_line_costs_one_answer(
    serve: Any, ask: Callable[..., GenerationResult], tmp_path: Path
) -> None:
    server = serve(lambda prompt, before: good(prompt))
    first = ask(server, parallel=1)
    path = tmp_path / "out.json.journal.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    forged = json.loads(lines[1])
    forged["answer"] = forged["answer"].replace("part", "pert")
    lines[1] = json.dumps(forged).encode() + b"\n"
    path.write_bytes(b"".join([*lines[:-1], b"not json\n", b"\n", lines[-1][:70]]))
    again = ask(server)
    assert again.asked == 2, "the torn one, and the one that its hash disowns"
    assert [item.texts for item in again.written] == [item.texts for item in first.written]
    assert path.read_bytes().count(b"not json\n") == 1
    with Journal(path) as journal:
        assert journal.unreadable == 2


def test_an_answer_is_on_disk_before_it_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    write_ = os.write
    monkeypatch.setattr(
        "crossalign.texts.generate.journal.os.fsync", lambda file: done.append("sync")
    )
    monkeypatch.setattr(
        "crossalign.texts.generate.journal.os.write",
        lambda file, content: done.append("write") or write_(file, content[:50]),
    )
    record = Record("k", "owl", "m", "?", "now", "An owl.", digest("An owl."))
    with Journal(tmp_path / "j") as journal:
        done.clear()
        journal.add(record)
        assert set(done[:-1]) == {"write"}, "in pieces, where the system takes no more at once"
        assert len(done) > 3
        assert done[-1] == "sync"
    with Journal(tmp_path / "j") as journal:
        assert journal.answers("k") == [record]
    assert not journal.add(record), "closed"


@pytest.mark.skipif(os.name != "posix", reason="needs file locks of POSIX")
def test_two_runs_at_once_are_one_too_many(tmp_path: Path) -> None:
    with (
        Journal(tmp_path / "j"),
        pytest.raises(WriterError, match="another process"),
        Journal(tmp_path / "j"),
    ):
        pass
    with Journal(tmp_path / "j"):
        pass


def test_a_journal_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(WriterError, match="cannot be opened"):
        Journal(tmp_path / "no" / "j")


def test_a_full_disk_ends_the_run(
    serve: Any, ask: Callable[..., GenerationResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> int:
        raise OSError(28, "No space left on device")

    server = serve(lambda prompt, before: good(prompt))
    with monkeypatch.context() as patch:
        patch.setattr("crossalign.texts.generate.journal.os.write", full)
        with pytest.raises(OSError, match="No space left"):
            ask(server, parallel=1)
    assert len(server.prompts) == 1
    assert ask(server).asked == 12


# --------------------------------------------------------------------------------- the questions


def test_questions_share_out_the_number() -> None:
    questions = make_questions(["a_b", "owl"], PROMPT_SETS["local"], GenerationOptions(number=6))
    assert [q.rules.count for q in questions] == [2, 2, 1, 1] * 2
    assert all('"a b"' in q.prompt for q in questions[:4])
    assert len(make_questions(["owl"], PROMPT_SETS["local"], GenerationOptions(number=2))) == 2
    keys = {q.key("m", {}) for q in questions} | {questions[0].key("n", {})}
    assert len(keys) == 9
    assert estimate(questions).tokens_out == 12 * (30 + 4)
    assert estimate(questions).cost(1e6, 0) == estimate(questions).tokens_in


def test_wishes_reach_the_prompt() -> None:
    options = GenerationOptions(
        number=1, words=9, language="German", domain="animal of the alps", naming="any"
    )
    (question,) = make_questions(["ibex"], PROMPT_SETS["clip-d"], options)
    assert "an ibex (an animal of the alps)" in question.prompt
    assert "in German" in question.prompt
    assert "at most 9 words" in question.prompt
    assert "contain" not in question.prompt
    assert (question.rules.script, question.rules.language) == ("LATIN", "german")


@pytest.mark.parametrize(
    ("answer", "texts", "problem"),
    [
        (["Die langen Hörner des ibex.", "Ein brauner ibex auf einem Felsen."], 2, ""),
        (["The long horns of an ibex.", "An ibex on a rock."], 0, "in English, not in German"),
        (
            ["Ein ibex mit dem langen Fell und Bart.", "The long horns of the ibex in winter."],
            1,
            "(1 in English)",
        ),
        (["I'm sorry, I cannot help with that."], 0, "a refusal"),
    ],
)
def test_answers_in_another_language_are_bad(answer: list[str], texts: int, problem: str) -> None:
    (question,) = make_questions(
        ["ibex"],
        PromptSet("one", ("What is {a class}?",)),
        GenerationOptions(number=2, language="German"),
    )
    found = read_answer(json.dumps(answer), question.rules)
    assert len(found.texts) == texts
    assert problem in found.problem
    assert bool(problem) == bool(found.problem)


def test_still_open(serve: Any, ask: Callable[..., GenerationResult], tmp_path: Path) -> None:
    server = serve(lambda prompt, before: good(prompt))
    ask(server, ["owl"])
    questions = make_questions(["owl", "hen"], PROMPT_SETS["local"], GenerationOptions(number=4))
    with Journal(tmp_path / "out.json.journal.jsonl") as journal:
        left = still_open(questions, Endpoint(server.url, "m"), journal, 3)
    assert left == questions[4:]
    assert isinstance(left[0], Question)


# --------------------------------------------------------------------------- the program as it is


def program() -> str:
    found = shutil.which("crossalign", path=str(Path(sys.executable).parent))
    assert found is not None
    return found


def command(server: Server, *more: str) -> list[str]:
    endpoint = ["--llm", server.url, "--llm-model", "m", "--number", "4"]
    return [program(), "describe", "classes.txt", "--out", "out.json", *endpoint, *more]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CROSSALIGN_LLM_KEY", KEY)
    Path("classes.txt").write_text("\n".join(CLASSES), encoding="utf-8")
    return tmp_path


def run(words: list[str]) -> subprocess.CompletedProcess[str]:
    """The program, but in this process: to start one takes longer than all that it does."""
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as caught,
    ):
        main(words[1:])
    assert isinstance(caught.value.code, int)
    done = subprocess.CompletedProcess(words, caught.value.code, out.getvalue(), err.getvalue())
    assert "Traceback" not in done.stderr
    assert KEY not in done.stdout + done.stderr
    return done


def test_describe(serve: Any, folder: Path) -> None:
    server = serve(lambda prompt, before: good(prompt))
    done = run(command(server))
    assert (done.returncode, done.stdout) == (
        0,
        "12 descriptions of 3 classes written to out.json\n",
    )
    assert server.prompts[0] not in done.stderr
    assert DescriptionSet.load("out.json").classes == CLASSES
    assert run([program(), "lint", "out.json", "--text-only"]).returncode == 0
    assert len(server.prompts) == 12
    assert run(command(server)).returncode == 0
    assert len(server.prompts) == 12


def test_describe_reports_what_stays_bad(serve: Any, folder: Path) -> None:
    def script(prompt: str, before: int) -> Reply:
        return envelope("I cannot do that.") if "owl" in prompt else good(prompt)

    done = run(command(serve(script), "--tries", "2"))
    assert done.returncode == 1
    told = [line for line in done.stderr.splitlines() if line.startswith("bad answers: owl, ")]
    assert len(set(told)) == 4, "each names its question"
    assert 'owl, "What does the surface of {a class} look like: coat' in done.stderr
    assert all(line.endswith('": a refusal') for line in told)
    assert "NOT in the file, for lack of any description: owl" in done.stderr
    assert DescriptionSet.load("out.json").classes == CLASSES[:2]


def test_answers_that_are_cut_off_are_called_so(serve: Any, folder: Path) -> None:
    def script(prompt: str, before: int) -> Reply:
        if "owl" not in prompt:
            return good(prompt)
        message = {"role": "assistant", "content": '["The round face of the'}
        return envelope("", choices=[{"message": message, "finish_reason": "length"}])

    server = serve(script)
    done = run(command(server, "--tries", "1"))
    assert done.returncode == 1
    assert done.stderr.count("cut off at the limit of tokens, malformed JSON") == 4
    assert "raise --max-tokens" in done.stderr
    asked = len(server.prompts)
    assert run(command(server, "--tries", "1")).stderr.count("cut off at the limit") == 4
    assert len(server.prompts) == asked, "the journal remembers it"


def edit(change: Callable[[dict[str, Any]], Any]) -> bytes:
    content = json.loads(Path("out.json").read_text(encoding="utf-8"))
    change(content)
    Path("out.json").write_text(json.dumps(content, indent=1), encoding="utf-8")
    return Path("out.json").read_bytes()


def test_texts_mended_by_hand_are_not_written_over(serve: Any, folder: Path) -> None:
    server = serve(lambda prompt, before: good(prompt))
    assert run(command(server)).returncode == 0
    before = DescriptionSet.load("out.json")
    by_hand = ["A pug's flat, creased face.", *before["pug"][1:]]

    def change(content: dict[str, Any]) -> None:
        content["pug"] = by_hand
        content["hen"] = ["A hen's red comb."]

    edit(change)
    for _ in range(2):
        done = run(command(server))
        assert done.returncode == 0
        assert "kept as they are in out.json" in done.stderr
        assert "written there: pug, hen; --overwrite" in done.stderr
        after = DescriptionSet.load("out.json")
        assert after.to_dict() == {
            "pug": by_hand,
            "red panda": list(before["red panda"]),
            "owl": list(before["owl"]),
            "hen": ["A hen's red comb."],
        }
        answers = {answer["class"] for answer in (after.provenance or {})["answers"]}
        assert answers == set(CLASSES), "what is said of the other texts stays true"
    assert len(server.prompts) == 12
    done = run(command(server, "--overwrite"))
    assert "kept" not in done.stderr
    assert DescriptionSet.load("out.json").to_dict() == before.to_dict()


def test_what_was_not_changed_by_hand_is_written_anew(serve: Any, folder: Path) -> None:
    server = serve(lambda prompt, before: good(prompt))
    run(command(server))
    edit(lambda content: content["pug"].reverse())
    pug = DescriptionSet.load("out.json")["pug"]
    Path("classes.txt").write_text("hen\nowl\npug\n")
    done = run(command(server, "--number", "8"))
    assert done.returncode == 0
    after = DescriptionSet.load("out.json")
    assert {name: len(texts) for name, texts in after.to_dict().items()} == {
        "hen": 8,
        "owl": 8,
        "pug": 4,
    }
    assert after["pug"] == pug
    assert not [prompt for prompt in server.prompts[12:] if "pug" in prompt], "nor asked for"
    told = run(command(server, "--number", "8", "--dry-run"))
    assert "kept as they are" in told.stderr
    assert "0 questions to m (8 answered already)" in told.stdout


def test_a_file_of_somebody_elses_is_kept_and_a_broken_one_refused(
    serve: Any, folder: Path
) -> None:
    server = serve(lambda prompt, before: good(prompt))
    Path("out.json").write_text(json.dumps({"Owl": ["An owl's face."], "hen": ["A hen."]}))
    assert run(command(server)).returncode == 0
    after = DescriptionSet.load("out.json").to_dict()
    assert list(after) == ["pug", "red panda", "Owl", "hen"]
    assert (after["Owl"], after["hen"]) == (["An owl's face."], ["A hen."])
    broken = '{"pug": ["A pug'
    Path("out.json").write_text(broken)
    asked = len(server.prompts)
    done = run(command(server))
    assert done.returncode == 2
    assert "line 1" in done.stderr
    assert "--overwrite" in done.stderr
    assert (Path("out.json").read_text(), len(server.prompts)) == (broken, asked)
    assert run(command(server, "--overwrite")).returncode == 0
    assert len(DescriptionSet.load("out.json")) == 3


def test_describe_with_open_questions_writes_no_file(serve: Any, folder: Path) -> None:
    def script(prompt: str, before: int) -> Reply:
        wait = {"retry-after": "86400"}
        return (429, wait, b"") if "owl" in prompt else good(prompt)

    server = serve(script)
    done = run(command(server, "--parallel", "1"))
    assert done.returncode == 1
    assert "4 of 12 questions are open" in done.stderr
    assert not Path("out.json").exists()
    server.script = lambda prompt, before: good(prompt)
    assert run(command(server)).returncode == 0
    assert Counter(server.answered).most_common(1)[0][1] <= 2
    assert len(DescriptionSet.load("out.json")) == 3


def test_describe_with_nobody_there(serve: Any, folder: Path) -> None:
    server = serve(lambda prompt, before: (401, {}, b"{}"))
    done = run(command(server))
    assert (done.returncode, done.stdout) == (2, "")
    assert "CROSSALIGN_LLM_KEY" in done.stderr


def test_dry_run_asks_nothing(serve: Any, folder: Path) -> None:
    server = serve(lambda prompt, before: good(prompt))
    done = run(command(server, "--dry-run", "--price", "1000", "2000"))
    assert done.returncode == 0
    assert "12 questions to m" in done.stdout
    assert re.search(r"about \d+\.\d{4} at 1000 and 2000 a million", done.stdout)
    assert done.stdout.count("pug") > 4
    assert "owl" not in done.stdout
    assert server.prompts == []
    assert not journal_path(Path("out.json")).exists()
    run(command(server))
    assert "0 questions to m (12 answered already)" in run(command(server, "--dry-run")).stdout


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs signals of POSIX")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_interrupted_and_resumed(serve: Any, folder: Path, how: signal.Signals) -> None:
    """Ended with five answers on disk and two questions in flight: what was answered stays."""
    release = threading.Event()

    def script(prompt: str, before: int) -> Reply:
        with lock:
            turn = next(turns)
        if turn >= 5 and not release.is_set():
            release.wait(300)
            raise ConnectionError  # never answered
        return good(prompt)

    lock, turns = threading.Lock(), iter(range(10_000))
    server = serve(script)
    process = subprocess.Popen(
        command(server, "--parallel", "2"), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    journal = journal_path(Path("out.json"))
    until = time.monotonic() + 300
    while (
        process.poll() is None
        and time.monotonic() < until
        and (
            not journal.exists() or journal.read_bytes().count(b"\n") < 5 or len(server.prompts) < 7
        )
    ):
        time.sleep(0.02)
    process.send_signal(how)
    _, err = process.communicate(timeout=300)
    assert process.returncode == (130 if how == signal.SIGINT else -signal.SIGKILL)
    assert b"Traceback" not in err
    assert not Path("out.json").exists()
    answered = set(server.answered)
    assert len(answered) == 5
    if how == signal.SIGINT:
        assert b"the same command goes on from there" in err
    release.set()

    done = run(command(server))
    assert done.returncode == 0
    counts = Counter(server.prompts)
    assert len(counts) == 12, "none lost"
    assert all(counts[prompt] == 1 for prompt in answered), "none asked twice that was answered"
    assert sorted(counts.values()) == [1] * 10 + [2] * 2
    assert len(DescriptionSet.load("out.json")) == 3


def test_describe_without_the_package(
    folder: Path, serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    done = run(command(serve(lambda prompt, before: good(prompt))))
    assert done.returncode == 2
    assert "pip install 'crossalign[llm]'" in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "either --llm URL"),
        (["--wordnet", "--llm", "http://x/v1"], "either --llm URL"),
        (["--llm", "http://x/v1"], "--llm-model"),
        (["--llm", "x", "--llm-model", "m"], "base URL"),
        (["--llm", "http://x/v1", "--llm-model", "m", "--prompts", "best"], "prompt set"),
        (["--llm", "http://x/v1", "--llm-model", "m", "--number", "0"], "from 1 to 200"),
        (["--llm", "http://x/v1", "--llm-model", "m", "--out", "x.txt"], ".json file"),
    ],
)
def test_usage_errors(
    folder: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from crossalign.cli import main

    out = [] if "--out" in words else ["--out", "out.json"]
    with pytest.raises(SystemExit) as caught:
        main(["describe", "classes.txt", *out, *words])
    assert caught.value.code == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert sorted(path.name for path in folder.iterdir()) == ["classes.txt"]
