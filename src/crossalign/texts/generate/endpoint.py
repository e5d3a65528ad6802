"""One question to one OpenAI-compatible endpoint, through the official client.

The client is kept on a short lead: no retries of its own, no redirects, answers of bounded size and
time, and of the environment's keys only the one that is meant for this endpoint.
"""

from __future__ import annotations

import email.utils
import json
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from crossalign.errors import WriterError, import_extra
from crossalign.texts.quality import visible

KEY_VARIABLE = "CROSSALIGN_LLM_KEY"
"""Environment variable that holds the endpoint's key."""

MAX_BYTES = 1 << 20
"""Longest response that is read."""

_OPENAI_HOST = "api.openai.com"
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
_HEADERS = frozenset(
    {"accept", "connection", "content-length", "content-type", "host", "user-agent"}
)
_PASSING = frozenset({408, 409, 425, 429})  # and all from 500 up: worth asking again


@dataclass(eq=False)
class EndpointBusy(Exception):  # noqa: N818 - not an error: ask again
    """The endpoint did not answer this time.

    Args:
        reason: Why, in words that are safe to print.
        wait: Seconds that it asks to wait; None if it does not say.
        limited: Whether it limits how often it is asked, so that all must wait.
        unreachable: Whether there was no connection at all.
    """

    reason: str
    wait: float | None = None
    limited: bool = False
    unreachable: bool = False


class OversizedReply(Exception):  # noqa: N818
    """The endpoint sent more than anybody asked for; it was cut off."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to ask, and how.

    Args:
        url: Base URL, such as ``http://127.0.0.1:11434/v1``.
        model: Name of the model.
        key: The key; empty for none. It is never printed and never stored.
        timeout: Seconds for one answer, from beginning to end.
        temperature: Of the sampling; None leaves it to the endpoint.
        max_tokens: Most tokens of an answer; None leaves it to the endpoint.

    Raises:
        WriterError: If the URL or a value is not usable.
    """

    url: str
    model: str
    key: str = field(default="", repr=False)
    timeout: float = 120.0
    temperature: float | None = None
    max_tokens: int | None = None

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            parts, good = urlsplit(""), None
        if not good:
            raise WriterError(
                "expected the base URL of an OpenAI-compatible endpoint, such as "
                f"http://127.0.0.1:11434/v1; got {visible(self.url)!r}."
            )
        if parts.username or parts.password or parts.query or parts.fragment:
            raise WriterError(
                "expected a URL without user name, password or query, since it is stored with the "
                f"descriptions. Put the key into the environment variable {KEY_VARIABLE}."
            )
        if not self.model.strip():
            raise WriterError("expected the name of a model; got an empty one.")
        if not (math.isfinite(self.timeout) and self.timeout > 0):
            raise WriterError(f"expected a timeout above 0 seconds; got {self.timeout}.")
        if not self.key.isascii() or not self.key.isprintable():
            raise WriterError(
                f"expected a key of plain printable characters in {KEY_VARIABLE}; it holds others, "
                "such as a line break."
            )

    @property
    def settings(self) -> dict[str, Any]:
        """What is sent beside the prompt and shapes the answer."""
        values = {"temperature": self.temperature, "max_tokens": self.max_tokens}
        return {name: value for name, value in values.items() if value is not None}

    @property
    def exposes_key(self) -> bool:
        """Whether the key would cross a network in the clear."""
        parts = urlsplit(self.url)
        return bool(self.key) and parts.scheme == "http" and parts.hostname not in _LOCAL


def key_for(url: str) -> str:
    """Find the key for an endpoint in the environment.

    ``CROSSALIGN_LLM_KEY`` goes to whatever endpoint is named. ``OPENAI_API_KEY`` is used for
    OpenAI's own endpoint alone, so that it is never sent to another by oversight.

    Args:
        url: Base URL of the endpoint.

    Returns:
        The key; empty if there is none.
    """
    key = os.environ.get(KEY_VARIABLE, "")
    if not key and urlsplit(url).hostname == _OPENAI_HOST:
        key = os.environ.get("OPENAI_API_KEY", "")
    return key.strip()


@dataclass(frozen=True, slots=True)
class Reply:
    """What an endpoint answered.

    Args:
        text: What the model wrote.
        tokens_in: Tokens of the prompt; 0 if not told.
        tokens_out: Tokens of the answer; 0 if not told.
        cut: Whether it was cut off at the limit of tokens.
    """

    text: str
    tokens_in: int
    tokens_out: int
    cut: bool = False


class Client:
    """Asks an endpoint; safe to use from several threads.

    Args:
        endpoint: Where to ask.

    Raises:
        MissingExtraError: If the package ``openai`` is not installed.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        openai = self._openai = import_extra("openai", "crossalign describe --llm", "llm")
        self._endpoint = endpoint
        http = openai.DefaultHttpxClient(
            event_hooks={"request": [self._before], "response": [self._bound]},
            follow_redirects=False,
        )
        self._client = openai.OpenAI(
            base_url=endpoint.url,
            api_key=endpoint.key or "none",
            max_retries=0,
            timeout=endpoint.timeout,
            http_client=http,
        )

    def ask(self, prompt: str) -> Reply:
        """Ask one question, once.

        Args:
            prompt: The question.

        Returns:
            The answer.

        Raises:
            EndpointBusy: If asking again may help.
            OversizedReply: If the response was far too long.
            WriterError: If it will not help: no permission, no such model, a wrong URL.
        """
        openai = self._openai
        try:
            response = self._client.chat.completions.with_raw_response.create(
                model=self._endpoint.model,
                messages=[{"role": "user", "content": prompt}],
                **self._endpoint.settings,
            )
            content = response.http_response.content
        except openai.APIStatusError as error:
            raise self._refused(error, prompt) from None
        except (openai.APIConnectionError, TimeoutError) as error:
            cause = _first(error, OversizedReply)
            if cause is not None:
                raise cause from None
            slow = isinstance(error, openai.APITimeoutError) or _first(error, TimeoutError)
            reason = "no answer in time" if slow else "the connection failed"
            raise EndpointBusy(reason, unreachable=not slow) from None
        except openai.OpenAIError as error:
            raise EndpointBusy(f"the answer was not understood ({type(error).__name__})") from None
        return _reply(content)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _before(self, request: Any) -> None:
        # The client would send what the environment holds for OpenAI (organisation, project, other
        # headers) to whatever endpoint this is. Only what the protocol needs goes out, and
        # x-stainless-..., by which the client knows again what it was asked for.
        if urlsplit(self._endpoint.url).hostname != _OPENAI_HOST:
            for header in set(request.headers.keys()) - _HEADERS:
                if not header.startswith("x-stainless-"):
                    del request.headers[header]
            if self._endpoint.key:
                request.headers["authorization"] = f"Bearer {self._endpoint.key}"
        request.headers["accept-encoding"] = "identity"  # what is small stays small when unpacked

    def _bound(self, response: Any) -> None:
        """Read no more than is reasonable, for no longer than is reasonable."""
        if response.headers.get("content-encoding", "identity") != "identity":
            raise OversizedReply
        pieces = response.iter_raw
        end = time.monotonic() + self._endpoint.timeout

        def bounded(*arguments: Any, **options: Any) -> Iterator[bytes]:
            size = 0
            for piece in pieces(*arguments, **options):
                size += len(piece)
                if size > MAX_BYTES:
                    raise OversizedReply
                if time.monotonic() > end:
                    raise TimeoutError
                yield piece

        response.iter_raw = bounded

    def _refused(self, error: Any, prompt: str) -> Exception:
        status = error.status_code
        if status in _PASSING or status >= 500:
            headers = error.response.headers
            wait = retry_after(headers.get, time.time)
            reason = "it limits requests" if status == 429 else f"it answered with status {status}"
            return EndpointBusy(reason, wait, limited=status == 429 or wait is not None)
        hint = {
            401: f"Set {KEY_VARIABLE} to a valid key.",
            403: "The key has no right to this model.",
            404: "Check the model's name, and that the URL ends as the endpoint wants, mostly /v1.",
        }.get(status, "Check the URL, the model's name and the settings.")
        said = self._said(error, prompt)
        return WriterError(
            f"{self._endpoint.url} refused with status {status}{f': {said}' if said else ''}. "
            f"{hint}"
        )

    def _said(self, error: Any, prompt: str) -> str:
        """Quote the endpoint's own message, unless it holds what must not be shown."""
        body = error.body if isinstance(error.body, dict) else {}
        message = body.get("message")
        if not isinstance(message, str):
            return ""
        key = self._endpoint.key
        parts = [line for line in prompt.splitlines() if len(line) >= 12]
        if (key and key in message) or any(part in message for part in parts):
            return ""
        return visible(" ".join(message.split()), 200).rstrip(".")


def retry_after(header: Callable[[str], str | None], now: Callable[[], float]) -> float | None:
    """Read how long an endpoint asks to wait.

    Args:
        header: Gives a header's value by its name.
        now: The present, in seconds since 1970.

    Returns:
        Seconds, from 0 up; None if it does not say, or nothing that makes sense. ``Retry-After`` is
        a number of seconds or a date (RFC 9110, section 10.2.3); ``retry-after-ms`` is finer.
    """
    for name, scale in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        value = (header(name) or "").strip()
        try:
            seconds = float(value) / scale
        except ValueError:
            continue
        if math.isfinite(seconds) and seconds >= 0:
            return seconds
    try:
        date = email.utils.parsedate_to_datetime((header("retry-after") or "").strip())
        return max(0.0, date.timestamp() - now())
    except (ValueError, TypeError, OverflowError):
        return None


def _reply(content: bytes) -> Reply:
    try:
        values = json.loads(content)
        choice = values["choices"][0]
        text = choice["message"]["content"]
        usage = values.get("usage") or {}
        cut = choice.get("finish_reason") == "length"
        # Nothing written is an answer too: a filter's, or that of a model that only thought.
        text = "" if text is None else text
        if not isinstance(text, str):
            raise TypeError
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        raise EndpointBusy("its answer is not what the protocol says") from None
    return Reply(text, _count(usage, "prompt_tokens"), _count(usage, "completion_tokens"), cut)


def _count(usage: Any, name: str) -> int:
    value = usage.get(name) if isinstance(usage, dict) else None
    return value if type(value) is int and 0 <= value < 1 << 40 else 0


def _first(error: BaseException, kind: type[BaseException]) -> BaseException | None:
    """Find an error of a kind among the causes of another."""
    cause: BaseException | None = error
    for _ in range(10):
        if cause is None or isinstance(cause, kind):
            return cause
        cause = cause.__cause__ or cause.__context__
    return None
