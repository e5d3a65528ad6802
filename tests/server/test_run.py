"""``crossalign serve``: how it starts, and what it says when it cannot."""

from __future__ import annotations

import inspect
import logging
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from crossalign import cli
from crossalign.cli.serve import serve as command
from crossalign.encoders import registry
from crossalign.server import run as runner
from crossalign.server.settings import Settings

CHECK_ADDRESS = runner.check_address


@pytest.fixture(autouse=True)
def own_logs() -> Iterator[None]:
    """Give the loggers back as they were."""
    names = ("crossalign", "uvicorn", "py.warnings")
    before = [(logger, dict(vars(logger))) for logger in map(logging.getLogger, names)]
    yield
    logging.captureWarnings(False)
    for logger, values in before:
        vars(logger).update(values)


class Recorded:
    """A server that is never started, or one that cannot be."""

    def __init__(self, started: bool) -> None:
        self.started = started
        self.calls: list[dict[str, Any]] = []

    def make(self, app: Any, settings: Settings, **address: Any) -> Recorded:
        self.calls.append({"app": app, "settings": settings, **address})
        return self

    def run(self) -> None:
        service = self.calls[-1]["app"].state.service
        service.close()
        if not self.started:
            raise SystemExit(3)


@pytest.fixture
def serve(
    monkeypatch: pytest.MonkeyPatch, make_encoder: Any, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Any]:
    fake = registry.Scheme(usage="fake", loader=lambda rest: make_encoder())
    monkeypatch.setitem(registry._SCHEMES, "fake", fake)
    monkeypatch.delenv("CROSSALIGN_TOKEN", raising=False)

    monkeypatch.setattr(runner, "check_address", lambda host, port: None)  # it may be in use here

    def run(*words: object, started: bool = True) -> tuple[int, str, list[dict[str, Any]]]:
        recorded = Recorded(started)
        monkeypatch.setattr(runner, "make_server", recorded.make)
        with pytest.raises(SystemExit) as caught:
            cli.main(["serve", "--model", "fake", *map(str, words)])
        return caught.value.code or 0, capfd.readouterr().err, recorded.calls

    return run


def test_it_is_bound_to_this_machine_alone(serve: Callable[..., Any]) -> None:
    code, err, (call,) = serve()
    assert code == 0
    assert (call["host"], call["port"]) == ("127.0.0.1", 8000)
    assert call["settings"].allowed_hosts == ("localhost", "127.0.0.1", "[::1]")
    assert "without a token" not in err


def test_elsewhere_it_warns_unless_there_is_a_token(
    serve: Callable[..., Any], tmp_path: Path
) -> None:
    _, err, (call,) = serve("--host", "0.0.0.0")
    assert "bound to 0.0.0.0 without a token" in err
    assert call["settings"].allowed_hosts == ()
    (tmp_path / "token").write_text("0123456789abcdef")
    _, err, (call,) = serve(
        "--host", "0.0.0.0", "--token-file", tmp_path / "token", "--allowed-host", "labels.example"
    )
    assert "without a token" not in err
    assert call["settings"].token == "0123456789abcdef"
    assert "labels.example" in call["settings"].allowed_hosts


def test_options_reach_the_settings(serve: Callable[..., Any], tmp_path: Path) -> None:
    words = "--method cupl --crops 7 --workers 3 --queue 5 --batch-views 9 --batch-ms 2"
    limits = "--max-body-mb 1.5 --max-megapixels 2 --max-crops 8 --port 8080"
    texts = "--max-classes 20 --max-texts 30 --max-text-characters 40 --max-characters 50"
    kept = "--max-class-sets 6 --kept-texts 60 --no-bank --store-size 5M"
    times = "--body-seconds 1 --work-seconds 2 --shutdown-seconds 3.5"
    more = " ".join((words, limits, texts, kept, times)).split()
    _, _, (call,) = serve(*more, "--class-sets", tmp_path, "--store", tmp_path / "store")
    assert call["port"] == 8080
    assert call["settings"] == Settings(
        method="cupl",
        crops=7,
        workers=3,
        queue=5,
        batch_views=9,
        batch_seconds=0.002,
        max_body_bytes=1_500_000,
        max_pixels=2_000_000,
        max_crops=8,
        max_classes=20,
        max_texts=30,
        max_text_characters=40,
        max_characters=50,
        max_class_sets=6,
        kept_texts=60,
        bank=False,
        store=tmp_path / "store",
        store_bytes=5_000_000,
        body_seconds=1.0,
        work_seconds=2.0,
        shutdown_seconds=3.5,
        class_sets=tmp_path,
        allowed_hosts=("localhost", "127.0.0.1", "[::1]"),
    )


def test_the_environment_reaches_the_settings_and_flags_go_before_it(
    serve: Callable[..., Any], make_encoder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    anywhere = registry.Scheme(usage="fake", loader=lambda rest, device="": make_encoder())
    monkeypatch.setitem(registry._SCHEMES, "fake", anywhere)
    for name, value in {"WORKERS": "3", "QUEUE": "7", "ALLOWED_HOSTS": "labels.example"}.items():
        monkeypatch.setenv(f"CROSSALIGN_{name}", value)
    _, _, (call,) = serve("--queue", "9", "--device", "there")
    settings = call["settings"]
    assert (settings.workers, settings.queue, settings.batch_views) == (3, 9, 64)
    assert settings.allowed_hosts == ("localhost", "127.0.0.1", "[::1]", "labels.example")
    monkeypatch.setenv("CROSSALIGN_BATCH_VIEWS", "2")
    _, _, (call,) = serve("--device", "there")
    assert call["settings"].batch_views == 2
    monkeypatch.setenv("CROSSALIGN_WORKERS", "0")
    code, err, calls = serve()
    assert (code, calls) == (2, [])
    assert "CROSSALIGN_WORKERS: expected workers as a whole number from 1 up; got 0." in err


def test_every_setting_can_be_given(serve: Callable[..., Any]) -> None:
    """No limit is for those alone who write Python."""
    serve()
    without = set(Settings.model_fields) - set(inspect.signature(command).parameters)
    otherwise = {
        *("max_body_bytes", "max_pixels", "batch_seconds", "store_bytes", "token"),  # other units
        *("allowed_hosts", "pixels_at_once"),  # --allowed-host; follows from the memory there is
    }
    assert without == otherwise


def test_options_reach_the_encoder(
    serve: Callable[..., Any], make_encoder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[dict[str, str]] = []

    def load(_: str, **options: str) -> Any:
        given.append(options)
        return make_encoder()

    monkeypatch.setitem(registry._SCHEMES, "fake", registry.Scheme(usage="fake", loader=load))
    code, _, _ = serve("--dtype", "bf16", "--device", "here", "--engine", "openvino")
    assert code == 0
    assert given == [{"dtype": "bf16", "device": "here", "runtime": "openvino"}]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--method", "magic"], "unknown method 'magic'"),
        (["--workers", "0"], "--workers: expected workers as a whole number from 1 up; got 0."),
        (["--max-body-mb", "nan"], "--max-body-mb: expected max_body_bytes as a whole number"),
        (["--crops", "300"], "--crops: crops is 300, above max_crops, 200."),
        (["--max-texts", "30000"], "--max-texts: kept_texts is 20000, below max_texts, 30000"),
        (["--batch-ms", "-1"], "--batch-ms: expected batch_seconds as a number from 0 up"),
        (["--token-file", "missing"], "--token-file: missing: expected a file that holds a token"),
        (["--port", "99999"], "port"),
        (["--store-size", "5M"], "--store-size goes with --store DIR"),
        (["--store-size", "much", "--store", "here"], "expected a size such as 500M"),
        (["--engine", "steam"], "--runtime: "),
        (["--log-level", "loud"], "log-level"),
    ],
)
def test_a_mistake_ends_in_one_line(
    serve: Callable[..., Any], words: list[str], message: str
) -> None:
    code, err, calls = serve(*words)
    assert code == 2
    assert message in err
    assert "Traceback" not in err
    assert calls == []


def test_an_address_that_cannot_be_had(
    serve: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "check_address", CHECK_ADDRESS)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, err, calls = serve("--port", port)
    assert code == 2
    assert f"cannot listen on 127.0.0.1, port {port}: address already in use. Choose" in err
    assert len(err.splitlines()) == 1
    code, err, _ = serve("--host", "256.0.0.1")
    assert code == 2
    assert "cannot listen on 256.0.0.1, port 8000: " in err
    assert calls == []


def test_a_port_that_is_taken_at_the_last_moment(
    serve: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    make = runner.make_server
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setattr(Recorded, "make", lambda self, *given, **named: make(*given, **named))
        code, err, _ = serve("--port", port)
    assert code == 2
    assert f"cannot listen on 127.0.0.1, port {port}" in err
    assert "Traceback" not in err


def test_without_the_extra_it_says_how_to_get_it(
    serve: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    code, err, _ = serve()
    assert code == 2
    assert "pip install 'crossalign[server]'" in err
