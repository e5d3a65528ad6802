"""``crossalign lint``."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from crossalign.cli.app import OK, SOME_FAILED, WORDS, command, say, value_of
from crossalign.cli.options import EncoderOptions
from crossalign.cli.output import print_line
from crossalign.utils.text import counted

if TYPE_CHECKING:
    from crossalign.texts.lint import Change, Finding


@command("crossalign lint birds.json --text-only", under=WORDS)
def lint(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Descriptions (.json) or class names (.txt).")
    ],
    encoder: EncoderOptions,
    text_only: Annotated[
        bool, typer.Option("--text-only", help="Leave out the checks that need an encoder.")
    ] = False,
    min_texts: Annotated[int, typer.Option(help="Fewest texts of a class.")] = 3,
    max_words: Annotated[
        int | None, typer.Option(help="Most words of a text; any number by default.")
    ] = None,
    naming: Annotated[
        Literal["auto", "always", "never", "any"],
        typer.Option(help="Whether texts should name their class; auto: as most of them do."),
    ] = "auto",
    near: Annotated[
        float | None,
        typer.Option(help="Cosine above which texts are duplicates; 0.97 for builtin, else 0.99."),
    ] = None,
    script: Annotated[
        str | None, typer.Option(help="Expected script, such as LATIN; that of most by default.")
    ] = None,
    language: Annotated[
        str | None,
        typer.Option(help="Expected language, such as German; that of most texts by default."),
    ] = None,
    fail_on: Annotated[
        Literal["note", "warning", "error"],
        typer.Option(help="Least severity that gives exit code 1."),
    ] = "warning",
    fix: Annotated[
        bool, typer.Option("--fix", help="Mend in place what can be mended safely, then look.")
    ] = False,
    json_: Annotated[
        bool, typer.Option("--json", help="Print one line of JSON for each finding.")
    ] = False,
) -> int:
    """Find what is wrong with a description file. Exit code 1 if something is."""
    from crossalign.texts.lint import SEVERITIES, LintOptions, worst
    from crossalign.texts.lint import fix as mend
    from crossalign.texts.lint import lint as look

    wanted = None if language is None else language.strip().lower()
    with value_of("--min-texts", "--max-words", "--near", "--script", "--language"):
        options = LintOptions(min_texts, max_words, naming, near, script, wanted)
    judge = None if text_only else encoder.load()
    changes = mend(file) if fix else []
    for change in changes:
        _show_change(change, json_)
    findings = look(file, options, judge)
    for finding in findings:
        _show(finding, json_)
    counts = [counted(sum(x.severity == s for x in findings), s) for s in reversed(SEVERITIES)]
    mended = f"; {counted(len(changes), 'thing')} mended" if fix else ""
    summary = f"{file}: {', '.join(counts)}{mended}"
    say(summary) if json_ else typer.echo(summary)
    found = worst(findings)
    bad = found is not None and SEVERITIES.index(found) >= SEVERITIES.index(fail_on)
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
