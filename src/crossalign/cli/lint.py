"""``crossalign lint``."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from crossalign.cli.application import OK, SOME_FAILED, WORDS, command, say, value_of
from crossalign.cli.declarations import Options, argument, option
from crossalign.cli.options import EncoderOptions, JsonOptions
from crossalign.cli.output import print_line
from crossalign.utils.text import counted

if TYPE_CHECKING:
    from crossalign.texts.lint import Change, Finding, LintOptions


@dataclass(frozen=True)
class _Checks(Options):
    text_only: bool = option("Leave out the checks that need an encoder.", default=False)
    min_texts: int = option("Fewest texts of a class.", default=3)
    max_words: int | None = option("Most words of a text; any number by default.")
    naming: Literal["auto", "always", "never", "any"] = option(
        "Whether texts should name their class; auto: as most of them do.", default="auto"
    )
    near: float | None = option(
        "Cosine above which texts are duplicates; 0.97 for builtin, else 0.99."
    )
    script: str | None = option("Expected script, such as LATIN; that of most by default.")
    language: str | None = option(
        "Expected language, such as German; that of most texts by default."
    )
    fail_on: Literal["note", "warning", "error"] = option(
        "Least severity that gives exit code 1.", default="warning"
    )
    fix: bool = option("Mend in place what can be mended safely, then look.", default=False)

    def settings(self) -> LintOptions:
        from crossalign.texts.lint import LintOptions

        language = None if self.language is None else self.language.strip().lower()
        with value_of("--min-texts", "--max-words", "--near", "--script", "--language"):
            return LintOptions(
                self.min_texts, self.max_words, self.naming, self.near, self.script, language
            )


@command("crossalign lint birds.json --text-only", under=WORDS)
def lint(
    *,
    file: Path = argument("FILE", "Descriptions (.json) or class names (.txt)."),
    encoder: EncoderOptions,
    checks: _Checks,
    output: JsonOptions,
) -> int:
    """Find what is wrong with a description file. Exit code 1 if something is."""
    from crossalign.texts.lint import SEVERITIES, worst
    from crossalign.texts.lint import fix as mend
    from crossalign.texts.lint import lint as look

    options = checks.settings()
    judge = None if checks.text_only else encoder.load()
    changes = mend(file) if checks.fix else []
    for change in changes:
        _show_change(change, output.json)
    findings = look(file, options, judge)
    for finding in findings:
        _show(finding, output.json)
    counts = [counted(sum(x.severity == s for x in findings), s) for s in reversed(SEVERITIES)]
    mended = f"; {counted(len(changes), 'thing')} mended" if checks.fix else ""
    summary = f"{file}: {', '.join(counts)}{mended}"
    say(summary) if output.json else typer.echo(summary)
    found = worst(findings)
    bad = found is not None and SEVERITIES.index(found) >= SEVERITIES.index(checks.fail_on)
    return SOME_FAILED if bad else OK


def _show(finding: Finding, json_: bool) -> None:
    from crossalign.texts.quality import visible

    if json_:
        print_line(dataclasses.asdict(finding))
        return
    where = visible(finding.class_name) if finding.class_name is not None else "(the file)"
    place = f"[{finding.position}]" if finding.position is not None else ""
    typer.echo(f"{finding.severity:7}  {where}{place}: {finding.message}  ({finding.check})")
    if finding.text is not None:
        typer.echo(f"         {visible(finding.text)}")


def _show_change(change: Change, json_: bool) -> None:
    from crossalign.texts.quality import visible

    if json_:
        print_line({"severity": "fixed", **dataclasses.asdict(change)})
    else:
        typer.echo(f"fixed    {visible(change.class_name)}: {change.message}  ({change.fix})")
