"""Running the service."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import socket

import uvicorn
from fastapi import FastAPI

from crossalign.encoders.base import Encoder
from crossalign.errors import ServerError
from crossalign.server.app import create_app
from crossalign.server.cancellation import GRACE
from crossalign.server.logs import configure
from crossalign.server.service import Service
from crossalign.server.settings import TOKEN_VARIABLE, Settings, is_loopback

log = logging.getLogger("crossalign.server")

# From giving up the last requests until all have their answers.
_LAST_SECONDS = GRACE + 1.0

LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "[::1]")


def serve(
    encoder: Encoder,
    settings: Settings,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    log_level: str = "info",
) -> None:
    """Serve until a signal ends it; requests in flight are answered first.

    Args:
        encoder: The encoder.
        settings: Limits and habits. Where there are allowed hosts, or the service is bound to
            loopback, it answers to them and to ``localhost``, ``127.0.0.1`` and ``[::1]``, and to
            no other name, so that no web page can reach it through a name of its own.
        host: Address to bind to.
        port: Port to bind to; 0 takes a free one.
        log_level: ``"debug"``, ``"info"``, ``"warning"`` or ``"error"``.

    Raises:
        ServerError: If the port cannot be had.
    """
    if is_loopback(host) or settings.allowed_hosts:
        hosts = tuple(dict.fromkeys((*LOOPBACK_HOSTS, *settings.allowed_hosts)))
        settings = settings.model_copy(update={"allowed_hosts": hosts})
    configure(log_level)
    check_address(host, port)
    server = make_server(create_app(encoder, settings), settings, host=host, port=port)
    if not is_loopback(host) and settings.token is None:
        log.warning(
            "bound to %s without a token: everybody who reaches this address can use the service. "
            "Set %s or give --token-file.",
            host,
            TOKEN_VARIABLE,
        )
    with contextlib.suppress(SystemExit):  # how uvicorn says that it cannot start
        server.run()
    if not server.started:
        raise ServerError(_CANNOT.format(host, port, "it is in use or not ours"))


_CANNOT = "cannot listen on {}, port {}: {}. Choose another with --port or --host."


def check_address(host: str, port: int) -> None:
    """Find out whether an address can be had, before anything is begun.

    Args:
        host: Address to bind to.
        port: Port to bind to.

    Raises:
        ServerError: If it cannot.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in found:
            with socket.socket(family, kind, protocol) as probe:
                if os.name == "posix":  # as asyncio does; elsewhere it means something else
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ServerError(_CANNOT.format(host, port, reason)) from None


def make_server(app: FastAPI, settings: Settings, *, host: str, port: int) -> uvicorn.Server:
    """Make the HTTP server of an application, without starting it.

    Args:
        app: The application.
        settings: How long requests in flight get when it stops.
        host: Address to bind to.
        port: Port to bind to.

    Returns:
        The server.
    """
    return _Server(
        uvicorn.Config(
            app,
            host=host,
            port=port,
            log_config=None,
            access_log=False,  # the middleware writes its own, which nobody can forge
            server_header=False,
            timeout_graceful_shutdown=math.ceil(settings.shutdown_seconds + _LAST_SECONDS),
            ws="none",
        ),
        app.state.service,
    )


class _Server(uvicorn.Server):
    """Tells the service that it stops, so that all who are let in get an answer in time.

    Uvicorn alone would cut them off.
    """

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop; called once, in the event loop."""
        self._service.stop()
        await super().shutdown(sockets)
