"""What importing costs, and which module may import which."""

from __future__ import annotations

import ast
import graphlib
import importlib.util
import subprocess
import sys
import warnings
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image
from typer.main import get_command

import crossalign
from crossalign.cli.application import app
from crossalign.utils.old_paths import moved

ROOT = Path(__file__).parents[1]
SOURCE = Path(crossalign.__file__).parent
COMMANDS = sorted(get_command(app).commands)
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
        command(*words) + "\nfrom crossalign.reports import explanation_page\n"
        "from crossalign.images import examples; examples.photo_folder()"
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


def structure() -> ModuleType:
    """The tool that measures the house: it names the rooms and their order."""
    spec = importlib.util.spec_from_file_location("structure", ROOT / "tools" / "structure.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


HOUSE = structure()


def test_imports_go_down() -> None:
    assert HOUSE.upward() == []


def test_the_house_keeps_its_size() -> None:
    assert len(HOUSE.entries()) <= HOUSE.MOST_ENTRIES
    assert len(HOUSE.longest_chain()) <= HOUSE.MOST_IN_CHAIN


def test_imports_never_go_round() -> None:
    list(graphlib.TopologicalSorter(HOUSE.graph()).static_order())


def test_private_names_stay_in_their_room() -> None:
    """A leading underscore means private to a room: to a folder of the package, or a file."""
    for module, path in HOUSE.modules().items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ImportFrom) or not node.module:
                continue
            if not node.module.startswith("crossalign."):
                continue
            names = [*node.module.split(".")[1:], *(alias.name for alias in node.names)]
            private = [name for name in names if name.startswith("_") and name[:2] != "__"]
            same = names[0] == HOUSE.room_of(module)
            assert same or not private, f"{module} imports {private} of {names[0]}"


def test_the_mathematics_knows_arrays_alone() -> None:
    assert HOUSE.rooms()["alignment"] <= {"errors", "utils"}
    standard = {
        name.split(".")[0]
        for module, path in HOUSE.modules().items()
        if HOUSE.room_of(module) == "alignment"
        for name in HOUSE.imports(path)
    }
    outside = standard - set(sys.stdlib_module_names)
    assert outside <= {"array_api_compat", "crossalign", "numpy", "scipy"}


def test_encoders_know_nothing_of_classes() -> None:
    assert HOUSE.rooms()["encoders"] <= {"images", "errors", "utils"}


# ------------------------------------------------------------------------------------- old paths


@pytest.mark.parametrize(("old", "new"), moved().items())
def test_old_paths_lead_to_the_new_modules(old: str, new: str) -> None:
    sys.modules.pop(f"crossalign.{old}", None)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        module = importlib.import_module(f"crossalign.{old}")
    assert f"crossalign.{old} is now crossalign.{new};" in str(caught[-1].message)
    assert {warning.category for warning in caught} == {DeprecationWarning}
    assert module is importlib.import_module(f"crossalign.{new}")
    assert module.__spec__ is not None
    assert module.__spec__.name == f"crossalign.{new}", "its own name stays"


def test_an_old_path_names_the_line_that_took_it(tmp_path: Path) -> None:
    script = tmp_path / "old.py"
    script.write_text("x = 1\nfrom crossalign.store import Store\nimport crossalign.figures.svg\n")
    done = subprocess.run(
        [sys.executable, "-W", "default", str(script)], capture_output=True, text=True, check=True
    )
    assert f"{script}:2: DeprecationWarning: crossalign.store is now" in done.stderr
    assert f"{script}:3: DeprecationWarning: crossalign.figures is now" in done.stderr


def test_what_never_was_is_not_found() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"crossalign\.nonsense"):
        importlib.import_module("crossalign.nonsense")
