"""What the service allows, as data."""

from __future__ import annotations

import ipaddress
import math
import os
import re
from dataclasses import dataclass, fields
from pathlib import Path

from crossalign.errors import ServerError

TOKEN_VARIABLE = "CROSSALIGN_TOKEN"  # noqa: S105 - the name of a variable, not a secret
_MAY_BE_ZERO = ("queue", "batch_views", "batch_seconds")
_TOKEN = re.compile(r"[!-~]{16,512}")


@dataclass(frozen=True, slots=True)
class Settings:
    """Limits and habits of the service.

    Every limit is answered with its own message; see the service guide for how to choose them.

    Args:
        method: Method of requests that name none.
        crops: Number of crops of requests that name none; None takes each method's own.
        bank: Describe classes given by name alone with the bank of descriptions, as the classifier
            does; False puts all of them into templates.
        max_body_bytes: Largest body of a request.
        max_pixels: Largest image; it is refused before it is decoded.
        pixels_at_once: Pixels of all images that are worked on together; an image beyond that is
            worked on alone. While an image is decoded, a pixel takes up to 9 bytes.
        max_classes: Most classes in a request or a class set.
        max_texts: Most descriptions in a request or a class set, all classes together.
        max_text_characters: Longest class name or description.
        max_characters: Most characters of all class names and descriptions together.
        max_crops: Most crops.
        max_class_sets: Most class sets.
        kept_texts: Most descriptions whose embeddings are kept for classes that came with a
            request, and again as many for class sets. One takes 4 bytes times the dimension.
        workers: Requests that are worked on at the same time.
        queue: Requests that may wait for a worker; any more are told to come again.
        body_seconds: Longest time in which a request's body may arrive.
        work_seconds: Longest time that a request waits for a worker, and then again that it is
            worked on; what needs more is given up.
        shutdown_seconds: Time that requests in flight get to finish when the service stops; then
            they are given up, and a few seconds later the process ends whatever happens.
        batch_views: Views in a full batch of the encoder; 0 lets every request call the encoder by
            itself. On processors small batches are the fastest, as they stay in the cache.
        batch_seconds: Longest time that views wait for others to share their batch. A request that
            is alone never waits.
        class_sets: Folder in which class sets outlive the process; None keeps them in memory alone.
        store: Folder of a :class:`crossalign.Store`, where embeddings of images and texts outlive
            the process; None keeps no more of them than is said above.
        store_bytes: Limit of the store; 0 for none, None leaves it as it is.
        token: Bearer token that every request must carry; None asks for none.
        allowed_hosts: Names by which the service may be addressed; empty allows any.

    Raises:
        ServerError: If a value is out of its range.
    """

    method: str = "wca"
    crops: int | None = None
    bank: bool = True
    max_body_bytes: int = 16_000_000
    max_pixels: int = 32_000_000
    pixels_at_once: int = 64_000_000
    max_classes: int = 1000
    max_texts: int = 5000
    max_text_characters: int = 1000
    max_characters: int = 500_000
    max_crops: int = 200
    max_class_sets: int = 100
    kept_texts: int = 20_000
    workers: int = 16
    queue: int = 64
    body_seconds: float = 30.0
    work_seconds: float = 60.0
    shutdown_seconds: float = 30.0
    batch_views: int = 8
    batch_seconds: float = 0.005
    class_sets: Path | None = None
    store: Path | None = None
    store_bytes: int | None = None
    token: str | None = None
    allowed_hosts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(field.default, bool) or not isinstance(field.default, int | float):
                continue
            whole = isinstance(field.default, int)
            least = 0 if field.name in _MAY_BE_ZERO else 1 if whole else 0.1
            kinds = int if whole else (int, float)
            fits = isinstance(value, kinds) and least <= value < math.inf
            if isinstance(value, bool) or not fits:
                raise ServerError(
                    f"expected {field.name} as a {'whole ' if whole else ''}number from {least} "
                    f"up; got {value!r}."
                )
        if self.crops is not None and (type(self.crops) is not int or self.crops < 1):
            raise ServerError(f"expected crops as a whole number from 1 up; got {self.crops!r}.")
        if self.crops is not None and self.crops > self.max_crops:
            raise ServerError(f"crops is {self.crops}, above max_crops, {self.max_crops}.")
        if self.kept_texts < self.max_texts:
            raise ServerError(
                f"kept_texts is {self.kept_texts}, below max_texts, {self.max_texts}: what one "
                "request may bring could not be kept."
            )
        if self.token is not None and not _TOKEN.fullmatch(self.token):
            raise ServerError(
                "expected a token of 16 to 512 printable ASCII characters without spaces; got "
                f"{len(self.token)} characters. `openssl rand -hex 32` makes a good one."
            )

    def usual_crops(self, own: int) -> int:
        """Say how many crops are taken where a request does not say.

        Args:
            own: The number of crops of its method.

        Returns:
            The service's number, or else the method's own, within ``max_crops``.

        Example:
            >>> Settings(max_crops=50).usual_crops(60), Settings(crops=20).usual_crops(60)
            (50, 20)
        """
        return min(own if self.crops is None else self.crops, self.max_crops)


def find_token(file: Path | None) -> str | None:
    """Read the bearer token from a file, or else from the environment.

    It is never an argument of the command line, which every user of the machine can read.

    Args:
        file: Where to read it; None looks at the variable ``CROSSALIGN_TOKEN``.

    Returns:
        The token; None if neither names one.

    Raises:
        ServerError: If the file cannot be read, or is empty.
    """
    if file is None:
        return os.environ.get(TOKEN_VARIABLE, "").strip() or None
    try:
        token = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ServerError(
            f"{file}: expected a file that holds a token; it cannot be read ({error})."
        ) from error
    if not token:
        raise ServerError(f"{file}: expected a file that holds a token; it is empty.")
    return token


def is_loopback(host: str) -> bool:
    """Tell whether an address is of this machine alone.

    Args:
        host: A name or address to bind to.

    Returns:
        True for ``localhost`` and loopback addresses.

    Example:
        >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("0.0.0.0")
        (True, True, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
