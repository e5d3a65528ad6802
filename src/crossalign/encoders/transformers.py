"""Dual encoders of Transformers: ``hf:<folder or hub repository>``.

Any model that ``AutoModel`` gives with ``get_image_features`` and ``get_text_features``: CLIP,
MetaCLIP, SigLIP, SigLIP 2 of one resolution, ALIGN, Chinese-CLIP, AltCLIP and more. Pixels are made
here, from the model's own ``preprocessor_config.json``; Transformers' image processors, which want
torchvision, are not used. Only safetensors are loaded, never a pickle or a repository's code.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import importlib
import re
import threading
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from crossalign.encoders._config import read_json, read_preprocess
from crossalign.encoders.base import (
    Embeddings,
    ModelCard,
    Preprocess,
    batches_by_length,
    check_pixels,
    check_texts,
    warn_of_cuts,
)
from crossalign.errors import EncoderError, MissingExtraError

if TYPE_CHECKING:
    from crossalign.crops import Pixels

IMAGE_BATCH = 32
TEXT_BATCH = 64

DTYPES = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}

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

WEIGHTS = ("model.safetensors", "model-*.safetensors")
FILES = (*WEIGHTS, "*.json", "*.txt", "*.model")
NEEDED = "config.json, preprocessor_config.json, model.safetensors and a tokenizer.json"
EXAMPLES = "Dual encoders are CLIP, SigLIP, SigLIP 2 of one resolution, ALIGN and others."


class TransformersEncoder:
    """A dual encoder of Transformers; load it with ``load_encoder("hf:<folder or repository>")``.

    Safe to use from several threads.

    Args:
        model: The network, on its device, in evaluation mode.
        tokenizer: The model's own.
        card: What the model is; its ``dim`` is found out here, by embedding a picture and a text.
        preprocess: How the pixels are made.

    Raises:
        EncoderError: If the network does not embed one picture, and one text, in one space.
    """

    def __init__(self, model: Any, tokenizer: Any, card: ModelCard, preprocess: Preprocess) -> None:
        import torch

        self._torch: Any = torch
        self._model = model
        self._tokenizer = tokenizer
        self._lock = threading.Lock()  # truncation is a state of fast tokenizers
        self._preprocess = preprocess
        self._mean = torch.tensor(preprocess.mean, device=model.device)
        self._std = torch.tensor(preprocess.std, device=model.device)
        self._card = card
        self._card = dataclasses.replace(card, dim=self._probe())

    @property
    def card(self) -> ModelCard:
        """Name, revision, dimensions, licence and size."""
        return self._card

    @property
    def preprocess(self) -> Preprocess:
        """As the model's own files state it."""
        return self._preprocess

    def encode_images(self, pixels: Pixels) -> Embeddings:
        """Embed pictures.

        Args:
            pixels: uint8 RGB, shape (n, S, S, 3).

        Returns:
            float32, shape (n, D), rows of unit length.

        Raises:
            EncoderError: If the pixels have another dtype or shape, or the network overflows.
        """
        check_pixels(pixels, self.card.image_size)
        rows = np.empty((len(pixels), self.card.dim), np.float32)
        for start in range(0, len(pixels), IMAGE_BATCH):
            # A copy: torch wants memory that it may write to, laid out in order.
            batch = self._torch.from_numpy(np.array(pixels[start : start + IMAGE_BATCH], order="C"))
            rows[start : start + len(batch)] = self._embed_images(batch)
        return rows

    def encode_texts(self, texts: Sequence[str]) -> Embeddings:
        """Embed texts. Equal texts are embedded once, and texts of like length together.

        Args:
            texts: What goes beyond the context length is cut by the tokenizer, with a warning.

        Returns:
            float32, shape (m, D), rows of unit length.

        Raises:
            EncoderError: If something other than texts came, or the network overflows.
        """
        texts = check_texts(texts)
        places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
        rows, cut = self._tokenize(list(places)) if places else ([], set())
        count = sum(places[text] in cut for text in texts)
        warn_of_cuts(count, len(texts), self.card.context_length)
        lengths = [len(row["input_ids"]) for row in rows]
        unique = np.empty((len(rows), self.card.dim), np.float32)
        for chosen in batches_by_length(lengths, TEXT_BATCH):
            unique[chosen] = self._embed_texts([rows[index] for index in chosen])
        return unique[[places[text] for text in texts]]

    def __repr__(self) -> str:
        card, dtype = self.card, str(self._model.dtype).removeprefix("torch.")
        return (
            f"TransformersEncoder({card.name!r}, revision={card.revision!r}, dim={card.dim}, "
            f"device={str(self._model.device)!r}, dtype={dtype!r})"
        )

    def _probe(self) -> int:
        """Length D of an embedding."""
        side = self._preprocess.size
        try:
            image = self._embed_images(
                self._torch.zeros((1, side, side, 3), dtype=self._torch.uint8)
            )
            text = self._embed_texts(self._tokenize(["a"])[0])
            if image.ndim != 2 or image.shape != text.shape:
                raise ValueError(f"embeddings have shapes {image.shape} and {text.shape}")
        except EncoderError:
            raise
        except Exception as error:
            raise EncoderError(
                f"{self.card.name}: a {self._model.config.model_type!r} model does not embed a "
                f"square picture of {side} pixels, and a text, in one space: {error} {EXAMPLES}"
            ) from error
        return int(image.shape[1])

    def _embed_images(self, batch: Any) -> Any:
        model = self._model
        with self._torch.inference_mode():
            values = (batch.to(model.device).float() / 255 - self._mean) / self._std
            values = values.permute(0, 3, 1, 2).to(model.dtype).contiguous()
            return self._vectors(model.get_image_features(pixel_values=values))

    def _embed_texts(self, rows: list[dict[str, list[int]]]) -> Any:
        options = {"padding": "max_length", "return_tensors": "pt"}
        width = self._width([row["input_ids"] for row in rows])
        with self._lock:
            feeds = self._tokenizer.pad(rows, max_length=width, **options)
        with self._torch.inference_mode():
            return self._vectors(self._model.get_text_features(**feeds.to(self._model.device)))

    def _vectors(self, output: Any) -> Any:
        """Unit rows of what the network gave; Transformers 5 wraps the features."""
        rows = (output if isinstance(output, self._torch.Tensor) else output.pooler_output).float()
        if not self._torch.isfinite(rows).all():
            raise EncoderError(
                f"{self.card.name} gave infinite or undefined numbers in {self._model.dtype}; "
                "load it with dtype='fp32'."
            )
        return self._torch.nn.functional.normalize(rows, dim=-1).cpu().numpy()

    def _tokenize(self, texts: list[str]) -> tuple[list[dict[str, list[int]]], set[int]]:
        """Token ids without padding, and the places of the texts that were cut."""
        limit = self.card.context_length
        with self._lock:
            feeds = self._tokenizer(texts, verbose=False)
            cut = {place for place, ids in enumerate(feeds["input_ids"]) if len(ids) > limit}
            if cut:
                feeds = self._tokenizer(texts, truncation=True, max_length=limit)
        rows = [dict(zip(feeds, row, strict=True)) for row in zip(*feeds.values(), strict=True)]
        return rows, cut

    def _width(self, rows: list[list[int]]) -> int:
        """Length that a batch is padded to so that each embedding is that of the full length."""
        config, tokenizer, limit = self._model.config, self._tokenizer, self.card.context_length
        kind = config.model_type
        masked = kind in MASKED and "attention_mask" in tokenizer.model_input_names
        if not (masked or kind in CAUSAL) or tokenizer.padding_side != "right":
            return limit
        end, pad = getattr(config.text_config, "eos_token_id", None), tokenizer.pad_token_id
        if kind in HIGHEST_ID and end == 2:
            inside = all(max(ids, default=-1) >= pad for ids in rows)
        else:
            inside = masked or all(end in ids for ids in rows)
        # Else the token that is looked for is the first of the padding.
        return min(max(1, *map(len, rows)) + (not inside), limit)


def load(
    rest: str, *, device: str | None = None, dtype: str | None = None, revision: str | None = None
) -> TransformersEncoder:
    """Load a dual encoder of Transformers.

    Args:
        rest: A local folder, or a repository of the Hugging Face hub, ``owner/name``.
        device: ``"cpu"`` (the default), ``"cuda"``, ``"cuda:1"``, or ``"auto"`` for a
            GPU if there is one. Where an asked-for GPU is absent, the CPU is used, with a warning.
        dtype: ``"fp32"`` (the default), ``"fp16"``, ``"bf16"``, or ``"auto"``: fp16 on a CUDA GPU,
            bf16 on a CPU with instructions for it, else fp32. Any but fp32 is part of the card's
            revision, since it embeds a little differently.
        revision: Branch, tag or commit of a hub repository.

    Returns:
        The encoder.

    Raises:
        EncoderError: If the model is not there, is no dual encoder, has no safetensors, or its
            files contradict one another.
        MissingExtraError: If PyTorch or Transformers is not installed.
    """
    name = f"hf:{rest}"
    torch, transformers = _import(name)
    place = _device(torch, device)
    precision = _dtype(torch, dtype, place)
    folder = _folder(rest, revision)
    weights = _weights(folder)
    # Newer versions of Transformers write the second instead of the first.
    made = [folder / "preprocessor_config.json", *_files(folder, ("processor_config.json",))]
    made = [file for file in made if file.is_file()] or made
    preprocess = read_preprocess(read_json(made[0]), str(made[0]))
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
            dtype=getattr(torch, DTYPES[precision]),
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
        revision=_revision(folder) + ("" if precision == "fp32" else f"-{precision}"),
        dim=0,
        image_size=preprocess.size,
        context_length=_context_length(name, config, tokenizer),
        licence=_licence(folder),
        bytes=sum(file.stat().st_size for file in weights),
    )
    return TransformersEncoder(model, tokenizer, card, preprocess)


def _import(name: str) -> tuple[Any, Any]:
    module = "torch"
    try:
        torch = importlib.import_module(module)
        module = "transformers"
        return torch, importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"encoder {name!r}", module, "transformers") from error


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


def _device(torch: Any, device: str | None) -> Any:
    present = ["cpu"] + [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    if device == "auto":
        return torch.device(present[1] if len(present) > 1 else "cpu")
    wanted = "cpu" if device is None else str(device)
    if not re.fullmatch(r"cpu|cuda(:\d+)?", wanted):
        raise EncoderError(
            f"expected device as 'cpu', 'cuda', 'cuda:<number>' or 'auto'; got {device!r}."
        )
    if (f"{wanted}:0" if wanted == "cuda" else wanted) in present:
        return torch.device(wanted)
    warnings.warn(
        f"device {device!r} was asked for, but PyTorch {torch.__version__} sees only "
        f"{', '.join(present)}; the CPU is used. A GPU needs its driver and a PyTorch for it.",
        stacklevel=4,
    )
    return torch.device("cpu")


def _dtype(torch: Any, dtype: str | None, place: Any) -> str:
    if dtype == "auto":
        # Older PyTorch has no public way to tell.
        can: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
        fast = can.get("amx_bf16") or can.get("avx512_bf16")
        return "fp16" if place.type == "cuda" else "bf16" if fast else "fp32"
    wanted = "fp32" if dtype is None else dtype
    if wanted not in DTYPES:
        raise EncoderError(f"expected dtype as {', '.join(DTYPES)} or auto; got {dtype!r}.")
    return wanted


def _folder(rest: str, revision: str | None) -> Path:
    """Find a local folder, or bring what is needed of a hub repository into the cache."""
    folder = Path(rest).expanduser()
    if rest and folder.is_dir():
        if revision is not None:
            raise EncoderError(f"the folder {rest} has no revisions; got revision={revision!r}.")
        return folder
    if not re.fullmatch(r"[\w-][\w.-]*(/[\w-][\w.-]*)?", rest, re.ASCII):
        raise EncoderError(
            f"expected a folder that is there, or a repository (owner/name); got {rest!r}."
        )
    import huggingface_hub

    options: dict[str, Any] = {"allow_patterns": [*FILES, "README.md"], "ignore_patterns": ["*/*"]}
    try:
        return Path(huggingface_hub.snapshot_download(rest, revision=revision, **options))
    except Exception as error:  # it raises those of several HTTP libraries
        raise EncoderError(
            f"hf:{rest} is no folder here, and the hub did not give it: {error} To work without "
            f"the hub, put {NEEDED} into a folder and name that: hf:<folder>. The encoder "
            "'builtin' works offline as it is."
        ) from error


def _weights(folder: Path) -> list[Path]:
    weights = _files(folder, WEIGHTS)
    if not weights:
        pickles = _files(folder, ("*.bin", "*.pt", "*.pth", "*.ckpt"))
        raise EncoderError(
            f"expected model.safetensors in {folder}; it has "
            f"{', '.join(file.name for file in pickles) or 'no weights'}. Pickles (.bin, .pt) can "
            "run code and are not loaded. If you trust their source, convert them once: "
            "transformers.AutoModel.from_pretrained(folder).save_pretrained(folder)."
        )
    # Transformers makes up an empty vocabulary where there is none.
    if not _files(folder, ("tokenizer.json", "vocab.*", "*.model")):
        raise EncoderError(f"expected a tokenizer in {folder}; found none. It needs {NEEDED}.")
    return weights


def _files(folder: Path, patterns: Sequence[str]) -> list[Path]:
    return sorted({file for pattern in patterns for file in folder.glob(pattern)})


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


def _revision(folder: Path) -> str:
    """Commit of a hub repository; of a folder, a hash of all that decides its embeddings."""
    if folder.parent.name == "snapshots" and re.fullmatch(r"[0-9a-f]{40}", folder.name):
        return folder.name
    digest = hashlib.sha256()
    for file in _files(folder, FILES):
        digest.update(f"{file.name}:{file.stat().st_size}:".encode())
        with file.open("rb") as opened:
            while block := opened.read(1 << 22):
                digest.update(block)
    return digest.hexdigest()[:12]


def _licence(folder: Path) -> str:
    """Read the licence that the front matter of README.md states."""
    file = folder / "README.md"
    text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
    front = re.match(r"---\s*\n(.*?)\n---", text, re.DOTALL)
    stated = re.findall(r"(?m)^license(?:_name)?: *['\"]?([\w.+-]+)", front[1] if front else "")
    return " ".join(name for name in stated if name != "other") or "unknown"
