"""Encoders of open_clip: ``open_clip:<architecture>/<pretrained tag or checkpoint file>``.

Pixels are made here, from the preprocessing that open_clip states; its own transforms need
torchvision and are not used. Local checkpoints are safetensors, never pickles. Texts are cut
behind their end where that is exact; see ``_lengths``.
"""

from __future__ import annotations

import copy
import hashlib
from pathlib import Path
from typing import Any, TypeAlias

from crossalign.encoders.base import ModelCard, Preprocess
from crossalign.encoders.hub import digest_files, hub_commit
from crossalign.encoders.preprocessing import read_json, read_open_clip_preprocess
from crossalign.encoders.torch.base import (
    EXAMPLE_TEXTS,
    TorchEncoder,
    Towers,
    as_module,
    import_torch,
    place_and_dtype,
    revision_in,
)
from crossalign.encoders.torch.open_clip_files import WEIGHTS, plain_specials, save_settings
from crossalign.encoders.torch.open_clip_files import cards as cards
from crossalign.errors import EncoderError
from crossalign.utils.text import close_names

# open_clip's names; without "pure" it mixes precisions, and fails on some text towers.
PRECISIONS = {"fp32": "fp32", "bf16": "pure_bf16", "fp16": "pure_fp16"}

# What open_clip publishes beside its weights on the hub, read where it lies beside a checkpoint.
SIDECAR = "open_clip_config.json"
STATED = ("mean", "std", "interpolation", "resize_mode")
# A checkpoint, what is stated of its preprocessing, its revision and its licence.
Found: TypeAlias = tuple[Path, dict[str, Any], str, str]


class OpenClipEncoder(TorchEncoder):
    """A model of open_clip; load it with ``load_encoder("open_clip:<architecture>/<weights>")``.

    Safe to use from several threads.

    Args:
        model: The network, on its device, in evaluation mode.
        tokenizer: The architecture's own.
        card: What the model is.
        preprocess: How the pixels are made.
        config: The architecture's configuration.
    """

    def __init__(
        self, model: Any, tokenizer: Any, card: ModelCard, preprocess: Preprocess,
        config: dict[str, Any],
    ) -> None:  # fmt: skip
        super().__init__(model, card, preprocess, next(model.visual.parameters()))
        plain_specials(tokenizer)
        self._tokenizer, self._config = tokenizer, config

    def towers(self) -> Towers:
        """Give both towers as modules that an exporter can trace.

        Returns:
            The towers.
        """
        causal = _is_trimmed(self._model)

        def embed_image(network: Any, pixels: Any) -> Any:
            return network.encode_image(pixels, normalize=False)

        def embed_text(network: Any, ids: Any) -> Any:
            network = _shortened(network, ids.shape[1]) if causal else network
            return network.encode_text(ids, normalize=False)

        rows, lengths, _ = self._read(EXAMPLE_TEXTS)
        width = max(lengths)
        return Towers(
            image=as_module(self._torch, self._model, embed_image),
            text=as_module(self._torch, self._model, embed_text),
            image_example={"image": self._example()},
            text_example={"text": self._torch.stack(rows)[:, :width].to(self._device)},
            free_length=causal,
            save_settings=lambda folder: save_settings(
                folder, self.card, self.preprocess, self._config, self._tokenizer
            ),
            graphs=("visual/model", "textual/model"),
        )

    def _image_features(self, values: Any) -> Any:
        return self._model.encode_image(values, normalize=False)

    def _text_features(self, rows: list[Any], longest: int) -> Any:
        ids = self._torch.stack(rows)[:, :longest].to(self._device)
        return _shortened(self._model, longest).encode_text(ids, normalize=False)

    def _read(self, texts: list[str]) -> tuple[list[Any], list[int], set[int]]:
        ids, cut = self._tokenize(texts)
        return list(ids), _lengths(self._model, ids), cut

    def _tokenize(self, texts: list[str]) -> tuple[Any, set[int]]:
        """Token ids, shape (n, context length), and the places of the texts that were cut.

        The tokenizers cut without a word. A text was cut if, with one place more, other ids stand
        in the first places (the end-of-text token moved on) or the last one is no padding.
        """
        limit = self.card.context_length
        # One tokenizer puts a class token in the very last place, whatever the length.
        own = limit - (getattr(self._tokenizer, "tokenizer_mode", "") == "clips")
        with self._lock:
            ids = self._tokenizer([*texts, ""], context_length=limit)
            ids, blank = ids[:-1], ids[-1]
            full = (ids[:, own - 2] != blank[own - 2]).nonzero().flatten().tolist()
            if not full:
                return ids, set()
            longer = self._tokenizer([*(texts[place] for place in full), ""], limit + 1)
        differs = (longer[:-1, :own] != ids[full, :own]).any(dim=1)
        differs |= longer[:-1, limit] != longer[-1, limit]
        return ids, {place for place, cut in zip(full, differs.tolist(), strict=True) if cut}


def _lengths(model: Any, ids: Any) -> list[int]:
    """Places that each text needs: up to its end, where nothing behind that has influence.

    That is so where no place sees those behind it, and the vector is taken at the text's end.
    """
    if not _is_trimmed(model):
        return [ids.shape[1]] * len(ids)
    tower = getattr(model, "text", model)
    if _pooling(tower) == "eos":
        ids = (ids == getattr(tower, "eos_id", getattr(tower, "text_eos_id", None))).int()
    return [int(place) + 1 for place in ids.argmax(dim=-1)]


def _pooling(tower: Any) -> Any:
    return getattr(tower, "pool_type", getattr(tower, "text_pool_type", None))


def _is_trimmed(model: Any) -> bool:
    """Whether nothing behind a text's end has influence."""
    tower = getattr(model, "text", model)
    causal = getattr(tower, "attn_mask", None) is not None
    plain = getattr(tower, "cls_emb", None) is None
    return causal and plain and _pooling(tower) in ("eos", "argmax")


def _shortened(model: Any, width: int) -> Any:
    """The same network for texts of fewer places: its weights are shared, its code open_clip's."""
    tower = getattr(model, "text", model)
    if width == tower.context_length:
        return model
    short = copy.copy(tower)
    short._parameters, short._buffers = dict(tower._parameters), dict(tower._buffers)
    # No parameter, but a plain tensor, so that an exporter sees where it comes from.
    short._parameters["positional_embedding"] = tower.positional_embedding[:width]
    short._buffers["attn_mask"] = tower.attn_mask[:width, :width]
    if tower is model:
        return short
    outer = copy.copy(model)
    outer._modules = {**model._modules, "text": short}
    return outer


def load(
    rest: str, *, device: str | None = None, dtype: str | None = None, revision: str | None = None
) -> OpenClipEncoder:
    """Load a model of open_clip.

    A local checkpoint is prepared for as ``open_clip_config.json`` beside it says; without that
    file as open_clip says for all published weights of the architecture, else for any.

    Args:
        rest: ``<architecture>/<tag>``, where open_clip downloads the weights, perhaps with
            ``@REVISION`` behind it, or ``<architecture>/<path of a .safetensors file>``.
        device: A word of :mod:`crossalign.encoders.devices`; ``"cpu"`` by default. Where an
            asked-for GPU is absent, the CPU is used, with a warning.
        dtype: ``"fp32"`` (the default), ``"fp16"``, ``"bf16"``, or ``"auto"``. Any but fp32 is part
            of the card's revision, since it embeds a little differently.
        revision: Branch, tag or commit of the hub repository that a tag's weights lie in.

    Returns:
        The encoder.

    Raises:
        EncoderError: If the architecture, tag, file or an option is not usable.
        MissingExtraError: If PyTorch or open_clip is not installed.
    """
    name = f"open_clip:{rest}"
    torch, open_clip = import_torch(name, "open_clip", "open-clip")
    place, precision = place_and_dtype(torch, device, dtype)
    architecture, _, weights = rest.partition("/")
    _check_architecture(open_clip, name, architecture)
    path = Path(weights).expanduser()
    if weights and path.is_file():
        if revision is not None:
            raise EncoderError(f"the file {path} has no revisions; got revision={revision!r}.")
        file, overrides, revision, licence = _find_local(open_clip, name, architecture, path)
    else:
        tag, at, pinned = weights.partition("@")
        if "/" in tag:  # a path, which is not there
            tag, at, pinned = weights, "", ""
        if at and (not pinned or revision not in (None, pinned)):
            raise EncoderError(
                f"expected one revision behind '@' or as revision=; got {name!r} and {revision!r}."
            )
        name = f"open_clip:{architecture}/{tag}"
        file, overrides, revision, licence = _find_tag(
            open_clip, name, architecture, tag, pinned or revision
        )
    if file.suffix != ".safetensors" and torch.__version__ < (2, 6):
        # There, open_clip may fall back to reading more than weights.
        raise EncoderError(f"{name}: {file} is a pickle; to read it safely, PyTorch 2.6 is needed.")
    try:
        model = open_clip.create_model(
            architecture,
            pretrained=str(file),
            precision=PRECISIONS[precision],
            device=place,
            force_preprocess_cfg=overrides,
            weights_only=True,
        )
        tokenizer = open_clip.get_tokenizer(architecture)
    except Exception as error:  # it raises those of many libraries
        raise EncoderError(
            f"{name}: open_clip cannot load {file}: {error!s:.300} Is it whole and {architecture}?"
        ) from error
    preprocess = read_open_clip_preprocess(open_clip.get_model_preprocess_cfg(model), name)
    side = model.visual.image_size
    if preprocess.size != (side[0] if isinstance(side, tuple | list) else side):
        raise EncoderError(f"{SIDECAR} says {preprocess.size} pixels, {architecture} {side}.")
    config = open_clip.get_model_config(architecture)
    card = ModelCard(
        name=name,
        revision=revision_in(revision, precision),
        dim=int(config["embed_dim"]),
        image_size=preprocess.size,
        context_length=int(tokenizer.context_length),
        licence=licence,
        bytes=file.stat().st_size,
    )
    return OpenClipEncoder(model.eval(), tokenizer, card, preprocess, config)


def _check_architecture(open_clip: Any, name: str, architecture: str) -> None:
    known = open_clip.list_models()
    if architecture not in known:
        close = ", ".join(close_names(architecture, known, most=4)) or "none"
        raise EncoderError(
            f"{name}: open_clip knows no architecture {architecture!r}; close to it: {close}. All: "
            "open_clip.list_models()."
        )


def _find_tag(
    open_clip: Any, name: str, architecture: str, weights: str, revision: str | None
) -> Found:
    if Path(weights).suffix or "/" in weights:
        raise EncoderError(
            f"{name}: there is no file {Path(weights).expanduser()}; expected a .safetensors "
            f"checkpoint, with its {SIDECAR} beside it. The encoder 'builtin' works offline as it "
            "is."
        )
    stated = open_clip.get_pretrained_cfg(architecture, weights)
    if not stated:
        tags = open_clip.list_pretrained_tags_by_model(architecture)
        raise EncoderError(
            f"{name}: expected a pretrained tag of {architecture} ({', '.join(tags) or 'none'}) or "
            f"a .safetensors file behind '/'; got {weights!r}."
        )
    quick, own = f"{architecture}-quickgelu", _quick_gelu(open_clip, architecture)
    if stated.get("quick_gelu") and not own and quick in open_clip.list_models():
        raise EncoderError(f"{name}: it needs QuickGELU; use open_clip:{quick}/{weights}.")
    if revision is not None and not stated.get("hf_hub"):
        raise EncoderError(
            f"{name}: its weights do not lie on the hub, so they have no revisions; got "
            f"revision={revision!r}."
        )
    try:
        if revision is None:
            file = Path(open_clip.download_pretrained(stated))
        else:
            file = _download(str(stated["hf_hub"]), revision)
    except Exception as error:  # it raises those of several HTTP libraries
        raise EncoderError(
            f"{name}: the weights could not be downloaded: {error!s:.300} Bring the "
            f".safetensors file of {stated.get('hf_hub') or stated.get('url')} here and name it: "
            f"open_clip:{architecture}/<path>. The encoder 'builtin' works offline as it is."
        ) from error
    pinned = f"-{hub_commit(file.parent) or revision}" if revision is not None else ""
    return file, {key: stated.get(key) for key in STATED}, weights + pinned, _licence(stated)


def _download(place: str, revision: str) -> Path:
    """Bring a tag's weights as they were at a revision of their repository; open_clip cannot."""
    import huggingface_hub

    repository, _, file = place.rpartition("/")
    if not file:
        there = huggingface_hub.list_repo_files(repository, revision=revision)
        file = next((name for name in WEIGHTS if name in there), WEIGHTS[0])
    return Path(huggingface_hub.hf_hub_download(repository, file, revision=revision))


def _find_local(open_clip: Any, name: str, architecture: str, path: Path) -> Found:
    if path.suffix != ".safetensors":
        raise EncoderError(
            f"{name}: expected a .safetensors checkpoint; got {path.name}. Pickles (.pt, .bin) can "
            "run code and are not loaded. If you trust it, load it once with open_clip.create_model"
            " and save the network with safetensors.torch.save_model."
        )
    sidecar = path.parent / SIDECAR
    # What lies beside decides the embeddings, too.
    decisive = [file for file in (path, sidecar) if file.is_file()]
    revision = digest_files(hashlib.sha256(), (("", file) for file in decisive))[:12]
    if sidecar.is_file():
        return path, _read_sidecar(open_clip, architecture, sidecar), revision, "unknown"
    tags = open_clip.list_pretrained_tags_by_model(architecture)
    published = [open_clip.get_pretrained_cfg(architecture, tag) for tag in tags]
    stated = [{key: entry.get(key) for key in STATED} for entry in published] or [{}]
    if any(entry != stated[0] for entry in stated):
        raise EncoderError(
            f"{name}: the published weights of {architecture} differ in their preprocessing, so "
            f"that of {path.name} is unknown. Put the {SIDECAR} of its repository beside it, or "
            f'write it: {{"preprocess_cfg": {{"mean": [r, g, b], "std": [r, g, b]}}}}.'
        )
    return path, stated[0], revision, "unknown"


def _read_sidecar(open_clip: Any, architecture: str, sidecar: Path) -> dict[str, Any]:
    config = read_json(sidecar)
    stated, model = config.get("preprocess_cfg"), config.get("model_cfg")
    own = _quick_gelu(open_clip, architecture)
    if not isinstance(stated, dict) or not {"mean", "std"} <= set(stated):
        raise EncoderError(f"expected an object 'preprocess_cfg' with mean and std in {sidecar}.")
    if isinstance(model, dict) and model.get("quick_gelu", False) != own:
        raise EncoderError(f"{sidecar} says quick_gelu={not own}, {architecture} says {own}.")
    return stated


def _quick_gelu(open_clip: Any, architecture: str) -> bool:
    return bool(open_clip.get_model_config(architecture).get("quick_gelu", False))


def _licence(stated: dict[str, Any]) -> str:
    """Licence that the hub repository's card states."""
    import huggingface_hub

    try:
        card = huggingface_hub.ModelCard.load(str(stated["hf_hub"]).rpartition("/")[0]).data
    except Exception:  # a card that cannot be had changes nothing else
        return "unknown"
    return str((card.license_name if card.license == "other" else card.license) or "unknown")
