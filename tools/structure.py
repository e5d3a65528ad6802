"""The shape of the package: rooms, who imports whom, long files, lines of code.

    python tools/structure.py            # the table
    python tools/structure.py --check    # exit code 1 where a limit is passed

A *room* is a folder or file right below ``src/crossalign``. Lines of code are those that hold code:
no blank lines, comments or docstrings. Imports count wherever they stand, those inside functions
and those for type checkers included.
"""

from __future__ import annotations

import argparse
import ast
import functools
import io
import sys
import tokenize
from pathlib import Path

PACKAGE = "crossalign"
SOURCE = Path(__file__).resolve().parents[1] / "src" / PACKAGE

# From bottom to top: a room imports what stands before it. `errors` and `utils` know nothing of
# one another.
ORDER = (
    *("errors", "utils"),
    *("images", "alignment", "encoders", "predictions", "texts", "methods", "engine"),
    *("classifier", "explain", "reports", "integrations"),
    *("labeling", "evaluation", "server", "cli"),
)

# What is above is served by what is below; these stand side by side and never see one another.
FRONT_DOORS = frozenset({"labeling", "evaluation", "server"})

MOST_ENTRIES, MOST_IN_CHAIN, MOST_LINES_OF_FILE, MOST_CODE = 20, 9, 500, 22_200
LONG = 400

_NO_CODE = (
    *(tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT),
    tokenize.ENDMARKER,
)


def room_of(module: str) -> str:
    """The room of a module, named without the package: ``images`` for ``images.load``."""
    return module.partition(".")[0]


@functools.cache
def modules() -> dict[str, Path]:
    """Every module of the package, named without it, and its file."""
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        found[".".join(part for part in parts if part != "__init__")] = path
    return found


def imports(path: Path) -> set[str]:
    """Full names of the modules that a file imports anywhere."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            if node.level or node.module is None:
                raise SystemExit(f"{path}: imports are written out in full here")
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                own = inner.removeprefix(f"{PACKAGE}.") in modules()
                found.add(inner if own else node.module)
    return found


@functools.cache
def graph() -> dict[str, set[str]]:
    """Each module of the package, and those of the package that it imports."""
    own = {}
    for name, path in modules().items():
        inside = {module for module in imports(path) if module.split(".")[0] == PACKAGE}
        own[name] = {module.partition(".")[2] for module in inside} - {name}
    own.pop("")  # the package itself only points at its public names
    own.pop("__main__", None)
    return own


@functools.cache
def rooms() -> dict[str, set[str]]:
    """Each room, and the rooms that it imports; the package itself, for its version, is none."""
    found: dict[str, set[str]] = {}
    for module, imported in graph().items():
        room = room_of(module)
        found.setdefault(room, set()).update({room_of(name) for name in imported} - {room, ""})
    return found


def upward() -> list[str]:
    """Imports that run up, or from one front door to another."""
    floor = {room: number for number, room in enumerate(ORDER)}
    wrong = []
    for module, imported in graph().items():
        room = room_of(module)
        for name in sorted(imported - {""}):
            target = room_of(name)
            beside = {room, target} <= FRONT_DOORS and room != target
            if room not in floor or target not in floor or floor[target] > floor[room] or beside:
                wrong.append(f"{module} imports {name}")
    if {"errors", "utils"} <= rooms().keys():
        wrong += [
            f"{a} imports {b}"
            for a, b in (("errors", "utils"), ("utils", "errors"))
            if b in rooms()[a]
        ]
    return wrong


def longest_chain() -> list[str]:
    """The longest chain of rooms of which each imports the next, imports that run up aside."""
    best: dict[str, list[str]] = {}
    for room in ORDER:
        below = [best[other] for other in rooms().get(room, ()) if other in best]
        best[room] = [room, *max(below, key=len, default=[])]
    return max(best.values(), key=len)


def lines(path: Path) -> int:
    """All lines of a file."""
    return len(path.read_text(encoding="utf-8").splitlines())


def code_lines(path: Path) -> int:
    """Lines of a file that hold code."""
    text = path.read_text(encoding="utf-8")
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
            docstrings |= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    held: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in _NO_CODE:
            held |= set(range(token.start[0], token.end[0] + 1))
    return len(held - docstrings)


def entries() -> list[str]:
    """What lies at the package root."""
    return sorted(path.name for path in SOURCE.iterdir() if path.name != "__pycache__")


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="fail where a limit is passed")
    check = parser.parse_args().check
    sizes: dict[str, list[int]] = {}
    for module, path in modules().items():
        size = sizes.setdefault(room_of(module) or "__init__", [0, 0])
        size[0] += 1
        size[1] += code_lines(path)
    total = sum(code for _, code in sizes.values())
    chain, wrong = longest_chain(), upward()
    long = sorted(((lines(path), name) for name, path in modules().items()), reverse=True)
    print(f"{'room':14} {'files':>5} {'code':>6}  imports")
    for room in sorted(sizes, key=lambda name: ORDER.index(name) if name in ORDER else -1):
        files, code = sizes[room]
        print(f"{room:14} {files:5} {code:6}  {' '.join(sorted(rooms().get(room, ())))}")
    print(f"{'all':14} {sum(files for files, _ in sizes.values()):5} {total:6}")
    print(f"\nentries at the package root: {len(entries())}")
    print(f"longest chain of rooms: {len(chain)}: {' > '.join(chain)}")
    print(f"imports that run up: {len(wrong)}")
    print(*(f"  {line}" for line in wrong), sep="\n")
    print(f"files over {LONG} lines: {sum(size > LONG for size, _ in long)}")
    print(*(f"  {size} {name}" for size, name in long if size > LONG), sep="\n")
    passed = (
        len(entries()) > MOST_ENTRIES,
        len(chain) > MOST_IN_CHAIN,
        bool(wrong),
        long[0][0] > MOST_LINES_OF_FILE,
        total > MOST_CODE,
    )
    return int(check and any(passed))


if __name__ == "__main__":
    sys.exit(main())
