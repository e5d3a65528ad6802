"""What the tests of the service share: the application in this process, or behind a real socket."""

from __future__ import annotations

import contextlib
import io
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image

from crossalign import load_encoder
from crossalign.server.app import create_app
from crossalign.server.run import make_server
from crossalign.server.settings import Settings

COLOURS = ["red", "green", "blue"]


def file_of(image: Image.Image, kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind)
    return stream.getvalue()


@pytest.fixture
def photo(picture: Callable[..., Image.Image]) -> bytes:
    """A small red picture, as a file."""
    return file_of(picture("red"))


@pytest.fixture
def photo_file(picture: Callable[..., Image.Image]) -> Callable[..., bytes]:
    """Makes small pictures, as files."""
    return lambda colour="red", number=0: file_of(picture(colour, number))


@pytest.fixture
def make_client(make_encoder: Any) -> Iterator[Callable[..., TestClient]]:
    """Starts the application in this process; settings by name, and ``encoder``."""
    with contextlib.ExitStack() as stack:

        def make(encoder: Any = None, **settings: Any) -> TestClient:
            app = create_app(encoder or make_encoder(), Settings(**{"crops": 4, **settings}))
            return stack.enter_context(TestClient(app, raise_server_exceptions=False))

        yield make


@pytest.fixture
def client(make_client: Callable[..., TestClient]) -> TestClient:
    """The application with its own settings, but for four crops."""
    return make_client()


class Live:
    """An application behind a real socket, in a thread of this process."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app
        self._server = make_server(app, app.state.service.settings, host="127.0.0.1", port=0)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        while not self._server.started:
            assert self._thread.is_alive(), "the server did not start"
            self._thread.join(0.01)
        self.port: int = self._server.servers[0].sockets[0].getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(60)
        assert not self._thread.is_alive()


@pytest.fixture(scope="module")
def live() -> Iterator[Callable[..., Live]]:
    """Starts applications behind a real socket, given an encoder and settings by name."""
    with contextlib.ExitStack() as stack:

        def make(encoder: Any, **settings: Any) -> Live:
            started = Live(create_app(encoder, Settings(**settings)))
            stack.callback(started.stop)
            return started

        yield make


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A real browser."""
    from _browser import started

    with started(tmp_path_factory.mktemp("browser")) as driver:
        yield driver


@pytest.fixture(scope="session")
def builtin() -> Any:
    """The built-in model, loaded once."""
    return load_encoder("builtin")


@pytest.fixture(scope="session")
def page_service(builtin: Any) -> Iterator[Live]:
    """The application with the built-in model, for the page."""
    settings = Settings(crops=12, max_crops=40, max_body_bytes=2_000_000)
    started = Live(create_app(builtin, settings))
    yield started
    started.stop()


@pytest.fixture
def page(browser: Any, page_service: Any) -> Iterator[Any]:
    """The page, just opened."""
    from _browser import opened

    with opened(browser, page_service) as page:
        yield page
