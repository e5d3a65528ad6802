"""Vision-language encoders: pixels and texts to unit vectors in one space."""

from __future__ import annotations

from crossalign.encoders.base import Encoder, ModelCard, Preprocess, fingerprint
from crossalign.encoders.registry import (
    check_options,
    list_encoders,
    load_encoder,
    register_encoder,
)

__all__ = [
    "Encoder",
    "ModelCard",
    "Preprocess",
    "check_options",
    "fingerprint",
    "list_encoders",
    "load_encoder",
    "register_encoder",
]
