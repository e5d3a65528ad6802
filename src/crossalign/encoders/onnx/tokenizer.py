"""Texts to token ids for a model in ONNX files: cut, padded and masked as its own files say."""

from __future__ import annotations

import html
import string
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from crossalign.encoders.hub import inner, smallest_limit, stated_context
from crossalign.encoders.onnx.files import ModelFiles
from crossalign.encoders.preprocessing import read_json
from crossalign.errors import EncoderError

if TYPE_CHECKING:
    import tokenizers

Padding: TypeAlias = Literal["trim", "mask", "full"]
"""How far rows are padded. ``"trim"``: to the longest of the batch, since a causal tower that reads
its end-of-text token sees nothing behind it. ``"mask"``: as far, since the attention mask hides the
padding. ``"full"``: always to the context length, since the model was trained on, and sees, it."""

CAUSAL = frozenset({"clip", "clip_text_model", "metaclip", "metaclip_2"})
MASKED = frozenset({"chinese_clip", "align", "bert", "vision-text-dual-encoder"})
UNMASKED = frozenset({"siglip", "siglip2"})  # trained without an attention mask, on full rows

OPEN_CLIP_CONTEXT = 77

PUNCTUATION = str.maketrans("", "", string.punctuation)

Ids: TypeAlias = npt.NDArray[np.int64]


class TextReader:
    """Texts to rows of token ids.

    The text ``"<|endoftext|>"`` and the like within a text are text, not special tokens.

    Args:
        files: The model's files.

    Raises:
        EncoderError: If a file is missing, broken or does not say what is needed.
    """

    def __init__(self, files: ModelFiles) -> None:
        config = files.config()
        folder = files.tokenizer_folder
        self._origin = folder / "tokenizer.json"
        content = read_json(self._origin)
        settings = read_json(folder / "tokenizer_config.json", optional=True)
        self._tokenizer = _open(self._origin)
        self._split = files.split
        self._tidy = None
        if files.split:
            text = inner(config, "text_cfg")
            self._tidy = inner(text, "tokenizer_kwargs").get("clean")
            self.padding, self.all_ones = _open_clip_padding(text), False
        else:
            kind = str(config.get("model_type"))
            text = inner(config, "text_config")
            self.padding, self.all_ones = _padding(kind), kind in UNMASKED
        self.context_length = context_length(files)
        self._tokenizer.no_padding()
        self._tokenizer.encode_special_tokens = True
        left = settings.get("truncation_side") == "left"
        self._cut_side: Literal["left", "right"] = "left" if left else "right"
        self.limit(self.context_length)
        if self.padding == "trim" and not self._tokenizer.num_special_tokens_to_add(False):
            raise EncoderError(
                f"expected a tokenizer that ends each text with an end-of-text token, since this "
                f"model reads that; {self._origin} adds none. It lacks its post-processor: take "
                "the file that Transformers saves."
            )
        self._pad_left = _pad_side(settings, content) == "left"
        if self._pad_left:
            self.padding = "full"
        specials = {**read_json(folder / "special_tokens_map.json", optional=True), **settings}
        self._pad_id = self._find_pad_id(specials, content, text)

    def limit(self, length: int) -> None:
        """Cut texts at a length from now on.

        Args:
            length: In tokens, special ones included.

        Raises:
            EncoderError: If the special tokens alone fill it.
        """
        specials = self._tokenizer.num_special_tokens_to_add(False)
        if length <= specials:
            raise EncoderError(
                f"{self._origin}: a context length of {length} tokens has no room beside the "
                f"{specials} special tokens; check model_max_length in tokenizer_config.json."
            )
        self._tokenizer.enable_truncation(length, direction=self._cut_side)
        self.context_length = length

    def read(self, texts: Sequence[str]) -> tuple[list[list[int]], set[int]]:
        """Tokenize.

        Args:
            texts: Any number of texts.

        Returns:
            Token ids by text, special tokens included, not padded; and the places of
            those that were cut.

        Raises:
            EncoderError: If the tokenizer fails.
        """
        try:
            encodings = self._tokenizer.encode_batch([self._clean(text) for text in texts])
        except Exception as error:  # the library raises bare exceptions
            raise EncoderError(f"{self._origin} cannot be used on these texts: {error}.") from error
        cut = {place for place, entry in enumerate(encodings) if entry.overflowing}
        return [entry.ids for entry in encodings], cut

    def lay_out(self, rows: Sequence[Sequence[int]], length: int) -> dict[str, Ids]:
        """Pad rows to one length.

        Args:
            rows: Token ids, at most ``length`` each.
            length: Common length L.

        Returns:
            Everything that a text graph may ask for, by name, int64 of shape (n, L).
        """
        ids = np.full((len(rows), length), self._pad_id, dtype=np.int64)
        mask = np.full_like(ids, self.all_ones)
        for place, row in enumerate(rows):
            where = slice(length - len(row), None) if self._pad_left else slice(len(row))
            ids[place, where] = row
            mask[place, where] = 1
        return {
            "input_ids": ids,
            "attention_mask": mask,
            "position_ids": np.broadcast_to(np.arange(length), ids.shape),
            "token_type_ids": np.zeros_like(ids),
        }

    def _clean(self, text: str) -> str:
        if not self._split:
            return text  # tokenizer.json does all that is to be done
        # What open_clip does before its tokenizer, but for ftfy's repair of garbled letters.
        text = html.unescape(html.unescape(text))
        if self._tidy == "canonicalize":
            text = text.replace("_", " ").translate(PUNCTUATION)
        if self._tidy in ("canonicalize", "lower"):
            text = text.lower()
        return " ".join(text.split())

    def _find_pad_id(
        self, specials: Mapping[str, Any], content: Mapping[str, Any], text: Mapping[str, Any]
    ) -> int:
        token = specials.get("pad_token")
        token = token.get("content") if isinstance(token, Mapping) else token
        if token is None:
            token = inner(content, "padding").get("pad_token")
        found = text.get("pad_token_id") if token is None else self._tokenizer.token_to_id(token)
        if type(found) is int and found >= 0:
            return found
        raise EncoderError(
            f"expected a padding token in tokenizer_config.json beside {self._origin}; got "
            f"{token!r}, which the tokenizer does not know. Set its 'pad_token'."
        )


def context_length(files: ModelFiles) -> int:
    """Read the longest text in tokens.

    Args:
        files: The model's files.

    Returns:
        The smallest of the lengths that they state: the towers have positions for it at least.

    Raises:
        EncoderError: If they state none.
    """
    config = files.config()
    settings = read_json(files.tokenizer_folder / "tokenizer_config.json", optional=True)
    if files.split:
        text = inner(config, "text_cfg")
        stated = text.get("context_length", OPEN_CLIP_CONTEXT if text else None)
        limit = smallest_limit(stated, settings.get("model_max_length"))
    else:
        limit = stated_context(config, settings)
    if limit is None:
        raise EncoderError(
            f"expected the longest text in tokens as text_config.max_position_embeddings or "
            f"text_cfg.context_length in {files.folder / 'config.json'}, or as model_max_length in "
            "tokenizer_config.json; got neither. Add one."
        )
    return limit


def _open(path: Path) -> tokenizers.Tokenizer:
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare exceptions
        raise EncoderError(
            f"expected a tokenizer in {path}; it cannot be used: {error}."
        ) from error


def _padding(kind: str) -> Padding:
    if kind in CAUSAL:
        return "trim"
    return "mask" if kind in MASKED else "full"


def _open_clip_padding(text: Mapping[str, Any]) -> Padding:
    plain = text and not any(text.get(key) for key in ("no_causal_mask", "embed_cls"))
    own = not text.get("hf_model_name") and text.get("pool_type", "argmax") == "argmax"
    return "trim" if plain and own else "full"


def _pad_side(settings: Mapping[str, Any], content: Mapping[str, Any]) -> str:
    """Side on which padding goes, as tokenizer_config.json says, or tokenizer.json."""
    stated = settings.get("padding_side") or inner(content, "padding").get("direction")
    if stated is None:  # what the classes of Transformers do then
        stated = "left" if str(settings.get("tokenizer_class")).startswith("Gemma") else "right"
    return str(stated).lower()
