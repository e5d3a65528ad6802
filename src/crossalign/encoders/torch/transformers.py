"""Dual encoders of Transformers: ``hf:<folder or hub repository>``.

Any model that ``AutoModel`` gives with ``get_image_features`` and ``get_text_features``: CLIP,
MetaCLIP, SigLIP, SigLIP 2 of one resolution, ALIGN, Chinese-CLIP, AltCLIP and more. Pixels are made
here, from the model's own ``preprocessor_config.json``; Transformers' image processors, which want
torchvision, are not used. Only safetensors are loaded, never a pickle or a repository's code.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from crossalign.encoders.base import ModelCard, Preprocess
from crossalign.encoders.hub import read_licence
from crossalign.encoders.preprocessing import PROCESSORS, read_json, read_processor
from crossalign.encoders.torch.base import (
    EXAMPLE_TEXTS,
    PRECISIONS,
    TorchEncoder,
    Towers,
    as_module,
    import_torch,
    place_and_dtype,
    revision_in,
)
from crossalign.encoders.torch.checkpoint import NEEDED, find_weights, locate, read_revision
from crossalign.encoders.torch.checkpoint import cards as cards
from crossalign.errors import EncoderError

# How far texts are padded, by model_type; read off the models' code in Transformers. All others are
# padded to their full length: SigLIP has to be (it pools at the last place), the rest is not known.
# Causal attention, pooled at a token that is looked for: what follows that token has no influence.
CAUSAL = frozenset({"clip", "clipseg", "groupvit", "metaclip_2"})
# Of these, some look for the highest id where eos_token_id is 2 (configurations of old), not for 2.
HIGHEST_ID = frozenset({"clip", "clipseg", "groupvit"})
# Bidirectional attention under a mask, pooled at the first token: padding is masked out.
MASKED = frozenset({"align", "altclip", "chinese_clip"})

# The text towers that count their positions from the padding token's id on.
OFFSET_POSITIONS = frozenset({"altclip_text_model", "camembert", "roberta", "xlm-roberta"})

EXAMPLES = "Dual encoders are CLIP, SigLIP, SigLIP 2 of one resolution, ALIGN and others."


class TransformersEncoder(TorchEncoder):
    """A dual encoder of Transformers; load it with ``load_encoder("hf:<folder or repository>")``.

    Safe to use from several threads.

    Args:
        model: The network, on its device, in evaluation mode.
        tokenizer: The model's own.
        card: What the model is; its ``dim`` is found out here, by embedding a picture and a text.
        preprocess: How the pixels are made.
        folder: Where its files lie.

    Raises:
        EncoderError: If the network does not embed one picture, and one text, in one space.
    """

    def __init__(
        self, model: Any, tokenizer: Any, card: ModelCard, preprocess: Preprocess, folder: Path
    ) -> None:
        super().__init__(model, card, preprocess, model)
        self._tokenizer, self._folder = tokenizer, folder
        self._card = dataclasses.replace(card, dim=self._probe())

    def towers(self) -> Towers:
        """Give both towers as modules that an exporter can trace.

        Returns:
            The towers.
        """
        # The fast attention is several operators in one, which an exporter knows only in part.
        self._model.set_attn_implementation("eager")
        rows, lengths, _ = self._read(EXAMPLE_TEXTS)
        feeds = self._pad(rows, max(lengths))
        width = feeds["input_ids"].shape[1]
        # A mask changes nothing where nothing behind the end of a text does.
        alone = self._kind in CAUSAL and width == max(lengths)
        names = ("input_ids",) if alone else self._tokenizer.model_input_names
        return Towers(
            image=_tower(self._torch, self._model, "get_image_features", ("pixel_values",)),
            text=_tower(self._torch, self._model, "get_text_features", names),
            image_example={"pixel_values": self._example()},
            text_example={name: feeds[name] for name in names},
            free_length=self._trims,
            save_settings=self._save_settings,
            graphs=("onnx/vision_model", "onnx/text_model"),
        )

    def _save_settings(self, folder: Path) -> None:
        for file in ("config.json", "tokenizer.json", *PROCESSORS):
            if (self._folder / file).is_file():
                shutil.copyfile(self._folder / file, folder / file)
        self._tokenizer.save_pretrained(folder)
        if not (folder / "tokenizer.json").is_file():
            raise EncoderError(
                f"{self.card.name}: its tokenizer cannot be written as a tokenizer.json, which "
                "onnx: needs. Put the one that the hub's conversions of this model have into "
                f"{self._folder} and export again."
            )
        settings = read_json(folder / "tokenizer_config.json")
        settings["model_max_length"] = self.card.context_length
        (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2), "utf-8")

    @property
    def _kind(self) -> str:
        return str(self._model.config.model_type)

    @property
    def _trims(self) -> bool:
        """Whether rows may be shorter than the context length, with the same embeddings."""
        names, right = self._tokenizer.model_input_names, self._tokenizer.padding_side == "right"
        masked = self._kind in MASKED and "attention_mask" in names
        return right and (masked or self._kind in CAUSAL)

    def _probe(self) -> int:
        """Length D of an embedding."""
        side = self._preprocess.size
        try:
            image = self._embed_images(np.zeros((1, side, side, 3), dtype=np.uint8))
            rows, lengths, _ = self._read(["a"])
            text = self._embed_texts(rows, lengths[0])
            if image.ndim != 2 or image.shape != text.shape:
                raise ValueError(f"embeddings have shapes {image.shape} and {text.shape}")
        except EncoderError:
            raise
        except Exception as error:
            raise EncoderError(
                f"{self.card.name}: a {self._kind!r} model does not embed a square picture of "
                f"{side} pixels, and a text, in one space: {error} {EXAMPLES}"
            ) from error
        return int(image.shape[1])

    def _image_features(self, values: Any) -> Any:
        return _features(self._torch, self._model.get_image_features(pixel_values=values))

    def _text_features(self, rows: list[dict[str, list[int]]], longest: int) -> Any:
        feeds = self._pad(rows, longest)
        return _features(self._torch, self._model.get_text_features(**feeds))

    def _pad(self, rows: list[dict[str, list[int]]], longest: int) -> Any:
        width = self._width([row["input_ids"] for row in rows], longest)
        options = {"padding": "max_length", "return_tensors": "pt"}
        with self._lock:
            return self._tokenizer.pad(rows, max_length=width, **options).to(self._device)

    def _read(self, texts: list[str]) -> tuple[list[dict[str, list[int]]], list[int], set[int]]:
        """Token ids without padding, their lengths, and the places of the texts that were cut."""
        limit = self.card.context_length
        options = {"split_special_tokens": True}  # "<|endoftext|>" in a user's text is text
        with self._lock:
            feeds = self._tokenizer(texts, verbose=False, **options)
            cut = {place for place, ids in enumerate(feeds["input_ids"]) if len(ids) > limit}
            if cut:
                feeds = self._tokenizer(texts, truncation=True, max_length=limit, **options)
        rows = [dict(zip(feeds, row, strict=True)) for row in zip(*feeds.values(), strict=True)]
        return rows, [len(row["input_ids"]) for row in rows], cut

    def _width(self, rows: list[list[int]], longest: int) -> int:
        """Length that a batch is padded to so that each embedding is that of the full length."""
        config, limit = self._model.config, self.card.context_length
        if not self._trims:
            return limit
        end = getattr(config.text_config, "eos_token_id", None)
        pad = self._tokenizer.pad_token_id
        if self._kind in HIGHEST_ID and end == 2:
            inside = all(max(ids, default=-1) >= pad for ids in rows)
        else:
            inside = self._kind in MASKED or all(end in ids for ids in rows)
        # Else the token that is looked for is the first of the padding.
        return min(max(1, longest) + (not inside), limit)


def _features(torch: Any, output: Any) -> Any:
    """Unwrap what the network gave: Transformers 5 wraps the features."""
    return output if isinstance(output, torch.Tensor) else output.pooler_output


def _tower(torch: Any, network: Any, method: str, names: Sequence[str]) -> Any:
    """Make a module of one of a network's functions, with inputs in the order of these names."""

    def embed(network: Any, *inputs: Any) -> Any:
        function = getattr(network, method)
        return _features(torch, function(**dict(zip(names, inputs, strict=True))))

    return as_module(torch, network, embed)


def load(
    rest: str, *, device: str | None = None, dtype: str | None = None, revision: str | None = None
) -> TransformersEncoder:
    """Load a dual encoder of Transformers.

    Args:
        rest: A local folder, or a repository of the Hugging Face hub, ``owner/name`` or
            ``owner/name@REVISION``.
        device: A word of :mod:`crossalign.encoders.devices`; ``"cpu"`` by default. Where an
            asked-for GPU is absent, the CPU is used, with a warning.
        dtype: ``"fp32"`` (the default), ``"fp16"``, ``"bf16"``, or ``"auto"``. Any but fp32 is part
            of the card's revision, since it embeds a little differently.
        revision: Branch, tag or commit of a hub repository.

    Returns:
        The encoder.

    Raises:
        EncoderError: If the model is not there, is no dual encoder, has no safetensors, or its
            files contradict one another.
        MissingExtraError: If PyTorch or Transformers is not installed.
    """
    torch, transformers = import_torch(f"hf:{rest}", "transformers", "transformers")
    place, precision = place_and_dtype(torch, device, dtype)
    name, folder = locate(rest, revision)
    name = f"hf:{name}"
    weights = find_weights(folder)
    preprocess = read_processor(folder)
    local = {"trust_remote_code": False, "local_files_only": True}
    with _foreign(name):
        config = transformers.AutoConfig.from_pretrained(folder, **local)
        kind = transformers.MODEL_MAPPING.get(type(config), None)
    _check_config(name, kind, config, preprocess)
    with _foreign(name):
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **local)
        model, report = transformers.AutoModel.from_pretrained(
            folder,
            use_safetensors=True,
            attn_implementation="sdpa" if kind._supports_sdpa else "eager",
            dtype=getattr(torch, PRECISIONS[precision]),
            output_loading_info=True,
            **local,
        )
        model = model.eval().to(place)
    # Transformers fills in what is missing at random. The logit scale is not part of an embedding.
    missing = sorted(key for key in report["missing_keys"] if not key.startswith("logit_"))
    if missing:
        raise EncoderError(
            f"{name}: the weights lack {len(missing)} of the tensors that a {config.model_type!r} "
            f"model has, {missing[0]} first. Download or export model.safetensors anew."
        )
    card = ModelCard(
        name=name,
        revision=revision_in(read_revision(folder), precision),
        dim=0,
        image_size=preprocess.size,
        context_length=_context_length(name, config, tokenizer),
        licence=read_licence(folder),
        bytes=sum(file.stat().st_size for file in weights),
    )
    return TransformersEncoder(model, tokenizer, card, preprocess, folder)


@contextlib.contextmanager
def _foreign(name: str) -> Iterator[None]:
    """Name the model in whatever Transformers raises; only its own calls stand inside."""
    try:
        yield
    except Exception as error:
        raise EncoderError(
            f"{name}: Transformers cannot load it: {error} A folder needs {NEEDED}; a "
            "repository's own code is never run."
        ) from error


def _check_config(name: str, kind: Any, config: Any, preprocess: Preprocess) -> None:
    """Refuse what is no dual encoder, and a network of another size than its pictures."""
    if not hasattr(kind, "get_image_features") or not hasattr(kind, "get_text_features"):
        raise EncoderError(f"{name}: a {config.model_type!r} model is no dual encoder. {EXAMPLES}")
    vision = getattr(config, "vision_config", None)
    side = getattr(vision, "image_size", None)
    # Without patches it is a convolutional network, which takes pictures of any size.
    if hasattr(vision, "patch_size") and isinstance(side, int) and side != preprocess.size:
        raise EncoderError(
            f"{name}: config.json says pictures of {side} pixels (vision_config.image_size), its "
            f"preprocessor_config.json {preprocess.size}. Correct the wrong one."
        )


def _context_length(name: str, config: Any, tokenizer: Any) -> int:
    """Longest text in tokens, that both the network and its tokenizer take."""
    text = getattr(config, "text_config", None)
    places, pad = getattr(text, "max_position_embeddings", None), tokenizer.pad_token_id
    if not isinstance(places, int) or pad is None:
        raise EncoderError(
            f"{name}: expected text_config.max_position_embeddings in config.json and a pad_token "
            f"of the tokenizer; got {places!r} and {tokenizer.pad_token!r}."
        )
    if getattr(text, "model_type", None) in OFFSET_POSITIONS:
        places -= pad + 1
    return min(places, int(tokenizer.model_max_length))
