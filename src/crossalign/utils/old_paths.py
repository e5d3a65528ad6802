"""Module paths of the last release that still work, with a DeprecationWarning.

They go with the next release.
"""

from __future__ import annotations

import functools
import importlib
import sys
import warnings
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

PACKAGE = "crossalign."

_TABLE = Path(__file__).parent / "data" / "old_paths.txt"


@functools.cache
def moved() -> dict[str, str]:
    """Read which modules have moved.

    Returns:
        Old path to new path, both below the package.
    """
    lines = _TABLE.read_text(encoding="utf-8").splitlines()[1:]
    return dict(line.split() for line in lines)


class _Forward(Loader):
    """Gives the module at the new path under its old name, too."""

    def __init__(self, new: str) -> None:
        self._new = new

    def create_module(self, spec: ModuleSpec) -> ModuleType:  # noqa: ARG002
        """Give the module itself, not a copy.

        Args:
            spec: Under the old name.

        Returns:
            The module at the new path.
        """
        module = importlib.import_module(self._new)
        # The import system is about to note the old name in it; exec_module undoes that.
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Run nothing: it has run under its own name.

        Args:
            module: The module at the new path.
        """
        module.__spec__ = self._spec


class _OldPaths(MetaPathFinder):
    """Finds modules under the paths that they had."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        """Find a module that has moved.

        Args:
            fullname: The name that was imported.
            path: Unused.
            target: Unused.

        Returns:
            What leads to its new place; None for all others.
        """
        new = moved().get(fullname.removeprefix(PACKAGE)) if fullname.startswith(PACKAGE) else None
        if new is None:
            return None
        warnings.warn(
            f"{fullname} is now {PACKAGE}{new}; the old path goes with the next release",
            DeprecationWarning,
            stacklevel=2,  # the frames of the import system are not counted
        )
        return ModuleSpec(fullname, _Forward(PACKAGE + new))


def install() -> None:
    """Let the old paths be found.

    Before the ordinary finders: an old package leads to a new one, and below it they would load its
    modules a second time under the old names.
    """
    if not any(isinstance(finder, _OldPaths) for finder in sys.meta_path):
        sys.meta_path.insert(0, _OldPaths())
