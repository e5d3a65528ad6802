"""Room for decoded pictures: who may take how much of it, in order, without anyone waiting in line.

A picture asks before it is decoded. What it asks for is started as soon as there is room, in
whatever thread gave the room back: no thread stands still for it, so the threads that cut (and so
make room) are never the ones that wait.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class Claim:
    """One picture's part of the room.

    Args:
        bytes: What it takes, or will take.
        start: What to do once there is room; None before it is known how much it needs.
        granted: Whether it counts now.
    """

    bytes: int = 0
    start: Callable[[], object] | None = None
    granted: bool = False


class Room:
    """So many bytes for decoded pictures. One picture always has room, however large it is.

    Args:
        size: In bytes.

    Example:
        >>> room, started = Room(10), []
        >>> first, second = room.claim(), room.claim()
        >>> room.ask(second, 5, lambda: started.append("second"))
        >>> room.ask(first, 20, lambda: started.append("first"))
        >>> room.free(first)
        >>> started
        ['first', 'second']
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._held = 0
        self._line: deque[Claim] = deque()
        self._lock = threading.RLock()

    def claim(self) -> Claim:
        """Get in line.

        Returns:
            What :meth:`ask`, :meth:`change` and :meth:`free` take.
        """
        claim = Claim()
        with self._lock:
            self._line.append(claim)
        return claim

    def ask(self, claim: Claim, size: int, start: Callable[[], object]) -> None:
        """Say how much is needed, and what to start once there is room and all before have theirs.

        Args:
            claim: From :meth:`claim`.
            size: In bytes.
            start: Returns at once.
        """
        with self._lock:
            claim.bytes, claim.start = size, start
            self._serve()

    def change(self, claim: Claim, size: int) -> None:
        """Say that more or less is needed after all.

        Args:
            claim: One that was started.
            size: In bytes.
        """
        with self._lock:
            if claim.granted:
                self._held += size - claim.bytes
                claim.bytes = size
                self._serve()

    def free(self, claim: Claim) -> None:
        """Give room back, or leave the line.

        Args:
            claim: Any; a second time changes nothing.
        """
        with self._lock:
            if claim.granted:
                claim.granted = False
                self._held -= claim.bytes
            elif claim in self._line:
                self._line.remove(claim)
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
