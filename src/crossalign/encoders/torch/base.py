"""What the encoders that run on PyTorch have in common: pixels, devices, precisions, unit rows."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from crossalign.encoders.base import ModelCard, Preprocess
from crossalign.encoders.devices import choose_device, read_dtype
from crossalign.encoders.dual import DualEncoder
from crossalign.errors import EncoderError, MissingExtraError
from crossalign.images.transforms import Pixels

# Texts of several lengths, to trace a text tower with.
EXAMPLE_TEXTS = ["a photo of a cat.", "dog"]

PRECISIONS = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}
"""Words for precisions, and PyTorch's own."""


@dataclass(frozen=True)
class Towers:
    """Both towers of a loaded network, as modules that an exporter can trace, and their files.

    Args:
        image: From normalised pixels, float32 (n, 3, S, S), to features (n, D).
        text: From token ids and the like, int64 (n, L) each, to features (n, D).
        image_example: Inputs of the image tower by name, in order.
        text_example: Inputs of the text tower by name, in order.
        free_length: Whether rows may be shorter than the context length: nothing behind the end of
            a text has influence.
        save_settings: Writes everything but the graphs into a folder: configuration, preprocessing
            and tokenizer, as ``onnx:`` reads them.
        graphs: Names of the image and the text graph in that layout, without suffix and ending.
    """

    image: Any
    text: Any
    image_example: dict[str, Any]
    text_example: dict[str, Any]
    free_length: bool
    save_settings: Callable[[Path], None]
    graphs: tuple[str, str]


class TorchEncoder(DualEncoder):
    """A dual encoder on PyTorch; what differs from library to library is in its subclasses.

    Safe to use from several threads.

    Args:
        model: The network, on its device, in evaluation mode.
        card: What the model is.
        preprocess: How the pixels are made.
        weight: One of the network's floating-point tensors, to see its device and precision.
    """

    def __init__(self, model: Any, card: ModelCard, preprocess: Preprocess, weight: Any) -> None:
        import torch

        super().__init__(card, preprocess)
        self._torch: Any = torch
        self._model = model
        self._device, self._dtype = weight.device, weight.dtype
        self._lock = threading.Lock()  # tokenizers are not safe in threads
        # White is a tensor since a GPU multiplies by the inverse of a plain number, which rounds.
        self._white, self._mean, self._std = (
            torch.tensor(values, dtype=torch.float32, device=weight.device).reshape(1, -1, 1, 1)
            for values in ([255.0], preprocess.mean, preprocess.std)
        )

    @property
    def dtype(self) -> str:
        """The precision in which the network runs, such as ``fp32``."""
        return read_dtype(self._dtype, tuple(PRECISIONS)) or "fp32"

    @property
    def providers(self) -> tuple[str, ...]:
        """The device that it runs on, such as ``cuda:0``."""
        return (str(self._device),)

    def towers(self) -> Towers:
        """Give both towers as modules that an exporter can trace."""
        raise NotImplementedError

    def __repr__(self) -> str:
        card = self.card
        return (
            f"{type(self).__name__}({card.name!r}, revision={card.revision!r}, dim={card.dim}, "
            f"device={str(self._device)!r}, dtype={self.dtype!r})"
        )

    def _example(self) -> Any:
        """Pixels to trace the image tower with."""
        side = self._preprocess.size
        return self._torch.zeros((2, 3, side, side), device=self._device, dtype=self._dtype)

    def _embed_images(self, pixels: Pixels) -> Any:
        # A copy: torch wants memory that it may write to, laid out in order.
        batch = self._torch.from_numpy(np.array(pixels, order="C"))
        with self._torch.inference_mode():
            levels = batch.to(self._device).permute(0, 3, 1, 2).float().contiguous()
            normal = (levels / self._white - self._mean) / self._std
            return self._unit_rows(self._image_features(normal.to(self._dtype)))

    def _embed_texts(self, rows: list[Any], longest: int) -> Any:
        with self._torch.inference_mode():
            return self._unit_rows(self._text_features(rows, longest))

    def _unit_rows(self, features: Any) -> Any:
        rows = features.float()
        if not bool(self._torch.isfinite(rows).all()):
            raise EncoderError(
                f"{self.card.name} overflows: it gave infinite or undefined numbers in "
                f"{self.dtype}; load it with dtype='fp32'."
            )
        return self._torch.nn.functional.normalize(rows, dim=-1).cpu().numpy()

    def _image_features(self, values: Any) -> Any:
        """Run the image tower on normalised pixels, (n, 3, S, S)."""
        raise NotImplementedError

    def _text_features(self, rows: list[Any], longest: int) -> Any:
        """Run the text tower on some rows of :meth:`_read`, and the places that they need."""
        raise NotImplementedError


def import_torch(name: str, module: str, extra: str) -> tuple[Any, Any]:
    """Import PyTorch and the library that runs on it.

    Args:
        name: The encoder that needs them, for error messages.
        module: The library.
        extra: The extra that brings both.

    Returns:
        PyTorch and the library.

    Raises:
        MissingExtraError: If one of them is not installed.
        EncoderError: If one of them fails while it is imported.
    """
    wanted = "torch"
    try:
        torch = importlib.import_module(wanted)
        wanted = module
        return torch, importlib.import_module(wanted)
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"encoder {name!r}", wanted, extra) from error
    except (ImportError, RuntimeError, OSError) as error:
        raise EncoderError(
            f"{name}: {wanted} fails: {error!s:.300} Builds of torch and torchvision must match."
        ) from error


def place_and_dtype(torch: Any, device: object, dtype: object) -> tuple[Any, str]:
    """Settle where a network runs, and in which precision.

    Args:
        torch: PyTorch.
        device: A word of :mod:`crossalign.encoders.devices`, or None for the processor.
        dtype: A key of :data:`PRECISIONS` or a synonym, None for fp32, or ``"auto"``: fp16 on a
            GPU, bf16 on a processor with instructions for it, else fp32.

    Returns:
        PyTorch's device, and a key of :data:`PRECISIONS`.

    Raises:
        EncoderError: If one is written otherwise.
    """
    wanted = read_dtype(dtype, tuple(PRECISIONS)) or "fp32"
    gpus = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    gpus += ["mps"] if torch.backends.mps.is_available() else []
    seen = f"PyTorch {torch.__version__} sees only {', '.join(['cpu', *gpus])}"
    place = torch.device(choose_device(device, gpus, seen))
    if wanted == "auto":
        # Older PyTorch has no public way to tell.
        can: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
        fast = can.get("amx_bf16") or can.get("avx512_bf16")
        wanted = "fp16" if place.type != "cpu" else "bf16" if fast else "fp32"
    return place, wanted


def revision_in(revision: str, precision: str) -> str:
    """Name the revision of a model in a precision, in which it embeds a little differently.

    Args:
        revision: Of the weights.
        precision: A key of :data:`PRECISIONS`.

    Returns:
        The revision, with the precision behind it unless that is fp32.
    """
    return revision if precision == "fp32" else f"{revision}-{precision}"


def as_module(torch: Any, network: Any, function: Callable[..., Any]) -> Any:
    """Make a module of a function of a network, which an exporter can trace.

    Args:
        torch: PyTorch.
        network: The network.
        function: From the network and inputs to features.

    Returns:
        The module, in evaluation mode.
    """

    class Tower(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, *inputs: Any) -> Any:
            return function(self.network, *inputs)

    return Tower().eval()
