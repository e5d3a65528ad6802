"""Work that must end: too much of it, its client gone, a hanging encoder, a service that stops."""

from __future__ import annotations

import contextlib
import json
import logging
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clients import LIMIT, ask, fetch, form_of, send, wait_for
from crossalign.server.cancellation import Budget

SMALL = {"red": ["a rose"], "blue": ["the sea"]}
MANY = {f"class {number}": [f"text {number} {k}" for k in range(5)] for number in range(900)}
PARTS = 900 * 6 // 64  # calls of the encoder that they take at least


@pytest.fixture
def slow(make_encoder: Any) -> Any:
    """An encoder whose texts take a while, or, once it hangs, until it is let go."""

    class Slow(make_encoder):  # type: ignore[misc, valid-type]
        def __init__(self) -> None:
            super().__init__()
            self.hangs = False
            self.go = threading.Event()

        def encode_texts(self, texts: Any) -> np.ndarray:
            if self.hangs:
                assert self.go.wait(LIMIT)
            else:
                time.sleep(0.05)
            rows: np.ndarray = super().encode_texts(texts)
            return rows

    encoder = Slow()
    yield encoder
    encoder.go.set()


def words(photo: bytes, classes: Any = SMALL) -> Any:
    return form_of(photo, descriptions=json.dumps(classes), crops=1)


def idle(server: Any) -> Callable[[], bool]:
    return lambda: server.app.state.service._working == 0


def test_a_request_that_needs_too_long_is_given_up(live: Any, slow: Any, photo: bytes) -> None:
    server = live(slow, work_seconds=1.0)  # a busy machine takes a while to begin
    status, got, _ = ask(server.port, words(photo, MANY))
    assert (status, got["error"]["code"]) == (503, "too_long")
    assert "expected work of at most 1 s" in got["error"]["message"]
    wait_for(idle(server))
    assert 0 < len(slow.text_calls) < PARTS
    assert ask(server.port, words(photo))[0] == 200


def test_the_work_of_a_client_that_goes_away_ends(live: Any, slow: Any, photo: bytes) -> None:
    server = live(slow)
    connection = send(server.port, words(photo, MANY))
    wait_for(lambda: len(slow.text_calls) > 1)
    connection.close()
    wait_for(idle(server))
    assert len(slow.text_calls) < PARTS


def test_small_requests_pass_an_enormous_one(live: Any, slow: Any, photo: bytes) -> None:
    server = live(slow)
    enormous = send(server.port, words(photo, MANY))
    wait_for(lambda: len(slow.text_calls) > 1)
    assert ask(server.port, words(photo))[0] == 200
    assert server.app.state.service._working == 1
    assert len(slow.text_calls) < PARTS
    enormous.close()
    wait_for(idle(server))


@pytest.mark.slow
def test_an_encoder_that_hangs_keeps_its_worker_and_no_client(
    live: Any, slow: Any, photo: bytes
) -> None:
    server = live(slow, work_seconds=0.2, workers=1)
    slow.hangs = True
    status, got, _ = ask(server.port, words(photo))
    assert (status, got["error"]["code"]) == (503, "too_long")
    assert not idle(server)()
    status, got, headers = ask(server.port, words(photo))
    assert (status, got["error"]["code"]) == (503, "busy")
    assert int(headers["Retry-After"]) >= 1
    slow.hangs = False
    slow.go.set()
    wait_for(idle(server))
    assert ask(server.port, words(photo))[0] == 200


def test_a_client_that_leaves_while_it_sends_is_no_failure(
    live: Any, make_encoder: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def ours() -> list[logging.LogRecord]:
        return [record for record in caplog.records if record.name.startswith("crossalign")]

    server = live(make_encoder())
    kinds = ("application/json", "multipart/form-data; boundary=x")
    with caplog.at_level(logging.INFO, "crossalign.server"):
        for kind in kinds:
            with socket.create_connection(("127.0.0.1", server.port), LIMIT) as stream:
                head = f"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
                stream.sendall(f"{head}Content-Length: 100\r\n\r\n--x".encode())
                wait_for(lambda: len(server.app.state.service._jobs) == 1)
            wait_for(lambda: not server.app.state.service._jobs)
        wait_for(lambda: len(ours()) >= len(kinds))
    assert [record.levelname for record in ours()] == ["INFO"] * len(kinds)
    assert all(" 499 " in record.getMessage() for record in ours())


@pytest.mark.slow
def test_when_it_stops_all_get_an_answer(live: Any, slow: Any, photo: bytes) -> None:
    """One at work, one that waits, one whose body has not come: all are told that it stops."""
    server = live(slow, workers=1, shutdown_seconds=0.2)
    service = server.app.state.service
    slow.hangs = True
    connections = [send(server.port, words(photo))]
    wait_for(lambda: service._working == 1)
    connections.append(send(server.port, words(photo)))
    wait_for(lambda: service._waiting == 1)
    half = send(server.port, (b"", {"Content-Type": "application/json", "Content-Length": "9"}))
    wait_for(lambda: len(service._jobs) == 3)
    server.stop()
    for connection in (*connections, half):
        status, got, _ = fetch(connection)
        assert (status, got["error"]["code"]) == (503, "stopping")
        connection.close()


SCRIPT = """
import sys, threading
from conftest import FakeEncoder
from crossalign.server.run import serve
from crossalign.server.settings import Settings

class Hanging(FakeEncoder):
    def encode_texts(self, texts):
        threading.Event().wait()

serve(Hanging(), Settings(shutdown_seconds=0.5, body_seconds=60.0), port=int(sys.argv[1]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_process_even_if_the_encoder_hangs(
    number: signal.Signals, photo: bytes, tmp_path: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path / "log"
    environment = {"PYTHONPATH": str(Path(__file__).parents[1])}
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(port)], env=environment, stderr=stream
        )
    try:
        wait_for(lambda: "Uvicorn running" in log.read_text() or process.poll() is not None)
        connection = send(port, words(photo))
        wait_for(lambda: b"crossalign_working 1.0" in metrics_at(port))
        process.send_signal(number)
        status, got, _ = fetch(connection)
        connection.close()
        process.wait(LIMIT)
    finally:
        process.kill()
        process.wait()
    assert (status, got["error"]["code"]) == (503, "stopping"), log.read_text()
    if number == signal.SIGTERM:
        assert "Traceback" not in log.read_text()


def metrics_at(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), LIMIT) as stream:
        stream.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return b"".join(iter(lambda: stream.recv(65536), b""))


# ---------------------------------------------------------------------------- waiting in line


def test_who_comes_again_is_behind_those_who_wait() -> None:
    budget, order = Budget(1), []

    def other() -> None:
        with budget.holding(1):
            order.append("other")

    with budget.holding(1):
        thread = threading.Thread(target=other)
        thread.start()
        wait_for(lambda: len(budget._line) == 1)
    with budget.holding(1):
        order.append("again")
    thread.join(LIMIT)
    assert order == ["other", "again"]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 150), min_size=1, max_size=30))
def test_the_budget_holds_and_everyone_gets_through(sizes: list[int]) -> None:
    budget, lock = Budget(100), threading.Lock()
    held: list[int] = []
    seen: list[list[int]] = []

    def work(size: int) -> None:
        with budget.holding(size):
            with lock:
                held.append(size)
                seen.append(list(held))
            with lock:
                held.remove(size)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, sizes))
    assert len(seen) == len(sizes)
    for together in seen:
        large = [size for size in together if size]
        assert sum(together) <= 100 or len(large) == 1


def test_an_error_gives_its_part_back() -> None:
    budget = Budget(10)
    for _ in range(3):
        with contextlib.suppress(ValueError), budget.holding(10):
            raise ValueError
    with budget.holding(10):
        pass


def test_those_who_fit_go_side_by_side() -> None:
    budget, both = Budget(10), threading.Barrier(2)

    def work() -> None:
        with budget.holding(5):
            both.wait(30)

    with ThreadPoolExecutor(2) as pool:
        for future in [pool.submit(work) for _ in range(2)]:
            future.result(30)
