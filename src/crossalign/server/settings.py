"""What the service allows, as data: from Python, from flags or from the environment."""

from __future__ import annotations

import contextlib
import ipaddress
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BeforeValidator,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from crossalign.errors import ServerError
from crossalign.server.validation import describe_invalid
from crossalign.utils.validation import finite_number, whole_number

_PREFIX = "CROSSALIGN_"
TOKEN_VARIABLE = f"{_PREFIX}TOKEN"

# Flags of `crossalign serve` in units or words of their own: their settings, and their units.
_FLAGS: dict[str, tuple[str, float | None]] = {
    "max_body_mb": ("max_body_bytes", 1e6),
    "max_megapixels": ("max_pixels", 1e6),
    "batch_ms": ("batch_seconds", 1e-3),
    "allowed_host": ("allowed_hosts", None),
    "token_file": ("token", None),
}
_TOKEN = re.compile(r"[!-~]{16,512}")


def _number(check: Callable[..., Any], kind: type, low: float) -> BeforeValidator:
    def checked(value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, str):  # as in the environment
            with contextlib.suppress(ValueError):
                value = kind(value)
        return check(info.field_name, value, low, error=ValueError)

    return BeforeValidator(checked)


_Count = Annotated[int, _number(whole_number, int, 1)]
_CountOrZero = Annotated[int, _number(whole_number, int, 0)]
_Seconds = Annotated[float, _number(finite_number, float, 0.1)]


class Settings(BaseSettings):
    """Limits and habits of the service.

    What is not given comes from the environment, where ``CROSSALIGN_WORKERS`` sets ``workers``, or
    else is the default. Every limit is answered with its own message; see the service guide for how
    to choose them.

    Attributes:
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
        allowed_hosts: Names by which the service may be addressed, in the environment with commas
            between them; empty allows any.
    """

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX,
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
    )

    method: str = "wca"
    crops: _Count | None = None
    bank: bool = True
    max_body_bytes: _Count = 16_000_000
    max_pixels: _Count = 32_000_000
    pixels_at_once: _Count = 64_000_000
    max_classes: _Count = 1000
    max_texts: _Count = 5000
    max_text_characters: _Count = 1000
    max_characters: _Count = 500_000
    max_crops: _Count = 200
    max_class_sets: _Count = 100
    kept_texts: _Count = 20_000
    workers: _Count = 16
    queue: _CountOrZero = 64
    body_seconds: _Seconds = 30.0
    work_seconds: _Seconds = 60.0
    shutdown_seconds: _Seconds = 30.0
    batch_views: _CountOrZero = 8
    batch_seconds: Annotated[float, _number(finite_number, float, 0)] = 0.005
    class_sets: Path | None = None
    store: Path | None = None
    store_bytes: _CountOrZero | None = None
    token: Annotated[str | None, Field(repr=False)] = None
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = ()

    def __init__(self, *, flags: Mapping[str, Any] | None = None, **settings: Any) -> None:
        """Take what is given, and the rest from the environment.

        Args:
            flags: Settings as the flags of ``crossalign serve`` have them, such as ``max_body_mb``,
                and ``token_file``. Those that are None are not given; errors name them.
            **settings: By their names.

        Raises:
            ServerError: If a value is out of its range, or the token cannot be read.
        """
        given, option = _from_flags(flags or {})
        given |= settings
        try:
            super().__init__(**given)
        except ValidationError as invalid:
            error = invalid.errors(include_url=False)[0]
            name = str(next(iter(error["loc"]), ""))
            cause = error.get("ctx", {}).get("error")
            message = str(cause or describe_invalid([error], list(type(self).model_fields)))
            words = [name] if name else re.findall(r"\w+", message)
            variable = "" if not name or name in settings else f"{_PREFIX}{name.upper()}"
            source = next((option[word] for word in words if word in option), variable)
            raise ServerError(f"{source}: {message}" if source else message) from None

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _part_hosts(cls, hosts: Any) -> Any:
        return [host.strip() for host in hosts.split(",")] if isinstance(hosts, str) else hosts

    @field_validator("token")
    @classmethod
    def _check_token(cls, token: str | None) -> str | None:
        token = (token or "").strip() or None
        if token is not None and not _TOKEN.fullmatch(token):
            raise ValueError(
                "expected a token of 16 to 512 printable ASCII characters without spaces; got "
                f"{len(token)} characters. `openssl rand -hex 32` makes a good one."
            )
        return token

    @model_validator(mode="after")
    def _check_together(self) -> Settings:
        if self.crops is not None and self.crops > self.max_crops:
            raise ValueError(f"crops is {self.crops}, above max_crops, {self.max_crops}.")
        if self.kept_texts < self.max_texts:
            raise ValueError(
                f"kept_texts is {self.kept_texts}, below max_texts, {self.max_texts}: what one "
                "request may bring could not be kept."
            )
        return self

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


def _from_flags(flags: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """The settings that flags give, and the option that each comes from."""
    given: dict[str, Any] = {}
    option: dict[str, str] = {}
    for flag, value in flags.items():
        if value is None:
            continue
        name, unit = _FLAGS.get(flag, (flag, None))
        if unit is not None:
            value = value * unit
            if unit > 1 and math.isfinite(value):
                value = round(value)
        given[name] = _read_token(value) if flag == "token_file" else value
        option[name] = "--" + flag.replace("_", "-")
    return given, option


def _read_token(file: Path) -> str:
    """Read the bearer token; it is never an argument, which every user of the machine can read."""
    expected = f"--token-file: {file}: expected a file that holds a token"
    try:
        token = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ServerError(f"{expected}; it cannot be read ({error}).") from error
    if not token:
        raise ServerError(f"{expected}; it is empty.")
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
    with contextlib.suppress(ValueError):
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    return False
