"""A model of open_clip as files: its tokenizer and settings in the layout that ``onnx:`` reads."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

from crossalign.encoders.base import ModelCard, Preprocess
from crossalign.encoders.hub import cached_snapshots, read_licence
from crossalign.errors import EncoderError

# What open_clip looks for in a repository, best first.
WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
FITS = {"crop": "shortest", "squash": "squash"}


def plain_specials(tokenizer: Any) -> None:
    """Make special tokens that are written out in a text plain text, in one tokenizer.

    Without this, ``<end_of_text>`` in a user's text ends it: what follows has no influence.

    Args:
        tokenizer: One of open_clip's, made for one encoder.
    """
    wrapped = getattr(tokenizer, "tokenizer", None)
    if wrapped is not None:
        wrapped.split_special_tokens = True  # one of Transformers
        return
    pattern = getattr(tokenizer, "pat", None)
    if pattern is None:
        return
    # It cuts a text into words by a pattern that begins with the special tokens.
    special = "|".join(tokenizer.decoder[token] for token in tokenizer.all_special_ids) + "|"
    if pattern.pattern.startswith(special):
        import regex

        tokenizer.pat = regex.compile(pattern.pattern.removeprefix(special), pattern.flags)


def save_settings(
    folder: Path, card: ModelCard, preprocess: Preprocess, config: dict[str, Any], tokenizer: Any
) -> None:
    """Write what ``onnx:`` reads beside the graphs, in the split layout of photo libraries.

    Args:
        folder: The model's folder.
        card: What the model is.
        preprocess: How the pixels are made.
        config: The architecture's configuration.
        tokenizer: The architecture's own.

    Raises:
        EncoderError: If the tokenizer cannot be written as a ``tokenizer.json``.
    """
    (folder / "visual").mkdir()
    (folder / "textual").mkdir()
    pixels = {
        "size": [preprocess.size] * 2,
        "mode": "RGB",
        "mean": preprocess.mean,
        "std": preprocess.std,
        "interpolation": preprocess.resample,
        "resize_mode": FITS[preprocess.fit],
    }
    _write(folder / "visual" / "preprocess_cfg.json", pixels)
    settings: dict[str, Any] = {"model_max_length": card.context_length}
    clean = getattr(tokenizer.clean_fn, "__name__", "").removeprefix("_clean_")
    text = config["text_cfg"]
    text = {**text, "tokenizer_kwargs": {**text.get("tokenizer_kwargs", {}), "clean": clean}}
    _write(folder / "config.json", {**config, "text_cfg": text})
    wrapped = getattr(tokenizer, "tokenizer", None)
    if wrapped is None:
        if getattr(tokenizer, "reduction_fn", None) is not None:
            raise EncoderError(f"{card.name}: its tokenizer cuts long texts at random places.")
        made = _byte_pairs(tokenizer)
        settings["pad_token"] = tokenizer.decoder[0]  # it fills with zeros
    else:
        odd = getattr(tokenizer, "tokenizer_mode", "") or getattr(tokenizer, "strip_sep_token", "")
        if odd or not getattr(wrapped, "is_fast", False):
            raise EncoderError(
                f"{card.name}: its tokenizer cannot be written as a tokenizer.json, which onnx: "
                "needs; such a model cannot be exported."
            )
        made = wrapped.backend_tokenizer
        settings |= {"pad_token": wrapped.pad_token, "padding_side": wrapped.padding_side}
    made.normalizer = _repairs(made.normalizer)
    made.no_padding()
    made.no_truncation()
    made.save(str(folder / "textual" / "tokenizer.json"))
    _write(folder / "textual" / "tokenizer_config.json", settings)


def _byte_pairs(tokenizer: Any) -> Any:
    """Write CLIP's own tokenizer, byte pairs of words in small letters, as the library's."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors

    merges = sorted(tokenizer.bpe_ranks, key=tokenizer.bpe_ranks.__getitem__)
    made = Tokenizer(
        models.BPE(vocab=dict(tokenizer.encoder), merges=merges, end_of_word_suffix="</w>")
    )
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(tokenizer.pat.pattern), "removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    start, end = (tokenizer.decoder[token] for token in tokenizer.all_special_ids[:2])
    made.add_special_tokens([tokenizer.decoder[token] for token in tokenizer.all_special_ids])
    made.post_processor = processors.TemplateProcessing(
        single=f"{start} $A {end}",
        special_tokens=[(token, tokenizer.encoder[token]) for token in (start, end)],
    )
    return made


def _repairs(then: Any) -> Any:
    """Write what ftfy does to a text before open_clip's tokenizers, but for garbled encodings."""
    from ftfy import chardata
    from tokenizers import Regex, normalizers

    curly = {chardata.SINGLE_QUOTE_RE.pattern: "'", chardata.DOUBLE_QUOTE_RE.pattern: '"'}
    quotes = [normalizers.Replace(Regex(any_of), sign) for any_of, sign in curly.items()]
    signs = {**chardata.LIGATURES, **chardata.WIDTH_MAP}
    plain = [normalizers.Replace(chr(sign), letters) for sign, letters in signs.items()]
    return normalizers.Sequence(
        [*plain, *quotes, normalizers.NFC(), *([then] if then is not None else [])]
    )


def _write(file: Path, content: dict[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=2), encoding="utf-8")


def cards() -> list[ModelCard]:
    """List the pretrained tags of open_clip whose weights the hub's cache on this machine holds.

    open_clip, which knows which repository a tag is, is imported only if one may be there.
    """
    there = {}
    for name, folder in cached_snapshots():
        weights = [folder / file for file in WEIGHTS if (folder / file).is_file()]
        if weights:
            there[name] = weights[0]
    if not there:
        return []
    try:
        open_clip: Any = importlib.import_module("open_clip")
        tags = open_clip.list_pretrained()
    except Exception:  # it is not installed, or does not fit the torch at hand
        return []
    found = []
    for architecture, tag in tags:
        stated = open_clip.get_pretrained_cfg(architecture, tag) or {}
        weights_of = there.get(str(stated.get("hf_hub") or "").rpartition("/")[0])
        if weights_of is not None:
            config = open_clip.get_model_config(architecture)
            found.append(_describe(f"open_clip:{architecture}/{tag}", tag, config, weights_of))
    return found


def _describe(name: str, tag: str, config: dict[str, Any], weights: Path) -> ModelCard:
    side = config["vision_cfg"].get("image_size", 224)
    return ModelCard(
        name=name,
        revision=tag,
        dim=int(config["embed_dim"]),
        image_size=int(side[0] if isinstance(side, list | tuple) else side),
        context_length=int(config["text_cfg"].get("context_length", 77)),
        licence=read_licence(weights.parent),
        bytes=weights.stat().st_size,
    )
