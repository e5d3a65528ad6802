"""``hf:`` where PyTorch or Transformers is not installed: these run without either."""

from __future__ import annotations

import sys
import types

import pytest

from crossalign.encoders import load_encoder, registry
from crossalign.errors import MissingExtraError


def test_without_torch(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r"'hf:x' needs the package 'torch'") as caught:
        load_encoder("hf:x")
    assert "crossalign[transformers]" in str(caught.value)
    assert caught.value.extra == "transformers"


def test_without_transformers(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", types.ModuleType("torch"))
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtraError, match="'transformers', which is not") as caught:
        load_encoder("hf:x")
    assert caught.value.extra == "transformers"


def test_the_family_is_known():
    assert registry._SCHEMES["hf"].usage == "hf:<folder or hub repository>"
