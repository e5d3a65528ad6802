"""Encode the vocabulary that ships for the built-in model, when the bank or the model changes.

python tools/builtin/vocabulary.py
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import numpy as np

from crossalign import load_encoder
from crossalign.engine import vocabulary
from crossalign.texts import bank


def main() -> None:
    """Write the file."""
    encoder = load_encoder("builtin")
    texts = vocabulary.prompts(bank.names())
    vectors = encoder.encode_texts(texts)
    codes = np.rint(vectors / np.abs(vectors).max(axis=1, keepdims=True) * 127).astype(np.int8)
    path = Path(str(files("crossalign.engine").joinpath(vocabulary.SHIPPED)))
    np.savez_compressed(path, codes=codes, stamp=vocabulary.stamp(encoder, texts))
    print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
