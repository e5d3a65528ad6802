"""A memory budget for decoded pictures: who may take how much, in order, without a thread waiting.

A picture asks before it is decoded. What it asks for is started as soon as there is memory for it,
in whatever thread gave memory back: no thread stands still for it, so the threads that cut (and so
free memory) are never the ones that wait.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class Reservation:
    """One picture's part of the budget.

    Args:
        bytes: What it takes, or will take.
        start: What to do once it is granted; None before it is known how much it needs.
        granted: Whether it counts now.
    """

    bytes: int = 0
    start: Callable[[], object] | None = None
    granted: bool = False


class MemoryBudget:
    """So many bytes for decoded pictures. One picture is always granted, however large it is.

    Args:
        size: In bytes.

    Example:
        >>> budget, started = MemoryBudget(10), []
        >>> first, second = budget.reserve(), budget.reserve()
        >>> budget.ask(second, 5, lambda: started.append("second"))
        >>> budget.ask(first, 20, lambda: started.append("first"))
        >>> budget.free(first)
        >>> started
        ['first', 'second']
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._held = 0
        self._line: deque[Reservation] = deque()
        self._lock = threading.RLock()

    def reserve(self) -> Reservation:
        """Get in line.

        Returns:
            What :meth:`ask`, :meth:`change` and :meth:`free` take.
        """
        reservation = Reservation()
        with self._lock:
            self._line.append(reservation)
        return reservation

    def ask(self, reservation: Reservation, size: int, start: Callable[[], object]) -> None:
        """Say how much is needed, and what to start once it is granted, after all before it.

        Args:
            reservation: From :meth:`reserve`.
            size: In bytes.
            start: Returns at once.
        """
        with self._lock:
            reservation.bytes, reservation.start = size, start
            self._serve()

    def change(self, reservation: Reservation, size: int) -> None:
        """Say that more or less is needed after all.

        Args:
            reservation: One that was started.
            size: In bytes.
        """
        with self._lock:
            if reservation.granted:
                self._held += size - reservation.bytes
                reservation.bytes = size
                self._serve()

    def free(self, reservation: Reservation) -> None:
        """Give memory back, or leave the line.

        Args:
            reservation: Any; a second time changes nothing.
        """
        with self._lock:
            if reservation.granted:
                reservation.granted = False
                self._held -= reservation.bytes
            elif reservation in self._line:
                self._line.remove(reservation)
            self._serve()

    def close(self) -> None:
        """Start nothing more."""
        with self._lock:
            self._line.clear()

    def _serve(self) -> None:
        while self._line:
            first = self._line[0]
            start = first.start
            if start is None or (self._held and self._held + first.bytes > self.size):
                return
            self._line.popleft()
            first.granted, first.start = True, None
            self._held += first.bytes
            start()
