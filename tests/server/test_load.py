"""Many clients at once, and a service that stops and starts under them: nothing lost or mixed up.

CROSSALIGN_LOAD_ROUNDS sets how often each of the 200 clients asks; twice by default.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clients import LIMIT, fetch, form_of, send, wait_for
from clients import ask as ask_at
from crossalign import Classifier
from crossalign.images.examples import PHOTOS, photo_folder

CLIENTS = 200
ROUNDS = int(os.environ.get("CROSSALIGN_LOAD_ROUNDS", "2"))
WORDS = {"red": ["red as a rose", "red"], "green": ["green leaves"], "blue": ["a blue sky", "sea"]}


def same(got: dict[str, Any], expected: dict[str, float], tolerance: float = 1e-6) -> bool:
    scores = {one["label"]: one["score"] for one in got["ranked"]}
    return scores.keys() == expected.keys() and np.allclose(
        [scores[name] for name in expected], list(expected.values()), atol=tolerance
    )


@pytest.mark.slow
def test_two_hundred_clients_get_their_own_answers(
    live: Any, make_encoder: Any, photo_file: Callable[..., bytes]
) -> None:
    """Every reply equals the offline result of its own picture; those told to wait come again."""
    pictures = [photo_file(colour, n) for n in range(14) for colour in ("red", "green", "blue")]
    offline = Classifier(WORDS, encoder=make_encoder(), crops=4)
    expected = [
        dict(zip(offline.classes, prediction.scores.tolist(), strict=True))
        for prediction in offline.predict(pictures)
    ]
    assert len({tuple(scores.values()) for scores in expected}) == len(pictures)
    forms = [form_of(file, descriptions=json.dumps(WORDS), crops=4) for file in pictures]
    encoder = make_encoder()
    server = live(encoder, workers=8, queue=24)
    barrier = threading.Barrier(CLIENTS)

    def client(number: int) -> Counter[str]:
        seen: Counter[str] = Counter()
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=LIMIT)
        barrier.wait(LIMIT)
        for turn in range(ROUNDS):
            which = (number + 7 * turn) % len(pictures)
            while True:
                connection.request("POST", "/v1/classify", *forms[which])
                status, got, headers = fetch(connection)
                if status != 429:
                    break
                assert int(headers["Retry-After"]) >= 1
                assert got["error"]["code"] == "queue_full"
                seen["told to wait"] += 1
                time.sleep(0.05)
            assert status == 200, got
            seen["right" if same(got, expected[which]) else "wrong"] += 1
        connection.close()
        return seen

    with ThreadPoolExecutor(CLIENTS) as pool:
        total = sum(pool.map(client, range(CLIENTS)), Counter())
    assert total["right"] == CLIENTS * ROUNDS
    assert total["wrong"] == 0
    assert total["told to wait"] > 0  # there are more clients than places
    assert max(encoder.image_batches) > 5  # views of several requests shared a batch
    assert sum(encoder.image_batches) == 5 * CLIENTS * ROUNDS


def test_a_client_that_goes_away_is_not_worked_for(
    live: Any, make_encoder: Any, photo_file: Callable[..., bytes]
) -> None:
    inner, gate = make_encoder(), threading.Event()

    class Slow(make_encoder):  # type: ignore[misc, valid-type]
        def encode_images(self, pixels: np.ndarray) -> np.ndarray:
            gate.wait(LIMIT)
            return inner.encode_images(pixels)

    server = live(Slow(), workers=1, queue=8)
    service = server.app.state.service
    connections = []
    for place in range(4):
        form = form_of(photo_file(), classes=["red", "blue"], crops=1)
        connections.append(send(server.port, form))
        wait_for(lambda place=place: len(service._jobs) == place + 1)
    for connection in connections[1:3]:
        connection.close()
    gate.set()
    for connection in (connections[0], connections[3]):
        assert connection.getresponse().status == 200
        connection.close()
    wait_for(lambda: len(service._jobs) == 0)
    assert inner.image_batches == [2, 2]


def test_a_slow_body_and_a_large_head_are_turned_away(live: Any, make_encoder: Any) -> None:
    server = live(make_encoder(), body_seconds=0.2, max_body_bytes=1_000_000)

    def answer_to(request: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", server.port), LIMIT) as stream:
            stream.sendall(request)
            stream.settimeout(LIMIT)
            try:
                return b"".join(iter(lambda: stream.recv(65536), b""))
            except ConnectionResetError:  # closed while a part of the request was still unread
                return b"HTTP/1.1 400 "

    post = b"POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    slow = answer_to(post + b"Content-Length: 100\r\n\r\n{")
    assert slow.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"too_slow"' in slow
    for head in (b"X-Large: " + b"x" * 200_000, b"X\x00: 1", b"Content-Length: -1"):
        assert answer_to(post + head + b"\r\n\r\n").startswith(b"HTTP/1.1 400 ")
    many = b"".join(b"X-%d: 1\r\n" % number for number in range(20_000))
    assert answer_to(post + many + b"\r\n").startswith(b"HTTP/1.1 400 ")
    # A body that is refused for its size is read to its end, so that the answer is not lost.
    large = post + b"Connection: close\r\nContent-Length: 3000000\r\n\r\n" + b"x" * 3_000_000
    assert answer_to(large).startswith(b"HTTP/1.1 413 ")
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=LIMIT)
    connection.request("GET", "/healthz")
    assert connection.getresponse().status == 200
    connection.close()


# ------------------------------------------------------------------- the real command, stopped


def free_port() -> int:
    with socket.socket() as stream:
        stream.bind(("127.0.0.1", 0))
        port: int = stream.getsockname()[1]
        return port


class Command:
    """``crossalign serve`` as its own process, which can be stopped and started again."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.port = free_port()
        self.log = folder / "log"
        self._words = [Path(sys.executable).with_name("crossalign"), "serve"]
        self._words += ["--port", str(self.port), *options]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self._words, stderr=log, stdout=log)
        wait_for(self.is_up)

    def is_up(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        try:
            return self.get("/healthz") != ""
        except OSError:
            return False

    def get(self, path: str) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT)
        try:
            connection.request("GET", path)
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(LIMIT)


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Callable[..., Command]]:
    made = []

    def make(*options: str) -> Command:
        made.append(Command(tmp_path, *options))
        made[-1].start()
        return made[-1]

    yield make
    for one in made:
        if one.process is not None and one.process.poll() is None:
            one.process.kill()
            one.process.wait()


CLASSES = ["cat", "cup of coffee", "rocket", "motorcycle"]


@pytest.mark.slow
def test_requests_in_flight_are_answered_before_it_stops(command: Callable[..., Command]) -> None:
    server = command("--workers", "4")
    photo = (photo_folder() / "chelsea.png").read_bytes()

    def ask(_: int) -> tuple[int, Any]:
        return ask_at(server.port, form_of(photo, classes=CLASSES, crops=40))[:2]

    with ThreadPoolExecutor(6) as pool:
        futures = [pool.submit(ask, number) for number in range(6)]  # 4 at work, 2 in the queue
        wait_for(lambda: "crossalign_in_flight 6.0" in server.get("/metrics"))
        server.stop()
        for future in futures:
            status, got = future.result(LIMIT)
            assert (status, got["label"]) == (200, "cat")
    log = server.log.read_text()
    assert log.count("POST /v1/classify 200") == 6
    assert "Traceback" not in log


@pytest.mark.slow
def test_a_restart_under_load_gives_no_wrong_answer(
    command: Callable[..., Command], tmp_path: Path
) -> None:
    """Clients who find the door closed come again; no answer is wrong, cut short or a failure."""
    server = command("--method", "cupl", "--class-sets", str(tmp_path / "sets"))
    files = [photo_folder() / photo.file for photo in PHOTOS[:4]]
    offline = Classifier(CLASSES, method="cupl")
    expected = [
        dict(zip(CLASSES, prediction.scores.tolist(), strict=True))
        for prediction in offline.predict(files)
    ]
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=LIMIT)
    new = json.dumps({"name": "things", "classes": CLASSES})
    connection.request("POST", "/v1/class-sets", new, {"Content-Type": "application/json"})
    assert connection.getresponse().status == 201
    connection.close()
    forms = [form_of(file.read_bytes(), class_set="things") for file in files]
    stop = threading.Event()

    def client(number: int) -> Counter[str]:
        seen: Counter[str] = Counter()
        while not stop.is_set():
            which = (number + seen["right"]) % len(forms)
            try:
                status, got, _ = ask_at(server.port, forms[which])
            except (ConnectionError, http.client.RemoteDisconnected):
                seen["closed door"] += 1  # no answer begun: it may be asked again
                time.sleep(0.05)
            else:
                assert status == 200, got
                seen["right" if same(got, expected[which], 1e-4) else "wrong"] += 1
        return seen

    def answered() -> int:
        return server.log.read_text().count("POST /v1/classify 200")

    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(client, number) for number in range(8)]
        try:
            for turn in range(2):
                before = answered()
                wait_for(lambda before=before: answered() > before + 16)
                if turn == 0:
                    server.stop()
                    server.start()
        finally:
            stop.set()
        total = sum((future.result(LIMIT) for future in futures), Counter())
    server.stop()
    assert total["wrong"] == 0
    assert total["closed door"] > 0
    assert total["right"] == answered()  # what the service says it answered has all arrived
