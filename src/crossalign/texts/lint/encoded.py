"""The checks that need an encoder: how it reads the texts, and whether they tell classes apart."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crossalign.encoders.base import Embeddings, Encoder, TextsCutWarning
from crossalign.texts.descriptions import wordify
from crossalign.texts.filtering import REDUNDANT, EncodedTexts, text_margins
from crossalign.texts.lint.checks import Check, Found, plain, quote
from crossalign.texts.lint.draft import Draft, DraftText
from crossalign.texts.lint.findings import LintOptions
from crossalign.texts.quality import bad_characters
from crossalign.texts.templates import LABEL_TEMPLATE, fill_template

NEAR_OF = {"builtin": 0.97}
"""Where it is not BiFTA's 0.99. The built-in model puts texts in another order of words at 0.97 to
1, and of 1,092 pairs of texts of one class in the bank none above 0.92."""


@dataclass(frozen=True, slots=True, eq=False)
class EncodedDraft:
    """The usable texts of a draft, and how an encoder reads them.

    Args:
        texts: One for each row.
        names: Class names, as ``encoded.owner`` counts them.
        encoded: The embeddings.
        cut: Which texts are longer than the encoder reads, bool, shape (T,).
        context: The encoder's context length in tokens.
        near: Cosine above which this encoder's texts are near-duplicates.
    """

    texts: Sequence[DraftText]
    names: Sequence[str]
    encoded: EncodedTexts
    cut: npt.NDArray[np.bool_]
    context: int
    near: float


def encode_draft(draft: Draft, encoder: Encoder) -> EncodedDraft | None:
    """Encode what can be encoded of a draft.

    Args:
        draft: Classes that come twice count as one here.
        encoder: Any encoder.

    Returns:
        The embeddings; None if there is no text to encode.
    """
    usable = [at for at in draft.texts if _encodable(at.class_name) and _encodable(at.text)]
    if not usable:
        return None
    names = list(dict.fromkeys(at.class_name for at in usable))
    numbers = {name: number for number, name in enumerate(names)}
    labels = [fill_template(LABEL_TEMPLATE, wordify(name.strip())) for name in names]
    rows, cut = _encode(encoder, [*labels, *(at.text for at in usable)])
    owner = np.array([numbers[at.class_name] for at in usable])
    encoded = EncodedTexts(rows[: len(names)], rows[len(names) :], owner)
    card = encoder.card
    near = NEAR_OF.get(card.name, REDUNDANT)
    return EncodedDraft(usable, names, encoded, cut[len(names) :], card.context_length, near)


def _encodable(text: str) -> bool:
    return bool(text.strip()) and not bad_characters(text)


def _encode(encoder: Encoder, texts: Sequence[str]) -> tuple[Embeddings, npt.NDArray[np.bool_]]:
    """Encode texts and find out which were cut: encoders warn of a call, so halve the calls."""
    rows, warned = _encode_quietly(encoder, texts)
    cut = np.zeros(len(texts), dtype=bool)
    # Only long texts can be too long, so that order leaves few calls that hold one.
    order = sorted(range(len(texts)), key=lambda place: -len(texts[place].encode()))
    pending = [order] if warned else []
    while pending:
        part = pending.pop()
        if len(part) == 1:
            cut[part] = True
            continue
        middle = len(part) // 2
        pending += [
            half
            for half in (part[:middle], part[middle:])
            if _encode_quietly(encoder, [texts[place] for place in half])[1]
        ]
    return rows, cut


def _encode_quietly(encoder: Encoder, texts: Sequence[str]) -> tuple[Embeddings, bool]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", TextsCutWarning)
        rows = encoder.encode_texts(texts)
    return rows, any(issubclass(warning.category, TextsCutWarning) for warning in caught)


def _beyond_context(draft: EncodedDraft, _options: LintOptions) -> Iterator[Found]:
    for row in np.flatnonzero(draft.cut).tolist():
        limit = f"longer than the encoder's {draft.context} tokens; its end is not read."
        yield limit, *draft.texts[row]


def _near_duplicates(draft: EncodedDraft, options: LintOptions) -> Iterator[Found]:
    near = draft.near if options.near is None else options.near
    for number in range(len(draft.names)):
        members = [
            draft.texts[row] for row in np.flatnonzero(draft.encoded.owner == number).tolist()
        ]
        rows = draft.encoded.rows(number)
        cosines = np.tril(rows @ rows.T, k=-1)
        for at, row in zip(members, cosines, strict=True):
            alike = [
                earlier
                for earlier in np.flatnonzero(row > near).tolist()
                if plain(members[earlier].text) != plain(at.text)  # told of elsewhere
            ]
            if alike:
                first = max(alike, key=row.__getitem__)
                yield f"says what {quote(members[first].text)} says (cosine {row[first]:.3f}).", *at


def _closer_to_another(draft: EncodedDraft, _options: LintOptions) -> Iterator[Found]:
    margins = text_margins(draft.encoded)
    for row in np.flatnonzero(margins.values < 0).tolist():
        other = quote(draft.names[margins.nearest[row]])
        cosines = f"{margins.other[row]:.3f} to {margins.own[row]:.3f}"
        yield f"closer to {other} than to its own class ({cosines}).", *draft.texts[row]


ENCODED_CHECKS: tuple[Check, ...] = (
    Check("beyond-context", "warning", "a text that the encoder cuts", _beyond_context),
    Check("near-duplicate", "warning", "two texts with nearly one embedding", _near_duplicates),
    Check("closer-to-another", "note", "a text more like another class", _closer_to_another),
)
"""The checks on how an encoder reads a file."""
