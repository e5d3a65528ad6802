"""Module paths of the last release that still work, with a DeprecationWarning.

Both tables name modules below ``crossalign``. They go with the next release.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

PACKAGE = "crossalign."

MOVED = {
    "adaptive": "alignment.adaptive",
    "bank": "texts.bank",
    "calibration": "alignment.calibration",
    "crops": "images.crops",
    "demo": "texts.everyday",
    "descriptions": "texts.descriptions",
    "encoders.onnx.engine": "encoders.onnx.runtime",
    "encoders.open_clip": "encoders.torch.open_clip",
    "encoders.transformers": "encoders.torch.transformers",
    "estimator": "integrations.sklearn",
    "evaluation.footprint": "evaluation.memory",
    "evaluation.made": "evaluation.provenance",
    "evaluation.page": "reports.page",
    "evaluation.paired": "evaluation.significance",
    "evaluation.plots": "reports.charts",
    "evaluation.runs": "evaluation.run_scores",
    "evaluation.statistics": "evaluation.metrics",
    "export": "encoders.export",
    "figures": "reports",
    "figures.colours": "reports.colours",
    "figures.maps": "reports.maps",
    "figures.pictures": "reports.overlays",
    "figures.plots": "reports.figures",
    "figures.summary": "reports.summary",
    "figures.svg": "reports.svg",
    "figures.texts": "reports.labels",
    "labeling.folders": "labeling.class_folders",
    "labeling.jobfile": "labeling.job_file",
    "labeling.labelled": "labeling.labelled_photos",
    "labeling.output": "labeling.output_table",
    "labeling.pages": "labeling.contact_sheets",
    "labeling.places": "labeling.ownership",
    "labeling.plots": "reports.reliability",
    "labeling.ray_engine": "labeling.ray.engine",
    "labeling.recipe": "labeling.classifiers",
    "labeling.scored": "labeling.image_scores",
    "labeling.shards": "labeling.ray.shards",
    "labeling.sheets": "labeling.contact_sheets",
    "labeling.sinks": "labeling.output_table",
    "labeling.wording": "utils.text",
    "labeling.sketches": "labeling.near_duplicates",
    "lint": "texts.lint",
    "lint.checks": "texts.lint.checks",
    "lint.draft": "texts.lint.draft",
    "lint.encoded": "texts.lint.encoded",
    "lint.findings": "texts.lint.findings",
    "lint.fixes": "texts.lint.fixes",
    "parity": "encoders.parity",
    "pipeline": "predictions.pipeline",
    "refine": "texts.filtering",
    "report": "reports.explanation_page",
    "sentences": "texts.descriptors",
    "server.answers": "server.errors",
    "server.guard": "server.middleware",
    "server.intake": "server.request_bodies",
    "server.invalid": "server.validation",
    "server.jobs": "server.cancellation",
    "server.reasons": "server.explanations",
    "store": "engine.cache.store",
    "waffle": "texts.waffle",
    "weighting": "alignment.weights",
    "writers": "texts.generate",
    "writers.answers": "texts.generate.answers",
    "writers.endpoint": "texts.generate.endpoint",
    "writers.journal": "texts.generate.journal",
    "writers.kept": "texts.generate.manual_edits",
    "writers.llm": "texts.generate.language_model",
    "writers.prompts": "texts.generate.prompts",
    "writers.wordnet": "texts.generate.wordnet",
}
"""Old path to new path."""


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
        new = MOVED.get(fullname.removeprefix(PACKAGE)) if fullname.startswith(PACKAGE) else None
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
