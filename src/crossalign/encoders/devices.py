"""Devices and precisions: the words that every encoder takes, and what they mean.

Devices: ``cpu`` (where nothing is said); ``cuda``, ``cuda:1`` and so on, an NVIDIA GPU; ``mps``,
Apple's; ``auto``, the first GPU there is, else the processor; ``gpu``, the same, but with a warning
where there is none. Precisions: ``fp32`` (where nothing is said and the model has it), ``fp16``,
``bf16``, ``int8`` and the other variants of ONNX files; ``auto``, what the encoder recommends on
that device: PyTorch fp16 on a GPU and bf16 on a processor with instructions for it, else fp32;
OpenVINO bf16 on such a processor; ONNX Runtime fp32, or else the first variant that is there.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Sequence

from crossalign.errors import EncoderError

DEVICES = ("auto", "cpu", "cuda", "cuda:<number>", "mps", "gpu")

SYNONYMS = {
    "float32": "fp32",
    "float": "fp32",
    "single": "fp32",
    "float16": "fp16",
    "half": "fp16",
    "bfloat16": "bf16",
    "quantized": "q8",
}
"""Other words for precisions."""


def read_dtype(dtype: object, choices: Sequence[str]) -> str | None:
    """Read what a precision was called.

    Args:
        dtype: A word of this module, a synonym, or PyTorch's own ``torch.float16`` and the like.
        choices: Those that the encoder has.

    Returns:
        One of the choices, ``"auto"``, or None where nothing was said.

    Raises:
        EncoderError: If it is none of these.

    Example:
        >>> read_dtype("float16", ["fp32", "fp16"]), read_dtype("auto", ["fp32"])
        ('fp16', 'auto')
        >>> read_dtype("int8", ["fp32", "fp16"])
        Traceback (most recent call last):
        ...
        crossalign.errors.EncoderError: unknown dtype 'int8'; choose one of fp32, fp16, auto.
    """
    if dtype is None:
        return None
    word = str(dtype).lower().removeprefix("torch.")
    word = SYNONYMS.get(word, word)
    if word not in (*choices, "auto"):
        raise EncoderError(f"unknown dtype {dtype!r}; choose one of {', '.join(choices)}, auto.")
    return word


def choose_device(device: object, gpus: Sequence[str], seen: str) -> str:
    """Find the device that was asked for, or the processor, with a warning at the user's call.

    Args:
        device: A word of this module, or None for ``cpu``.
        gpus: Those that the runtime sees, best first, as words; ``cuda`` stands for any number.
        seen: What sees nothing else, for the warning.

    Returns:
        ``"cpu"``, or one of the GPUs (with its number, if one was asked for).

    Raises:
        EncoderError: If it is written otherwise.

    Example:
        >>> choose_device("auto", ["cuda:0", "cuda:1"], ""), choose_device("auto", [], "")
        ('cuda:0', 'cpu')
        >>> choose_device("tpu", [], "")
        Traceback (most recent call last):
        ...
        crossalign.errors.EncoderError: unknown device 'tpu'; choose one of auto, cpu, cuda, \
cuda:<number>, mps, gpu.
    """
    word = "cpu" if device is None else str(device).lower()
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?|mps|gpu", word):
        raise EncoderError(f"unknown device {device!r}; choose one of {', '.join(DEVICES)}.")
    if word == "cpu" or (word == "auto" and not gpus):
        return "cpu"
    for gpu in gpus:
        if word in ("auto", "gpu", gpu) or word == gpu.partition(":")[0]:
            return gpu
        if word.partition(":")[0] == gpu:
            return word
    warn_user(
        f"device {device!r} was asked for, but {seen}; the CPU is used. A GPU needs its driver and "
        "a build of the runtime for it."
    )
    return "cpu"


def warn_user(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the call that is not of this package, however many of its functions lie between.

    Args:
        message: What to say.
        category: Kind of warning.
    """
    level = 1
    while sys._getframe(level).f_globals.get("__name__", "").startswith("crossalign."):
        level += 1
    warnings.warn(message, category, stacklevel=level + 1)
