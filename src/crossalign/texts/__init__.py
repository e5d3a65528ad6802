"""Words: classes, what describes them, and the texts that are made of both."""

from __future__ import annotations

from crossalign.texts.descriptors import (
    descriptor_clause,
    descriptor_sentence,
    descriptor_sentences,
)
from crossalign.texts.templates import LABEL_TEMPLATE, TEMPLATES, fill_template, fill_templates
from crossalign.texts.waffle import waffle_texts

__all__ = [
    "LABEL_TEMPLATE",
    "TEMPLATES",
    "descriptor_clause",
    "descriptor_sentence",
    "descriptor_sentences",
    "fill_template",
    "fill_templates",
    "waffle_texts",
]
