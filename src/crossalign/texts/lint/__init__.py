"""The linter of class and description files.

It reads what `DescriptionSet.load` would refuse, and names every fault rather than the first::

    for finding in lint("pets.json", encoder="builtin"):
        print(finding.severity, finding.class_name, finding.message)
"""

from __future__ import annotations

import os
from pathlib import Path

from crossalign.encoders import load_encoder
from crossalign.encoders.base import Encoder
from crossalign.texts.descriptions import DescriptionSet
from crossalign.texts.lint.checks import CHECKS, run_table
from crossalign.texts.lint.draft import draft_of, read_draft
from crossalign.texts.lint.encoded import ENCODED_CHECKS, encode_draft
from crossalign.texts.lint.findings import SEVERITIES, Finding, LintOptions, Naming, Severity
from crossalign.texts.lint.fixes import Change, fix

__all__ = [
    "CHECKS",
    "ENCODED_CHECKS",
    "SEVERITIES",
    "Change",
    "Finding",
    "LintOptions",
    "Naming",
    "Severity",
    "fix",
    "lint",
    "worst",
]


def lint(
    source: str | os.PathLike[str] | DescriptionSet,
    options: LintOptions | None = None,
    encoder: str | Encoder | None = None,
) -> list[Finding]:
    """Find what is wrong with a description file or set.

    Args:
        source: A ``.json`` or ``.txt`` file in whatever state, or a set.
        options: What to hold it to.
        encoder: For the checks that need one (`ENCODED_CHECKS`); None leaves them out.

    Returns:
        The findings, in the order of the file's classes and texts; those about the whole file
        first.

    Raises:
        DescriptionError: If there is no such file.
        EncoderError: If the encoder is unknown.

    Example:
        >>> pets = DescriptionSet.of({"pug": ["A pug's flat face.", "A pug's **curled** tail."]})
        >>> for finding in lint(pets, LintOptions(min_texts=2)):
        ...     print(finding.severity, finding.check, finding.message)
        warning markup holds markup: '**'.
    """
    options = options or LintOptions()
    draft = draft_of(source) if isinstance(source, DescriptionSet) else read_draft(Path(source))
    findings = [*draft.findings, *run_table(CHECKS, draft, options)]
    if encoder is not None:
        encoded = encode_draft(draft, load_encoder(encoder))
        findings += run_table(ENCODED_CHECKS, encoded, options) if encoded else []
    order = {entry.name: place for place, entry in enumerate(draft.classes)}

    def place(finding: Finding) -> tuple[int, int]:
        about = -1 if finding.class_name is None else order.get(finding.class_name, -1)
        return about, -1 if finding.position is None else finding.position

    return sorted(findings, key=place)


def worst(findings: list[Finding]) -> Severity | None:
    """Find the highest severity.

    Args:
        findings: Any findings.

    Returns:
        It; None if there are none.

    Example:
        >>> worst([Finding("note", "a", "x"), Finding("error", "b", "y")])
        'error'
    """
    return max((x.severity for x in findings), key=SEVERITIES.index, default=None)
