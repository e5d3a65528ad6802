"""Requests a second that the service answers, with shared batches and without, in turns.

    python benchmarks/serve.py                              # about 5 minutes
    python benchmarks/serve.py --requests 16 --rounds 1     # a look, half a minute
    python benchmarks/serve.py --json serve.json

Two services run beside each other, one with shared batches, one where every request calls the
encoder by itself; clients in a process of their own ask first the one, then the other, round after
round. Every answer must name the right class. Expected on processors: no loss for one view a
request, a gain for many views, which go to the encoder in the small batches that it is fastest at.
"""

from __future__ import annotations

import http.client
import json
import multiprocessing
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from _common import Table, finish, parser, ratios, spread
from crossalign.images.examples import photo_folder

CLASSES = ["cat", "cup of coffee", "rocket", "motorcycle"]
WAYS = ("alone", "batched")


@dataclass(frozen=True)
class Load:
    """What is asked, and by how many clients at once."""

    method: str
    crops: int
    clients: int


LOADS = (
    Load("cupl", 1, 1),
    Load("cupl", 1, 16),
    Load("wca", 4, 1),
    Load("wca", 4, 16),
    Load("wca", 60, 1),
    Load("wca", 60, 8),
)


def main() -> int:
    """Print a line for each load."""
    options_ = parser(__doc__)
    options_.add_argument("--requests", type=int, default=64, help="a round, for one view each")
    options_.add_argument("--rounds", type=int, default=5)
    options_.add_argument("--model", default="builtin")
    options_.add_argument("--batch-views", type=int, default=8)
    options = options_.parse_args()
    spawn = multiprocessing.get_context("spawn")
    with service(options.model, options.batch_views) as batched, service(options.model, 0) as alone:
        ports = {"batched": batched, "alone": alone}
        print(f"{options.model}, batches of {options.batch_views}")
        table = Table(
            "serve", "method", "views", "clients", "alone, requests/s", "batched, requests/s",
            "batched to alone",
        )  # fmt: skip
        with spawn.Pool(1) as clients:
            for load in LOADS:
                count = max(load.clients, options.requests // (1 + load.crops // 4))
                rates: dict[str, list[float]] = {way: [] for way in WAYS}
                for way in WAYS:  # classes are encoded, memory is warm
                    clients.apply(rate, (ports[way], load, load.clients))
                for turn in range(options.rounds):
                    for way in WAYS[:: -1 if turn % 2 else 1]:
                        rates[way].append(clients.apply(rate, (ports[way], load, count)))
                report(table, load, rates)
    return finish(options, table, batch_views=options.batch_views)


def report(table: Table, load: Load, rates: dict[str, list[float]]) -> None:
    """Add one line."""
    views = 1 if load.method == "cupl" else 1 + load.crops
    table.add(
        load.method,
        views,
        load.clients,
        spread(rates["alone"]),
        spread(rates["batched"]),
        ratios(rates["batched"], rates["alone"]),
    )


@contextmanager
def service(model: str, batch_views: int) -> Iterator[int]:
    """Run the service until the end of the block; gives its port."""
    with socket.socket() as stream:
        stream.bind(("127.0.0.1", 0))
        port = int(stream.getsockname()[1])
    words = [Path(sys.executable).with_name("crossalign"), "serve", "--port", str(port)]
    words += ["--model", model, "--batch-views", str(batch_views), "--log-level", "warning"]
    process = subprocess.Popen(words)
    try:
        for _ in range(600):
            if process.poll() is not None:
                raise SystemExit("the service did not start")
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait(60)


def rate(port: int, load: Load, count: int) -> float:
    """Ask a number of times, by so many clients at once; gives requests a second."""
    photo = (photo_folder() / "coffee.png").read_bytes()
    fields = {"method": load.method, "crops": str(load.crops), "top": "1"}
    named = [("classes", name) for name in CLASSES] + list(fields.items())
    parts = [
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in named
    ]
    head = '--x\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
    body = "".join([*parts, head]).encode() + photo + b"\r\n--x--\r\n"

    def client(asked: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
        for _ in range(asked):
            connection.request(
                "POST", "/v1/classify", body, {"Content-Type": "multipart/form-data; boundary=x"}
            )
            reply = connection.getresponse()
            answer = json.loads(reply.read())
            if reply.status != 200 or answer["label"] != "cup of coffee":
                raise SystemExit(f"a wrong answer: {reply.status} {answer}")
        connection.close()

    shares = [
        count // load.clients + (place < count % load.clients) for place in range(load.clients)
    ]
    start = time.perf_counter()
    with ThreadPoolExecutor(load.clients) as pool:
        list(pool.map(client, shares))
    return count / (time.perf_counter() - start)


if __name__ == "__main__":
    sys.exit(main())
