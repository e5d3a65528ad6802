"""Who writes descriptions: a language model, or a dictionary of word senses.

:mod:`~crossalign.texts.generate.language_model` asks any OpenAI-compatible endpoint;
:mod:`~crossalign.texts.generate.wordnet` looks the classes up in a wordnet. Both give a
`DescriptionSet` that says where its texts came from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from crossalign.texts.descriptions import DescriptionSet


def described_set(
    groups: Mapping[str, Sequence[str]], written_by: str, settings: Any, answers: list[Any]
) -> tuple[DescriptionSet | None, list[str]]:
    """Make a set of texts that were written, with word of where they came from.

    Args:
        groups: Texts of each class; some may have none.
        written_by: Who wrote them.
        settings: What was wished for.
        answers: What each came from: objects with ``class`` and ``texts``, of which the identifiers
            are given.

    Returns:
        The set, None if it would be empty; and the classes left out of it for lack of any text.
    """
    missing = [name for name, texts in groups.items() if not texts]
    full = {name: tuple(texts) for name, texts in groups.items() if texts}
    if not full:
        return None, missing
    provenance = {"written_by": written_by, "settings": settings, "answers": answers}
    return DescriptionSet(tuple(full), tuple(full.values()), provenance), missing
