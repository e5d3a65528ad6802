"""``crossalign serve``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from crossalign.cli.application import MANY, OK, command
from crossalign.cli.declarations import Options, option
from crossalign.cli.options import EncoderOptions, SpeedOptions
from crossalign.errors import import_extra

_NEEDED = ("fastapi", "uvicorn", "python_multipart", "prometheus_client", "pydantic_settings")


@dataclass(frozen=True)
class _Settings(Options):
    """Settings of the service; what is not given is left to the environment, so all are None."""

    method: str | None = option(
        "clip, clip-e, clip-d, waffle, cupl, wca, bifta or lgca.  [default: wca]"
    )
    crops: int | None = option(
        "Crops of requests that name no number.  [default: each method's own, 60 for wca]"
    )
    bank: bool | None = option(
        "Describe classes given by name alone with the bank, where it knows them.  [default: bank]",
        "--bank/--no-bank",
    )
    token_file: Path | None = option(
        "Holds the bearer token that requests must carry; else CROSSALIGN_TOKEN does.",
        metavar="FILE",
    )
    class_sets: Path | None = option(
        "Keep class sets here, so that they outlive a restart.", metavar="DIR"
    )
    allowed_host: list[str] | None = option(
        "A name the service may be addressed by; repeat.", metavar="NAME"
    )
    workers: int | None = option("Requests worked on at the same time.  [default: 16]")
    queue: int | None = option("Requests that may wait for a worker.  [default: 64]")
    batch_views: int | None = option(
        "Views in a full batch; 0 for no batches.  [default: 8, or 64 on a GPU]"
    )
    batch_ms: float | None = option("Longest wait for a fuller batch.  [default: 5]")
    max_body_mb: float | None = option("Largest body of a request.  [default: 16]")
    max_megapixels: float | None = option("Largest image.  [default: 32]")
    max_crops: int | None = option("Most crops of a request.  [default: 200]")
    max_classes: int | None = option("Most classes of a request.  [default: 1000]")
    max_texts: int | None = option("Most descriptions of a request.  [default: 5000]")
    max_text_characters: int | None = option(
        "Most characters of a class name or description.  [default: 1000]"
    )
    max_characters: int | None = option(
        "Most characters of all of them together.  [default: 500000]"
    )
    max_class_sets: int | None = option("Most class sets.  [default: 100]")
    kept_texts: int | None = option(
        "Descriptions that stay encoded, and as many of class sets.  [default: 20000]"
    )
    body_seconds: float | None = option("Longest time to send a body.  [default: 30]")
    work_seconds: float | None = option(
        "Longest time to wait for a worker, and again to be worked on.  [default: 60]"
    )
    shutdown_seconds: float | None = option(
        "Time to end what is at work when the service stops.  [default: 30]"
    )


@command("crossalign serve --port 8080 --store embeddings", under=MANY)
def serve(
    encoder: EncoderOptions,
    speed: SpeedOptions,
    flags: _Settings,
    host: str = option("Address to bind to.", default="127.0.0.1"),
    port: int = option("Port to bind to.", default=8000, min=0, max=65535),
    log_level: Literal["debug", "info", "warning", "error"] = option(
        "How much to log.", default="info"
    ),
) -> int:
    """Serve labels and explanations over HTTP, with a page at /."""
    for module in _NEEDED:
        import_extra(module, "crossalign serve", "server", module.replace("_", "-"))
    from crossalign.server.run import serve as run
    from crossalign.server.settings import Settings

    given = {**vars(flags), "allowed_host": flags.allowed_host or None}
    settings = Settings(flags={**given, "store": speed.store, "store_bytes": speed.limit()})
    if "batch_views" not in settings.model_fields_set and encoder.device not in (None, "cpu"):
        settings = settings.model_copy(update={"batch_views": 64})
    run(encoder.load(), settings, host=host, port=port, log_level=log_level)
    return OK
