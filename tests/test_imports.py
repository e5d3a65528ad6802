"""What importing costs, and which module may import which."""

from __future__ import annotations

import ast
import functools
import graphlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

import crossalign

SOURCE = Path(crossalign.__file__).parent
COMMANDS = sorted(path.stem for path in (SOURCE / "cli").glob("[!_]*.py"))
HEAVY = {"numpy", "PIL", "onnxruntime", "tokenizers", "torch", "torchvision", "skimage"}
HEAVY |= {"fastapi", "uvicorn"}


def modules_after(code: str) -> set[str]:
    """Top-level modules of a fresh interpreter after it ran some code."""
    script = (
        f"import sys\n{code}\nprint(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True
    )
    return set(done.stdout.splitlines()[-1].split())


def command(*arguments: str) -> str:
    return (
        "from crossalign.cli import main\n"
        f"try: main({list(arguments)!r})\n"
        "except SystemExit as end: assert not end.code, end.code"
    )


def test_importing_the_package_imports_nothing_else() -> None:
    loaded = modules_after("import crossalign; crossalign.__version__; dir(crossalign)")
    assert "crossalign" in loaded
    assert loaded.isdisjoint(HEAVY | {"rich", "typer", "click"})


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], *([name, "--help"] for name in COMMANDS)],
)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    assert modules_after(command(*arguments)).isdisjoint(HEAVY)


def test_listing_models_opens_none() -> None:
    loaded = modules_after(command("models", "--json"))
    assert loaded.isdisjoint({"onnxruntime", "tokenizers", "torch"})


def test_labelling_never_imports_torch(tmp_path: Path) -> None:
    Image.new("RGB", (40, 30), "red").save(tmp_path / "red.png")
    words = ("classify", str(tmp_path / "red.png"), "--crops", "1", "--json", "-c", "a", "-c", "b")
    loaded = modules_after(
        command(*words) + "\nfrom crossalign import demo, report; demo.photo_folder()"
    )
    assert {"numpy", "PIL", "onnxruntime", "tokenizers"} <= loaded
    assert loaded.isdisjoint({"torch", "torchvision", "skimage", "scipy", "matplotlib"})


def test_every_public_name_is_there() -> None:
    for name in crossalign.__all__:
        assert getattr(crossalign, name) is not None
    assert set(crossalign.__all__) <= set(dir(crossalign))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        crossalign.nonsense  # noqa: B018


# ----------------------------------------------------------------------------------- architecture

# From bottom to top: a module may import what stands in rooms below it, and in its own room as
# long as nothing goes round in circles. `errors` is for all.
ROOMS = [
    {"images", "_filetypes", "_wording"},
    {"crops", "_boxes"},
    {
        *("descriptions", "texts", "sentences", "waffle", "bank"),
        *("_description_checks", "_english", "_languages", "_text_checks"),
    },
    {"alignment", "calibration", "weighting"},
    {"encoders"},
    {"store", "_database", "_packing", "_salvage", "_upkeep"},
    {"methods", "lint", "refine"},
    {"predictions", "adaptive", "_class_side", "_plan", "_room", "_rounds", "_stream", "_views"},
    {"classifier", "pipeline"},
    {"explain", "figures"},
    {
        "report",
        "demo",
        "parity",
        "export",
        "_onnx_folder",
        "_onnx_precision",
        "writers",
        "_progress",
    },
    {"labeling"},
    {"estimator"},
    {"evaluation"},
    {"server"},
    {"cli"},
]
FLOOR = {room: floor for floor, rooms in enumerate(ROOMS) for room in rooms}


def imports(path: Path) -> Iterator[str]:
    """Names of the modules that a file imports anywhere, those for type checkers included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are written out in full here"
            assert node.module is not None
            for alias in node.names:
                inner = SOURCE.joinpath(*node.module.split(".")[1:], alias.name)
                is_module = inner.is_dir() or inner.with_suffix(".py").is_file()
                own = node.module.split(".")[0] == "crossalign"
                yield f"{node.module}.{alias.name}" if own and is_module else node.module


@functools.cache
def own_imports() -> dict[str, set[str]]:
    """Each module of the package, and those of the package that it imports."""
    graph = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        found = {module for module in imports(path) if module.split(".")[0] == "crossalign"}
        graph[name] = {module.partition(".")[2] for module in found}
    del graph[""]  # the package itself, which only points at its public names
    return graph


@pytest.mark.parametrize("module", sorted(own_imports()))
def test_imports_go_down(module: str) -> None:
    room = module.split(".")[0]
    imported = {name.split(".")[0] for name in own_imports()[module]} - {"errors", room}
    if room == "errors":
        assert imported == set()
        return
    assert room in FLOOR, f"new module {module}: give it a room in ROOMS"
    if room in {"cli", "evaluation", "export", "server"}:
        imported -= {""}  # the package, for its version
    too_high = {name for name in imported if FLOOR.get(name, len(ROOMS)) > FLOOR[room]}
    assert not too_high, f"{module} imports from rooms above it"


def test_imports_never_go_round() -> None:
    list(graphlib.TopologicalSorter(own_imports()).static_order())


def test_the_mathematics_knows_arrays_alone() -> None:
    assert own_imports()["alignment"] == {"errors"}
    standard = {name.split(".")[0] for name in imports(SOURCE / "alignment.py")}
    assert standard - set(sys.stdlib_module_names) == {"array_api_compat", "crossalign"}


def test_encoders_know_nothing_of_classes() -> None:
    for module, imported in own_imports().items():
        if module.split(".")[0] == "encoders":
            rooms = {name.split(".")[0] for name in imported}
            assert rooms <= {"encoders", "crops", "images", "errors"}
