"""What the service counts, in the Prometheus format."""

from __future__ import annotations

import functools
from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Counters of one service; each has a registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        counter = functools.partial(Counter, registry=self._registry)
        histogram = functools.partial(Histogram, registry=self._registry)
        ProcessCollector(registry=self._registry)  # memory, processor time, open files
        self.requests = counter(
            "crossalign_requests",
            "Requests answered, by route, method and status.",
            ("route", "method", "status"),
        )
        self.seconds = histogram(
            "crossalign_request_seconds",
            "From the head of a request to the end of its answer, by route.",
            ("route",),
            buckets=(0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
        )
        self.batch_views = histogram(
            "crossalign_batch_views",
            "Views in each batch of the encoder.",
            buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
        )
        self.encoder_seconds = counter(
            "crossalign_encoder_seconds",
            "Time that the encoder spent on images.",
        )
        self.lookups = counter(
            "crossalign_class_lookups",
            "Classes that came with a request, by whether they were encoded already.",
            ("known",),
        )

    def watch(self, **gauges: tuple[str, Callable[[], float]]) -> None:
        """Show numbers that are read when somebody asks.

        Args:
            **gauges: By name, without the package's: what it shows, and what gives the number.
        """
        for name, (what, value) in gauges.items():
            Gauge(f"crossalign_{name}", what, registry=self._registry).set_function(value)

    def batch(self, views: int, seconds: float) -> None:
        """Count a batch of the encoder."""
        self.batch_views.observe(views)
        self.encoder_seconds.inc(seconds)

    def lookup(self, known: bool) -> None:
        """Count a look into the memory of classes."""
        self.lookups.labels("yes" if known else "no").inc()

    def text(self) -> bytes:
        """Write all of them out."""
        return generate_latest(self._registry)
