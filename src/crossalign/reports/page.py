"""Pages of tables and plots, in Markdown and in one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

_STYLE = """
:root { color-scheme: light dark; --paper: #fcfcfa; --ink: #1d1d1f; --quiet: #62626a;
  --line: #dcdcd8; }
@media (prefers-color-scheme: dark) { :root { --paper: #17181a; --ink: #ececee; --quiet: #a2a3ab;
  --line: #36373c; } }
body { margin: 0 auto; max-width: 64rem; padding: 2rem 1rem 4rem; background: var(--paper);
  color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
.note { color: var(--quiet); font-size: .9rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; }
th, td { padding: .25rem .8rem .25rem 0; text-align: left; border-bottom: 1px solid var(--line); }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
svg { max-width: 100%; height: auto; }
"""


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
        svg: The drawing.
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
    """
    for part in page.parts:
        if isinstance(part, Plot):
            (folder / "plots").mkdir(parents=True, exist_ok=True)
            (folder / "plots" / f"{part.name}.svg").write_text(part.svg, encoding="utf-8")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.md").write_text(markdown(page), encoding="utf-8")
    (folder / "report.html").write_text(html(page), encoding="utf-8")


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
    body = "\n".join(
        f"<h2>{escape(part.title)}</h2>\n"
        + (part.svg if isinstance(part, Plot) else _html_table(part))
        + (f'<p class="note">{escape(part.note)}</p>' if part.note else "")
        + _html_links(part)
        for part in page.parts
    )
    paragraphs = "\n".join(f"<p>{escape(text)}</p>" for text in page.introduction)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(page.title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>{escape(page.title)}</h1>
{paragraphs}
{body}
</body>
</html>
"""


def _html_links(part: Table | Plot) -> str:
    if isinstance(part, Plot) or not part.links:
        return ""
    named = ", ".join(f'<a href="{escape(file)}">{escape(file)}</a>' for file in part.links)
    return f"<p>{named}</p>"


def _html_table(table: Table) -> str:
    def cells(row: Sequence[str], tag: str) -> str:
        return "".join(
            f"<{tag}{'' if place < table.texts else ' class=n'}>{escape(cell)}</{tag}>"
            for place, cell in enumerate(row)
        )

    rows = "\n".join(f"<tr>{cells(row, 'td')}</tr>" for row in table.rows)
    return (
        f'<div class="wide"><table><thead><tr>{cells(table.head, "th")}</tr></thead>\n'
        f"<tbody>\n{rows}\n</tbody></table></div>"
    )
