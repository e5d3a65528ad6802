"""What talks to a service over a real socket, with forms made by hand: a client costs nothing."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

LIMIT = 60
"""Seconds after which something that should have happened counts as never happening."""


def form_of(image: bytes, **fields: Any) -> tuple[bytes, dict[str, str]]:
    """Make a form: its bytes and its headers."""
    parts = [
        b'--x\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
        % (name.encode(), str(value).encode())
        for name, values in fields.items()
        for value in (values if isinstance(values, list) else [values])
    ]
    head = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
    body = b"".join([*parts, head, image, b"\r\n--x--\r\n"])
    return body, {"Content-Type": "multipart/form-data; boundary=x"}


def send(port: int, form: tuple[bytes, dict[str, str]]) -> http.client.HTTPConnection:
    """Send a form and leave its answer to be fetched."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT)
    connection.request("POST", "/v1/classify", *form)
    return connection


def fetch(connection: http.client.HTTPConnection) -> tuple[int, Any, Any]:
    """Give the status, the content and the headers of an answer."""
    reply = connection.getresponse()
    return reply.status, json.loads(reply.read()), reply.headers


def ask(port: int, form: tuple[bytes, dict[str, str]]) -> tuple[int, Any, Any]:
    """Send a form and fetch its answer."""
    connection = send(port, form)
    try:
        return fetch(connection)
    finally:
        connection.close()


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something is so, or fail."""
    for _ in range(LIMIT * 50):
        if condition():
            return
        time.sleep(0.02)
    pytest.fail("it never came to that")
