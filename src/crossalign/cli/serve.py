"""``crossalign serve``."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from crossalign.cli.app import MANY, OK, Options, command
from crossalign.cli.options import EncoderOptions, SpeedOptions
from crossalign.errors import MissingExtraError

_NEEDED = ("fastapi", "uvicorn", "python_multipart", "prometheus_client", "pydantic_settings")


@dataclass(frozen=True)
class _Settings(Options):
    """Settings of the service; what is not given is left to the environment, so all are None."""

    method: Annotated[
        str | None,
        typer.Option(
            help="clip, clip-e, clip-d, waffle, cupl, wca, bifta or lgca.  [default: wca]"
        ),
    ] = None
    crops: Annotated[
        int | None,
        typer.Option(
            help="Crops of requests that name no number.  [default: each method's own, 60 for wca]"
        ),
    ] = None
    bank: Annotated[
        bool | None,
        typer.Option(
            "--bank/--no-bank",
            help="Describe classes given by name alone with the bank, where it knows them.  "
            "[default: bank]",
        ),
    ] = None
    token_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Holds the bearer token that requests must carry; else CROSSALIGN_TOKEN does.",
        ),
    ] = None
    class_sets: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep class sets here, so that they outlive a restart."),
    ] = None
    allowed_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A name the service may be addressed by; repeat."),
    ] = None
    workers: Annotated[
        int | None, typer.Option(help="Requests worked on at the same time.  [default: 16]")
    ] = None
    queue: Annotated[
        int | None, typer.Option(help="Requests that may wait for a worker.  [default: 64]")
    ] = None
    batch_views: Annotated[
        int | None,
        typer.Option(help="Views in a full batch; 0 for no batches.  [default: 8, or 64 on a GPU]"),
    ] = None
    batch_ms: Annotated[
        float | None, typer.Option(help="Longest wait for a fuller batch.  [default: 5]")
    ] = None
    max_body_mb: Annotated[
        float | None, typer.Option(help="Largest body of a request.  [default: 16]")
    ] = None
    max_megapixels: Annotated[float | None, typer.Option(help="Largest image.  [default: 32]")] = (
        None
    )
    max_crops: Annotated[
        int | None, typer.Option(help="Most crops of a request.  [default: 200]")
    ] = None
    max_classes: Annotated[
        int | None, typer.Option(help="Most classes of a request.  [default: 1000]")
    ] = None
    max_texts: Annotated[
        int | None, typer.Option(help="Most descriptions of a request.  [default: 5000]")
    ] = None
    max_text_characters: Annotated[
        int | None,
        typer.Option(help="Most characters of a class name or description.  [default: 1000]"),
    ] = None
    max_characters: Annotated[
        int | None,
        typer.Option(help="Most characters of all of them together.  [default: 500000]"),
    ] = None
    max_class_sets: Annotated[int | None, typer.Option(help="Most class sets.  [default: 100]")] = (
        None
    )
    kept_texts: Annotated[
        int | None,
        typer.Option(
            help="Descriptions that stay encoded, and as many of class sets.  [default: 20000]"
        ),
    ] = None
    body_seconds: Annotated[
        float | None, typer.Option(help="Longest time to send a body.  [default: 30]")
    ] = None
    work_seconds: Annotated[
        float | None,
        typer.Option(
            help="Longest time to wait for a worker, and again to be worked on.  [default: 60]"
        ),
    ] = None
    shutdown_seconds: Annotated[
        float | None,
        typer.Option(help="Time to end what is at work when the service stops.  [default: 30]"),
    ] = None


@command("crossalign serve --port 8080 --store embeddings", under=MANY)
def serve(
    encoder: EncoderOptions,
    speed: SpeedOptions,
    flags: _Settings,
    host: Annotated[str, typer.Option(help="Address to bind to.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to bind to.")] = 8000,
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], typer.Option(help="How much to log.")
    ] = "info",
) -> int:
    """Serve labels and explanations over HTTP, with a page at /."""
    for module in _NEEDED:
        if importlib.util.find_spec(module) is None:
            raise MissingExtraError("crossalign serve", module.replace("_", "-"), "server")
    from crossalign.server.run import serve as run
    from crossalign.server.settings import Settings

    given = {**vars(flags), "allowed_host": flags.allowed_host or None}
    settings = Settings(flags={**given, "store": speed.store, "store_bytes": speed.limit()})
    if "batch_views" not in settings.model_fields_set and encoder.device not in (None, "cpu"):
        settings = settings.model_copy(update={"batch_views": 64})
    run(encoder.load(), settings, host=host, port=port, log_level=log_level)
    return OK
