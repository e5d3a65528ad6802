"""Work in threads of its own that ends: when its time is up, its client gone, the service stopped.

Nobody can stop a thread from outside. So the event loop tells a :class:`Job` to end, and whoever
does a long piece of its work asks (:func:`check`) before each part that takes well under a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NoReturn, TypeVar

from crossalign.server.errors import ApiError

log = logging.getLogger("crossalign.server")

Result = TypeVar("Result")

GRACE = 2.0
"""Seconds from telling a job to end until its client is answered, whatever its thread does."""

# How often one that waits in line looks whether it must end, in seconds.
_LOOK = 0.1


class Job:
    """The work of one request. It is made, and told to end, in the event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[ApiError] = self._loop.create_future()
        self._why: ApiError | None = None

    def end(self, why: ApiError) -> None:
        """Tell it to end; the first reason counts."""
        if self._why is None:
            self._why = why
            self._ended.set_result(why)

    @contextmanager
    def within(self, seconds: float, why: ApiError) -> Iterator[None]:
        """Tell it to end unless the block is left in time.

        Args:
            seconds: How long it may take.
            why: What it is told.
        """
        timer = self._loop.call_later(seconds, self.end, why)
        try:
            yield
        finally:
            timer.cancel()

    @property
    def over(self) -> ApiError | None:
        """Why it must end; None while it may go on. Safe to ask from any thread."""
        return self._why

    def check(self) -> None:
        """Go on, or end. Safe to call from any thread.

        Raises:
            ApiError: If it must end.
        """
        if self._why is not None:
            raise self._why

    async def until(self, something: Awaitable[Result]) -> Result:
        """Wait for something, but no longer than until this job is told to end.

        Args:
            something: What to wait for; it is cancelled if the job ends first.

        Returns:
            What it gives.

        Raises:
            ApiError: If the job must end.
        """
        task = asyncio.ensure_future(something)
        try:
            await self._first(task)
            return task.result() if task.done() else self._give_up()
        finally:
            task.cancel()

    async def run(self, work: Callable[[], Result], on_end: Callable[[], None]) -> Result:
        """Do the work in a thread of its own.

        One that is told to end and does not, because the encoder itself hangs, is left behind: its
        client is answered, and its thread does not keep the process alive.

        Args:
            work: Does it; it may block, and should look at :func:`check`.
            on_end: Called in the event loop when the thread has ended, left behind or not.

        Returns:
            What the work gives.

        Raises:
            ApiError: If it had to be left behind.
        """
        done: Future[Result] = Future()
        done.set_running_or_notify_cancel()  # who gives it up does not stop its thread

        def ended(_: Future[Result]) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(on_end)

        def in_thread() -> None:
            _JOB.set(self)
            try:
                done.set_result(work())
            except BaseException as error:
                done.set_exception(error)

        done.add_done_callback(ended)
        result = asyncio.wrap_future(done)
        thread = threading.Thread(target=in_thread, name="crossalign-job", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # the machine has no more threads to give
            done.set_exception(error)
        try:
            await self._first(result)
            if not result.done():
                await asyncio.wait({result}, timeout=GRACE)
            if result.done():
                return result.result()
            log.warning("work that was told to end goes on; its thread is left behind")
            return self._give_up()
        finally:
            result.cancel()

    async def _first(self, other: asyncio.Future[Any]) -> None:
        """Wait for something, or for being told to end."""
        ends: set[asyncio.Future[Any]] = {other, self._ended}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)

    def _give_up(self) -> NoReturn:
        raise self._ended.result()


_JOB: ContextVar[Job | None] = ContextVar("crossalign_job", default=None)


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


class Budget:
    """Something of which only so much may be used at a time: who would go beyond it waits.

    All are let through in the order in which they came, so that one who wants much is not passed by
    for ever, and one who comes again at once is behind all who wait. Who wants more than there is
    has all of it alone.

    Args:
        amount: The budget.
    """

    def __init__(self, amount: int) -> None:
        self._amount = amount
        self._used = 0
        self._line: deque[object] = deque()
        self._changed = threading.Condition()

    @contextmanager
    def holding(self, amount: int) -> Iterator[None]:
        """Hold a part of the budget.

        Args:
            amount: How much.

        Raises:
            ApiError: If the job of this thread must end while it waits.
        """
        with self._changed:
            place = object()
            self._line.append(place)
            try:
                while self._line[0] is not place or not self._has(amount):
                    check()
                    self._changed.wait(_LOOK)
                check()
                self._used += amount
            finally:
                self._line.remove(place)
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._used -= amount
                self._changed.notify_all()

    def _has(self, amount: int) -> bool:
        return not self._used or self._used + amount <= self._amount
