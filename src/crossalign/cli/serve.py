"""``crossalign serve``."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Annotated, Literal

import typer

from crossalign.cli.app import MANY, OK, command
from crossalign.cli.options import EncoderOptions, SpeedOptions
from crossalign.errors import MissingExtraError

_NEEDED = ("fastapi", "uvicorn", "python_multipart", "prometheus_client")


@command("crossalign serve --host 127.0.0.1 --port 8000", under=MANY)
def serve(
    encoder: EncoderOptions,
    speed: SpeedOptions,
    host: Annotated[str, typer.Option(help="Address to bind to.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to bind to.")] = 8000,
    method: Annotated[
        str, typer.Option(help="clip, clip-e, clip-d, waffle, cupl, wca, bifta or lgca.")
    ] = "wca",
    crops: Annotated[
        int | None,
        typer.Option(
            help="Crops of requests that name no number.",
            show_default="each method's own, 60 for wca",
        ),
    ] = None,
    bank: Annotated[
        bool,
        typer.Option(
            help="Describe classes given by name alone with the bank, where it knows them."
        ),
    ] = True,
    token_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Holds the bearer token that requests must carry; else CROSSALIGN_TOKEN does.",
        ),
    ] = None,
    class_sets: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep class sets here, so that they outlive a restart."),
    ] = None,
    allowed_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A name the service may be addressed by; repeat."),
    ] = None,
    workers: Annotated[int, typer.Option(help="Requests worked on at the same time.")] = 16,
    queue: Annotated[int, typer.Option(help="Requests that may wait for a worker.")] = 64,
    batch_views: Annotated[
        int | None,
        typer.Option(
            help="Views in a full batch; 0 for no batches.",
            show_default="8, or 64 on a GPU",
        ),
    ] = None,
    batch_ms: Annotated[float, typer.Option(help="Longest wait for a fuller batch.")] = 5.0,
    max_body_mb: Annotated[float, typer.Option(help="Largest body of a request.")] = 16.0,
    max_megapixels: Annotated[float, typer.Option(help="Largest image.")] = 32.0,
    max_crops: Annotated[int, typer.Option(help="Most crops of a request.")] = 200,
    max_classes: Annotated[int, typer.Option(help="Most classes of a request.")] = 1000,
    max_texts: Annotated[int, typer.Option(help="Most descriptions of a request.")] = 5000,
    max_text_characters: Annotated[
        int, typer.Option(help="Most characters of a class name or description.")
    ] = 1000,
    max_characters: Annotated[
        int, typer.Option(help="Most characters of all of them together.")
    ] = 500_000,
    max_class_sets: Annotated[int, typer.Option(help="Most class sets.")] = 100,
    kept_texts: Annotated[
        int, typer.Option(help="Descriptions that stay encoded, and as many of class sets.")
    ] = 20_000,
    body_seconds: Annotated[float, typer.Option(help="Longest time to send a body.")] = 30.0,
    work_seconds: Annotated[
        float, typer.Option(help="Longest time to wait for a worker, and again to be worked on.")
    ] = 60.0,
    shutdown_seconds: Annotated[
        float, typer.Option(help="Time to end what is at work when the service stops.")
    ] = 30.0,
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], typer.Option(help="How much to log.")
    ] = "info",
) -> int:
    """Serve labels and explanations over HTTP, with a page at /."""
    for module in _NEEDED:
        if importlib.util.find_spec(module) is None:
            raise MissingExtraError("crossalign serve", module.replace("_", "-"), "server")
    from crossalign.server.run import LOOPBACK_HOSTS
    from crossalign.server.run import serve as run
    from crossalign.server.settings import Settings, find_token, is_loopback

    store_bytes = speed.limit()
    hosts = tuple(allowed_host or ())
    settings = Settings(
        method=method,
        crops=crops,
        bank=bank,
        max_body_bytes=round(max_body_mb * 1e6),
        max_pixels=round(max_megapixels * 1e6),
        max_crops=max_crops,
        max_classes=max_classes,
        max_texts=max_texts,
        max_text_characters=max_text_characters,
        max_characters=max_characters,
        max_class_sets=max_class_sets,
        kept_texts=kept_texts,
        body_seconds=body_seconds,
        work_seconds=work_seconds,
        shutdown_seconds=shutdown_seconds,
        workers=workers,
        queue=queue,
        batch_views=(8 if encoder.device in (None, "cpu") else 64)
        if batch_views is None
        else batch_views,
        batch_seconds=batch_ms / 1000,
        class_sets=class_sets,
        store=speed.store,
        store_bytes=store_bytes,
        token=find_token(token_file),
        allowed_hosts=(*LOOPBACK_HOSTS, *hosts) if is_loopback(host) or hosts else (),
    )
    run(encoder.load(), settings, host=host, port=port, log_level=log_level)
    return OK
