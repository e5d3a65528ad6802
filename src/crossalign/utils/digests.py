"""Short names for plain values, by their content."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def value_digest(value: Any, *, size: int = 16, compact: bool = True) -> str:
    """Name plain values by their content: BLAKE2b of their JSON, with sorted keys.

    Args:
        value: Anything that JSON can hold; what it cannot hold counts as its text.
        size: Bytes of the digest.
        compact: Whether JSON is written without spaces. Names that are on disk already were made
            in one way or the other.

    Returns:
        Two hexadecimal digits a byte.

    Example:
        >>> value_digest(["a", "b"]) == value_digest(("a", "b"))
        True
        >>> value_digest({"a": 1}, size=6, compact=False)
        'c575b056e175'
    """
    separators = (",", ":") if compact else None
    text = json.dumps(value, sort_keys=True, default=str, separators=separators)
    return hashlib.blake2b(text.encode(), digest_size=size).hexdigest()
