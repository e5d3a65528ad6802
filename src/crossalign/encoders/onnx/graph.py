"""One tower of a dual encoder as an ONNX graph: opened, checked, run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from crossalign.encoders.base import Embeddings
from crossalign.encoders.onnx.runtime import Array, Session, SessionFactory
from crossalign.errors import EncoderError

TYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
}


@dataclass(frozen=True)
class Tower:
    """One opened graph, from inputs by name to unit vectors.

    Args:
        path: The graph's file.
        session: It, opened.
        inputs: Its inputs by name.
        output: Name of the output that is the embedding.
        batch: Its batch size, where it takes no other.
    """

    path: Path
    session: Session
    inputs: dict[str, Any]
    output: str
    batch: int | None

    @classmethod
    def open(cls, path: Path, kind: str, pooled: bool, factory: SessionFactory) -> Tower:
        """Open a graph.

        Args:
            path: The file.
            kind: ``"image"`` or ``"text"``.
            pooled: Whether an output ``pooler_output`` is an embedding.
            factory: What opens it.

        Returns:
            The tower.

        Raises:
            EncoderError: If the file cannot be opened, or has no output that is an embedding.
        """
        try:
            session = factory.open(path)
        except EncoderError:
            raise
        except Exception as error:  # ONNX Runtime's classes have no common base of their own
            raise EncoderError(
                f"{path} cannot be opened: {_line(error)}. It may be broken, or its .onnx_data "
                "file may be missing; copy it anew."
            ) from error
        inputs = {entry.name: entry for entry in session.get_inputs()}
        output = _choose_output(path, session.get_outputs(), f"{kind}_embeds", pooled)
        sizes = {entry.shape[0] for entry in inputs.values() if entry.shape}
        fixed = [size for size in sizes if isinstance(size, int) and size > 0]
        return cls(path, session, inputs, output, fixed[0] if fixed else None)

    def run(self, feeds: dict[str, Array], count: int) -> Embeddings:
        """Run the graph.

        Args:
            feeds: Inputs by name, ``count`` rows each.
            count: Number of rows, no more than the fixed batch size if there is one.

        Returns:
            float32, shape (count, D), rows of unit length.

        Raises:
            EncoderError: If the graph does not take these inputs, or gives no vectors.
        """
        ready = {}
        for name, values in feeds.items():
            lacking = (self.batch or count) - count
            if lacking:
                values = np.concatenate([values, np.repeat(values[-1:], lacking, axis=0)])
            ready[name] = np.ascontiguousarray(values, dtype=TYPES[self.inputs[name].type])
        try:
            rows = self.session.run([self.output], ready)[0]
        except Exception as error:
            shapes = ", ".join(f"{name} {values.shape}" for name, values in ready.items())
            raise EncoderError(
                f"{self.path} cannot be run on {shapes}: {_line(error)}. The "
                "files beside it may be another model's."
            ) from error
        rows = np.asarray(rows, dtype=np.float32)
        if rows.ndim != 2 or len(rows) < count:
            raise EncoderError(
                f"expected one vector for each input from {self.path}; its output {self.output!r} "
                f"has shape {rows.shape} for {count}."
            )
        rows = rows[:count]
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        if not np.isfinite(norms).all() or not norms.all():
            raise EncoderError(
                f"{self.path} gave vectors that are zero or not numbers; try another dtype, such "
                "as fp32."
            )
        unit: Embeddings = rows / norms
        return unit


def _choose_output(path: Path, outputs: Sequence[Any], name: str, pooled: bool) -> str:
    """Find the embedding among a graph's outputs."""
    names = [entry.name for entry in outputs]
    if name in names:
        return name
    if pooled and "pooler_output" in names:
        return "pooler_output"
    flat = [entry.name for entry in outputs if entry.shape is not None and len(entry.shape) == 2]
    flat = [entry for entry in flat if entry != "pooler_output"]
    if len(flat) == 1:
        return str(flat[0])
    if len(names) == 1 and names[0] != "pooler_output" and not outputs[0].shape:
        return str(names[0])  # its rank shows when it is run
    raise EncoderError(
        f"expected an output {name!r}{' or pooler_output' if pooled else ''}, or one of shape "
        f"(n, D), in {path}; it has {described({entry.name: entry for entry in outputs})}."
    )


def described(entries: dict[str, Any]) -> str:
    """Name a graph's inputs or outputs, with type and shape.

    Args:
        entries: As ONNX Runtime gives them, by name.

    Returns:
        One line.
    """
    return ", ".join(f"{name} {entry.type} {entry.shape}" for name, entry in entries.items())


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
