"""Pages from templates: what is in them is never obeyed, and files are whole or not there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from crossalign.reports.charts import Panel, Series, dots_svg, lines_svg, panels_svg
from crossalign.reports.html import clean, render, template
from crossalign.reports.page import Page, Plot, Table, write

TEMPLATES = Path(template("page.html").filename or "").parent
NASTY = "<script>alert(1)</script>\"' onload='x' {{ 7 * 7 }} {% raw %} \x00 \ud800 &amp;"


def test_no_template_steps_around_escaping() -> None:
    files = sorted(TEMPLATES.iterdir())
    assert {file.suffix for file in files} == {".html", ".svg", ".css"}
    for file in files:
        text = file.read_text(encoding="utf-8")
        assert not re.search(
            r"\|\s*safe|autoescape|url\(|@import|<script|https?://(?!www\.w3)", text
        )
        for attribute in re.findall(r"=\{\{", text):
            raise AssertionError(f"{file.name}: an attribute without quotes: {attribute}")


def page(title: str = "Title") -> Page:
    line = Series(NASTY, ((0.0, 1.0), (1.0, 2.0)), marks=True)
    return Page(
        title,
        (NASTY,),
        (
            Table(NASTY, (NASTY, "n"), ((NASTY, "1"),), note=NASTY, links=("receipt.json",)),
            Plot("lines", NASTY, lines_svg([line, line], title=NASTY, x=NASTY, y=NASTY)),
            Plot("dots", "Dots", dots_svg([(NASTY, 1, 0, 2)], title=NASTY, x=NASTY), NASTY),
            Plot("raw", "Raw", f"<svg>{NASTY}</svg>"),
            Plot(
                "panels",
                "Panels",
                panels_svg(
                    [Panel(NASTY, ((0.5, 0.5, 3),))],
                    title=NASTY,
                    x=NASTY,
                    y=NASTY,
                    mark=(0.4, NASTY),
                ),
            ),
        ),
    )


def test_no_name_breaks_out() -> None:
    made = str(render("evaluation.html", title=NASTY, page=page()))
    assert "<script" not in made
    assert "onload='x'" not in made
    assert "{{ 7 * 7 }}" in made, "shown as it is written"
    assert "\x00" not in made
    assert "\ud800" not in made
    made.encode("utf-8")
    assert clean(NASTY) in made
    assert "<svg>&lt;script" in made or "&lt;svg&gt;" in made, "text is no drawing"


def test_a_report_on_a_full_disk_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each file is written beside its place, synced, and renamed: never cut, never in place."""
    folder = tmp_path / "out"
    plain = Page(
        "one", ("text",), (Plot("dots", "d", dots_svg([("a", 1, 0, 2)], title="t", x="x")),)
    )
    write(plain, folder)
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    assert {file.name for file in before} == {"report.md", "report.html", "dots.svg"}

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write(Page("two", ("other",), plain.parts), folder)
    assert {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()} == before


def test_templates_are_read_when_a_page_is_made_and_not_before() -> None:
    code = "import sys, crossalign.reports.page; print('jinja2' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
