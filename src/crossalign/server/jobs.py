"""Work in threads of its own that ends: when its time is up, its client gone, the service stopped.

Nobody can stop a thread from outside. So a job carries a flag and a deadline, and whoever does a
long piece of its work looks at them (:func:`check`) after each part that takes well under a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import TypeVar

from crossalign.server.answers import ApiError

Result = TypeVar("Result")


class Job:
    """A piece of work that may be told to end.

    Args:
        seconds: How long it may take.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds
        self._told: ApiError | None = None
        self._thread: threading.Thread | None = None

    def end(self, why: ApiError) -> None:
        """Tell it to end; the first reason counts."""
        self._told = self._told or why

    @property
    def over(self) -> ApiError | None:
        """Why it must end; None while it may go on."""
        if self._told is None and time.monotonic() > self._deadline:
            self.end(
                ApiError(
                    503,
                    "too_long",
                    f"expected work of at most {self._seconds:g} s; this request needs more. Give "
                    "fewer or shorter classes and descriptions, or fewer crops.",
                )
            )
        return self._told

    def check(self) -> None:
        """Go on, or end.

        Raises:
            ApiError: If it must end.
        """
        if (why := self.over) is not None:
            raise why

    async def run(self, work: Callable[[], Result]) -> Result:
        """Do the work in a thread of its own.

        The thread never keeps the process alive: at the worst, where the encoder itself hangs, it
        is left behind.

        Args:
            work: Does it; it may block, and should look at :func:`check`.

        Returns:
            What the work gives.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()

        def settle(result: Result | None, error: BaseException | None) -> None:
            if future.done():  # nobody waits for it any longer
                return
            if error is None:
                future.set_result(result)  # type: ignore[arg-type]
            else:
                future.set_exception(error)

        def in_thread() -> None:
            result, failure = None, None
            try:
                with current(self):
                    result = work()
            except BaseException as error:
                failure = error
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(settle, result, failure)

        self._thread = threading.Thread(target=in_thread, name="crossalign-job", daemon=True)
        self._thread.start()
        return await future

    def join(self, seconds: float) -> None:
        """Wait for its thread, but no longer than that."""
        if self._thread is not None:
            self._thread.join(max(0.0, seconds))


_JOB: ContextVar[Job | None] = ContextVar("crossalign_job", default=None)


@contextmanager
def current(job: Job) -> Iterator[None]:
    """Make a job the one that this thread works on."""
    token = _JOB.set(job)
    try:
        yield
    finally:
        _JOB.reset(token)


def of_this_thread() -> Job | None:
    """Give the job that this thread works on; None outside of any."""
    return _JOB.get()


def check() -> None:
    """Go on with the job of this thread, or end it.

    Raises:
        ApiError: If it must end.
    """
    if (job := _JOB.get()) is not None:
        job.check()


class Turns:
    """A lock that goes round: who has had it queues up behind all who wait.

    With a plain lock, one that takes it again at once may keep all others out.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._given = 0
        self._serving = 0

    def __enter__(self) -> None:
        """Wait for this thread's turn."""
        with self._changed:
            ticket = self._given
            self._given += 1
            self._changed.wait_for(lambda: ticket == self._serving)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let the next one have its turn."""
        with self._changed:
            self._serving += 1
            self._changed.notify_all()

    @property
    def waiting(self) -> int:
        """How many have it or wait for it."""
        with self._changed:
            return self._given - self._serving
