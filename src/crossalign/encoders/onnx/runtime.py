"""What runs ONNX graphs: ONNX Runtime, or OpenVINO, behind the few methods that are used here."""

from __future__ import annotations

import queue
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy.typing as npt

from crossalign.encoders.devices import choose_device
from crossalign.errors import EncoderError, import_extra
from crossalign.utils.processors import usable_processors
from crossalign.utils.validation import one_of, whole_number

Array: TypeAlias = npt.NDArray[Any]

RUNTIMES = ("onnxruntime", "openvino")

CPU_PROVIDER = "CPUExecutionProvider"
# GPUs, best first: how they are called here, and what ONNX Runtime calls that which runs on them.
GPU_PROVIDERS = {
    "cuda": "CUDAExecutionProvider",
    "rocm": "ROCMExecutionProvider",
    "migraphx": "MIGraphXExecutionProvider",
    "mps": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
}

# OpenVINO's names of types, as ONNX Runtime writes them.
TENSORS = {
    "f32": "tensor(float)",
    "f16": "tensor(float16)",
    "i64": "tensor(int64)",
    "i32": "tensor(int32)",
}
HINTS = {"fp32": "f32", "bf16": "bf16"}


class Session(Protocol):
    """An opened graph: those methods of ONNX Runtime's session that are used here."""

    def get_inputs(self) -> Sequence[Any]:
        """Describe the inputs: objects with ``name``, ``type`` and ``shape``."""

    def get_outputs(self) -> Sequence[Any]:
        """Describe the outputs, likewise."""

    def get_providers(self) -> Sequence[str]:
        """Name what runs it, best first."""

    def run(self, names: Sequence[str], feeds: dict[str, Array]) -> Sequence[Any]:
        """Run it on inputs by name; give the outputs of these names."""


@dataclass(frozen=True)
class SessionFactory:
    """What opens graphs.

    Args:
        open: Opens a file.
        threads: Processor threads for one call.
        wanted: What is meant to run the graphs, best first.
        precision: Precision that it computes in where the files' own is not kept, else "".
    """

    open: Callable[[Path], Session]
    threads: int
    wanted: tuple[str, ...]
    precision: str = ""


def choose_runtime(
    runtime: str | None,
    dtype: str | None,
    threads: int,
    providers: Sequence[str] | None,
    device: str | None,
) -> SessionFactory:
    """Make ready what was asked for.

    Args:
        runtime: One of :data:`RUNTIMES`, or None for the first.
        dtype: Variant of the files, or ``"bf16"``.
        threads: Processor threads for one call.
        providers: Execution providers of ONNX Runtime, best first.
        device: Where to run.

    Returns:
        What opens the graphs.

    Raises:
        EncoderError: If one of these is unknown, or contradicts another.
        MissingExtraError: If OpenVINO is not installed.
    """
    name = one_of("runtime", runtime or RUNTIMES[0], RUNTIMES, error=EncoderError)
    if name == "openvino":
        if providers is not None:
            raise EncoderError(
                "providers are those of ONNX Runtime; runtime 'openvino' takes none."
            )
        # Files of lower precision are computed in full, or two roundings would add up.
        return _open_vino(threads, dtype if dtype in (None, "bf16") else "fp32", device)
    if dtype == "bf16":
        raise EncoderError("dtype 'bf16' needs runtime 'openvino'; without it, choose fp32.")
    return _onnx_runtime(threads, providers, device)


def _onnx_runtime(
    threads: int, providers: Sequence[str] | None, device: str | None
) -> SessionFactory:
    """Make ONNX Runtime ready."""
    import onnxruntime

    names, settings = _choose_providers(onnxruntime.get_available_providers(), providers, device)
    options = session_options(threads)
    options.log_severity_level = 3

    def open_file(path: Path) -> Session:
        # By path, so that weights in files beside it are found.
        session: Session = onnxruntime.InferenceSession(
            str(path), options, providers=names, provider_options=settings
        )
        return session

    return SessionFactory(open_file, threads, tuple(names))


def thread_count(threads: int | None) -> int:
    """Settle how many threads one call may use.

    Args:
        threads: As asked for; None for all that this process may use.

    Returns:
        The number.

    Raises:
        EncoderError: If it is not a whole number from 1 up.
    """
    if threads is None:
        return usable_processors()
    return whole_number("threads", threads, 1, error=EncoderError)


def session_options(threads: int) -> Any:
    """Make ONNX Runtime's settings of a graph that runs beside our own threads.

    Args:
        threads: Processor threads for one call.

    Returns:
        ``onnxruntime.SessionOptions``.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Threads that wait in a loop would take the processor from those that decode and cut.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _open_vino(threads: int, precision: str | None, device: str | None) -> SessionFactory:
    """Make OpenVINO ready, in bf16 by default where the processor has instructions for it."""
    if device not in (None, "cpu", "auto"):
        raise EncoderError(
            f"runtime 'openvino' runs on the processor alone; got device {device!r}."
        )
    openvino = import_extra("openvino", "runtime 'openvino'", "openvino")
    core = openvino.Core()
    # What it would take itself: the widest that the processor does natively.
    native = core.get_property("CPU", "INFERENCE_PRECISION_HINT").to_string() == "bf16"
    chosen = precision or ("bf16" if native else "fp32")
    if chosen == "bf16" and not native:
        raise EncoderError(
            "this processor has no instructions for bf16, or OpenVINO does not use them; choose "
            "dtype fp32."
        )
    options = {
        "INFERENCE_PRECISION_HINT": HINTS[chosen],
        "PERFORMANCE_HINT": "LATENCY",  # a call is one large batch, so it gets all the threads
        "NUM_STREAMS": "1",
        "INFERENCE_NUM_THREADS": str(threads),
        "ENABLE_CPU_PINNING": "NO",  # other threads decode and cut meanwhile
    }

    def open_file(path: Path) -> Session:
        try:
            compiled = core.compile_model(core.read_model(path), "CPU", options)
        except Exception as error:
            # Its messages begin with places in its own source, and end with what is wrong.
            reason = str(error).strip().splitlines()[-1]
            raise EncoderError(f"OpenVINO cannot open {path}: {reason}.") from error
        return OpenVinoSession(compiled, f"OpenVINO CPU {chosen}")

    return SessionFactory(
        open_file, threads, (f"OpenVINO CPU {chosen}",), "bf16" if chosen == "bf16" else ""
    )


@dataclass(frozen=True)
class Port:
    """An input or output of a graph.

    Args:
        name: Its name.
        type: Its type, as ONNX Runtime writes it.
        shape: A number for each axis, or None where it is free.
    """

    name: str
    type: str
    shape: list[int | None]


class OpenVinoSession:
    """A graph that OpenVINO opened. Safe to use from several threads.

    Args:
        compiled: The compiled model.
        provider: What to call it.
    """

    def __init__(self, compiled: Any, provider: str) -> None:
        self._compiled, self._provider = compiled, provider
        self._idle: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def get_inputs(self) -> list[Port]:
        """Describe the inputs."""
        return [_port(entry) for entry in self._compiled.inputs]

    def get_outputs(self) -> list[Port]:
        """Describe the outputs."""
        return [_port(entry) for entry in self._compiled.outputs]

    def get_providers(self) -> list[str]:
        """Name the engine, the device and the precision."""
        return [self._provider]

    def run(self, names: Sequence[str], feeds: dict[str, Array]) -> list[Any]:
        """Run the graph.

        Args:
            names: Outputs to give.
            feeds: Inputs by name.

        Returns:
            The outputs, as arrays of their own.
        """
        try:
            request = self._idle.get_nowait()  # one at a time may use it
        except queue.Empty:
            request = self._compiled.create_infer_request()
        try:
            request.infer(feeds, share_inputs=True)
            return [request.get_tensor(name).data.copy() for name in names]
        finally:
            self._idle.put(request)


def _port(entry: Any) -> Port:
    kind = entry.element_type.to_string()
    shape = [axis.get_length() if axis.is_static else None for axis in entry.partial_shape]
    # A port may have several names, of tensors that were joined; its node has the graph's own.
    name = entry.get_node().get_friendly_name().removesuffix("/sink_port_0")
    return Port(name, TENSORS.get(kind, f"tensor({kind})"), shape)


def _choose_providers(
    there: list[str], providers: Sequence[str] | None, device: str | None
) -> tuple[list[str], list[dict[str, str]]]:
    """Name what shall run the graphs, best first, with the settings of each."""
    if providers is not None:
        wanted = [providers] if isinstance(providers, str) else list(providers)
        if device is not None or not wanted or not set(wanted) <= set(there):
            raise EncoderError(
                f"expected providers among {', '.join(there)}, and no device with them; got "
                f"{wanted!r} and device {device!r}."
            )
        return wanted, [{} for _ in wanted]
    gpus = [word for word, provider in GPU_PROVIDERS.items() if provider in there]
    seen = (
        f"ONNX Runtime has only {', '.join(there)} here (its GPU builds are packages of their own: "
        "onnxruntime-gpu, onnxruntime-directml)"
    )
    kind, _, number = choose_device(device, gpus, seen).partition(":")
    if kind == "cpu":
        return [CPU_PROVIDER], [{}]
    return [GPU_PROVIDERS[kind], CPU_PROVIDER], [{"device_id": number} if number else {}, {}]
