"""Pages of tables and plots, in Markdown and in one self-contained HTML file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from crossalign.reports.html import render
from crossalign.utils.files import write_text


@dataclass(frozen=True, slots=True)
class Table:
    """A table.

    Args:
        title: Heading.
        head: Titles of the columns.
        rows: Cells.
        texts: How many of the first columns hold texts; the rest hold numbers.
        note: What to know about it.
        links: Files below the report's folder.
    """

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    texts: int = 1
    note: str = ""
    links: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot.

    Args:
        name: Of its file, without an ending.
        title: Heading.
        svg: The drawing, as the functions of ``crossalign.reports.charts`` give it.
        note: What to know about it.
    """

    name: str
    title: str
    svg: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """A report.

    Args:
        title: Heading.
        introduction: Paragraphs.
        parts: Tables and plots, in order.
    """

    title: str
    introduction: tuple[str, ...]
    parts: tuple[Table | Plot, ...]


def write(page: Page, folder: Path) -> None:
    """Write ``report.md`` with its plots beside it, and ``report.html``.

    Args:
        page: The report.
        folder: Where; it is made if need be.

    Raises:
        OSError: If a file cannot be written; those of before are whole.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for part in page.parts:
        if isinstance(part, Plot):
            (folder / "plots").mkdir(exist_ok=True)
            write_text(folder / "plots" / f"{part.name}.svg", part.svg)
    write_text(folder / "report.md", markdown(page))
    write_text(folder / "report.html", html(page))


def markdown(page: Page) -> str:
    """Render a report as Markdown.

    Args:
        page: The report.

    Returns:
        The text.
    """
    lines = [f"# {page.title}", ""]
    for paragraph in page.introduction:
        lines += [paragraph, ""]
    for part in page.parts:
        lines += [f"## {part.title}", ""]
        if isinstance(part, Plot):
            lines += [f"![{part.title}](plots/{part.name}.svg)", ""]
        else:
            lines += [markdown_table(part), ""]
        if part.note:
            lines += [part.note, ""]
        if isinstance(part, Table) and part.links:
            lines += [", ".join(f"[{file}]({file})" for file in part.links), ""]
    return "\n".join(lines)


def markdown_table(table: Table) -> str:
    """Render a table as Markdown.

    Args:
        table: The table.

    Returns:
        Its lines.
    """
    rules = ["---" if place < table.texts else "--:" for place in range(len(table.head))]
    rows = [table.head, rules, *table.rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows
    )


def html(page: Page) -> str:
    """Render a report as one HTML page that fetches nothing.

    Args:
        page: The report.

    Returns:
        The page.
    """
    return render("evaluation.html", title=page.title, page=page)
