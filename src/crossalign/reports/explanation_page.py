"""One self-contained HTML page: photos, their labels, and the regions and words that decided.

Nothing is fetched when the page is opened: pictures are inlined and there is no script. All names
and texts are escaped.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from crossalign.errors import ImageError
from crossalign.images.load import load_image
from crossalign.predictions.prediction import Explanation, Prediction
from crossalign.reports import regions_svg, thumbnail
from crossalign.reports.colours import FIRST, REGION_COLOURS, SECOND, VIRIDIS
from crossalign.reports.labels import rounded
from crossalign.reports.maps import Map, maps
from crossalign.reports.overlays import data_uri, matrix_picture
from crossalign.reports.summary import Bar, Chart, Summary, region_note, summarise
from crossalign.reports.svg import clean
from crossalign.utils.files import whole_file

CLASSES_SHOWN = 5
DESCRIPTIONS_SHOWN = 4

_STYLE = f"""
:root {{ color-scheme: light dark; --paper: #fcfcfa; --ink: #1d1d1f; --quiet: #62626a;
  --line: #dcdcd8; --first: {FIRST}; --second: {SECOND}; --rest: #b4b8bd; }}
@media (prefers-color-scheme: dark) {{ :root {{ --paper: #17181a; --ink: #ececee; --quiet: #a2a3ab;
  --line: #36373c; --first: #56b4e9; --second: #ff8f4d; --rest: #5a5e66; }} }}
* {{ box-sizing: border-box; }}
body {{ margin: 0 auto; max-width: 68rem; padding: 2rem 1rem 4rem; background: var(--paper);
  color: var(--ink); font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }}
h1 {{ font-size: 1.5rem; margin: 0 0 .25rem; }} h2 {{ font-size: 1.25rem; margin: 0; }}
h3 {{ font-size: .8rem; margin: 1rem 0 .3rem; color: var(--quiet); font-weight: 600; }}
p {{ margin: .25rem 0; }} .quiet {{ color: var(--quiet); font-size: .875rem; }}
article {{ display: grid; grid-template-columns: minmax(0, 5fr) minmax(0, 6fr); gap: 1rem 1.5rem;
  padding: 1.5rem 0; border-top: 1px solid var(--line); margin-top: 1.5rem; }}
details {{ grid-column: 1 / -1; }}
summary {{ cursor: pointer; color: var(--quiet); font-size: .875rem; }}
.more {{ display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); gap: 1rem 1.5rem;
  padding-top: .75rem; }}
@media (max-width: 44rem) {{ article, .more {{ grid-template-columns: minmax(0, 1fr); }} }}
figure {{ margin: 0; }} figure svg {{ max-width: 100%; height: auto; max-height: 36rem;
  display: block; border-radius: 4px; }}
figcaption {{ margin-top: .4rem; color: var(--quiet); font-size: .875rem; }}
table {{ border-collapse: collapse; width: 100%; font-size: .9rem; }}
td {{ padding: .15rem .6rem .15rem 0; vertical-align: top; }}
td.number {{ text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap;
  width: 1%; }}
td.track {{ width: 38%; padding: .5rem 0 0; }} td.track, td.strip {{ padding-right: 0; }}
.bar {{ display: block; height: .6rem; border-radius: 2px; min-width: 2px; margin-bottom: .9rem; }}
.bar:last-child {{ margin-bottom: 0; }} .whole {{ opacity: .45; }}
.first {{ background: var(--first); }} .second {{ background: var(--second); }}
.rest {{ background: var(--rest); }}
.key {{ display: inline-block; min-width: 1.4em; padding: 0 .25em; border-radius: 3px;
  color: #000; text-align: center; font-size: .8rem; font-weight: 700; }}
td.key-cell {{ width: 1%; }} td.strip {{ width: 55%; padding-top: .3rem; }}
td.strip svg {{ display: block; width: 100%; height: 1rem; image-rendering: pixelated; }}
.scale {{ display: inline-block; width: 5rem; height: .6rem; border-radius: 2px;
  background: linear-gradient(90deg, {", ".join(VIRIDIS)}); }}
.spread {{ background: linear-gradient(90deg, {SECOND}, #969696, {FIRST}); }}
th {{ text-align: left; font-weight: 400; font-style: italic; color: var(--quiet);
  font-size: .875rem; padding: .4rem 0 .1rem; }}
.words {{ display: block; }}
nav {{ margin-top: 1rem; }}
nav ol {{ list-style: none; margin: .5rem 0 0; padding: 0; display: grid; gap: .5rem 1rem;
  grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); }}
nav a {{ display: grid; grid-template-columns: 4rem minmax(0, 1fr); gap: .6rem; color: inherit;
  text-decoration: none; align-items: center; border-radius: 4px; }}
nav a:hover strong, nav a:focus-visible strong {{ text-decoration: underline; }}
nav svg {{ width: 4rem; height: 3rem; display: block; }}
nav .blank {{ height: 3rem; border-radius: 4px; background: var(--line); }}
nav .cut {{ display: block; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }}
nav strong {{ font-weight: 600; }} article {{ scroll-margin-top: .5rem; }}
.error {{ color: #c0392b; }}
@media (prefers-color-scheme: dark) {{ .error {{ color: #ff8a7a; }} }}
"""

_SMALL = 128  # longest side of a photo in the overview, in pixels


@dataclass(frozen=True, slots=True)
class Entry:
    """One photo of a report.

    Args:
        prediction: What was predicted for it.
        source: Where its pixels are.
        note: A line to show under the label, for example what the photo really shows.
        label: The class to explain; the predicted one by default.
        against: The class to compare it with; the best of the others by default.
    """

    prediction: Prediction
    source: str | os.PathLike[str]
    note: str = ""
    label: str | None = None
    against: str | None = None


def write_report(
    path: Path,
    entries: Iterable[Entry],
    *,
    title: str,
    introduction: str | Callable[[], str] = "",
    details: bool = False,
) -> int:
    """Write the page, photo by photo; a page of that name is replaced whole or not at all.

    Args:
        path: The HTML file; its folder is made if need be.
        entries: The photos. Their predictions are explained, so they had better hold their
            evidence.
        title: Heading of the page.
        introduction: A paragraph under the heading, or what gives it after the last photo.
        details: Whether heat maps, comparison with whole-image matching and similarity matrix are
            unfolded from the start.

    Returns:
        How many photos failed; each stands on the page with its reason, as does one that has a
        label but cannot be read again.

    Raises:
        DescriptionError: If an entry names a class that its prediction does not know.
    """
    failed, lines = 0, []
    # What stands above the photos is known only after the last of them, and there may be many.
    with tempfile.TemporaryFile("w+", encoding="utf-8") as articles:
        for number, entry in enumerate(entries, start=1):
            error = entry.prediction.error
            if error is None:
                try:
                    line, article = _article(entry, number, details=details)
                except ImageError as gone:
                    error = str(gone)
            if error is not None:
                failed += 1
                line, article = _failure(entry.prediction.image, number, error)
            lines.append(line)
            articles.write(article)
        articles.seek(0)
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as unfinished, unfinished.open("w", encoding="utf-8") as page:
            said = introduction() if callable(introduction) else introduction
            page.write(_head(title, said))
            page.write(_overview(lines, failed))
            shutil.copyfileobj(articles, page)
            page.write("</body>\n</html>\n")
    return failed


def _head(title: str, introduction: str) -> str:
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{clean(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>{clean(title)}</h1>
<p class="quiet">{clean(introduction)}</p>
<p class="quiet">A score is a sum over regions (crops of the photo) and descriptions. A region's
number is what it adds to the class's score; beside it stands a description that it answers clearly
better than the whole photo and the other regions do, if there is one. Scores rank classes; they
are not probabilities.</p>
"""


def _overview(lines: list[str], failed: int) -> str:
    """A line for each photo, to find it by; nothing where there is one alone."""
    if len(lines) < 2:
        return ""
    bad = f", {failed} failed" if failed else ""
    return (
        f'<nav aria-label="Photos"><h3>{len(lines)} photos{bad}</h3>\n'
        f"<ol>\n{''.join(lines)}</ol></nav>\n"
    )


def _line(number: int, picture: str, label: str, more: str) -> str:
    return (
        f'<li><a href="#photo-{number}">{picture}<span><strong class="cut">{label}</strong>'
        f'<span class="quiet cut">{more}</span></span></a></li>\n'
    )


def _article(entry: Entry, number: int, *, details: bool) -> tuple[str, str]:
    """The line of a photo in the overview, and its article."""
    found = summarise(
        entry.prediction,
        entry.label,
        entry.against,
        classes=CLASSES_SHOWN,
        descriptions=DESCRIPTIONS_SHOWN,
    )
    photo = thumbnail(load_image(entry.source))
    explanation, name = found.explanation, clean(found.name)
    frames = [(region.box, region.text) for region in found.regions]
    drawing = regions_svg(photo, explanation.size, frames, f"{found.name}, {explanation.label}")
    lines = "".join(
        f'<p class="quiet">{clean(line)}</p>' for line in (found.certainty, entry.note) if line
    )
    small = thumbnail(photo, _SMALL)
    line = _line(
        number,
        regions_svg(small, small.size, [], found.name),
        clean(explanation.label),
        f"{rounded(explanation.score)} &middot; {name}",
    )
    article = f"""<article id="photo-{number}">
<div>
<figure>{drawing}<figcaption>{name}</figcaption></figure>
<h3>Regions that add most, and their words</h3>
{_regions(found)}
</div>
<div>
<h2>{clean(explanation.label)}</h2>
<p>{clean(found.headline)}</p>
{lines}
{_chart(found.classes)}
{_chart(found.decisive)}
</div>
<details{" open" if details else ""}>
<summary>Where the evidence lies, and how the descriptions are answered</summary>
<div class="more">
{_maps(photo, found)}
<div>{_chart(found.meeting)}</div>
<div>{_matrix(explanation)}</div>
</div>
</details>
</article>
"""
    return line, article


def _failure(image: str, number: int, error: str) -> tuple[str, str]:
    name = clean(Path(image).name)
    line = _line(number, '<span class="blank"></span>', '<span class="error">failed</span>', name)
    return line, (
        f'<article id="photo-{number}"><h2>{name}</h2><p class="error">{clean(error)}</p>'
        "</article>\n"
    )


def _regions(found: Summary) -> str:
    rows = (
        f'<tr><td class="key-cell"><span class="key" style="background:{colour}">{rank}</span></td>'
        f'<td><span class="words">{clean(region.text)}</span>'
        f'<span class="quiet">{clean(region_note(region))}</span></td>'
        f'<td class="number">{rounded(region.adds)}</td></tr>'
        for rank, (region, colour) in enumerate(
            zip(found.regions, REGION_COLOURS, strict=False), start=1
        )
    )
    return f"<table>{''.join(rows)}</table>"


def _map(shown: Map, name: str, kind: str) -> str:
    return (
        f"<figure><h3>{clean(shown.title)}</h3>"
        f"{regions_svg(shown.picture, shown.picture.size, [], name)}"
        f'<figcaption>{clean(shown.low)} <span class="scale {kind}"></span> {clean(shown.high)}, '
        f"{clean(shown.note)}</figcaption></figure>"
    )


def _maps(photo: Image.Image, found: Summary) -> str:
    kinds = ("heat", "spread")
    shown = zip(maps(photo, found), kinds, strict=False)
    return "\n".join(_map(each, found.name, kind) for each, kind in shown)


def _chart(chart: Chart) -> str:
    """A heading and a table of texts, numbers and bars on one scale."""
    note = f'<p class="quiet">{clean(chart.note)}</p>' if chart.note else ""
    groups = (
        (f'<tr><th colspan="3">{clean(group)}</th></tr>' if group else "")
        + "".join(_row(chart, bar) for bar in bars)
        for group, bars in chart.groups
    )
    return f"<h3>{clean(chart.title)}</h3>{note}<table>{''.join(groups)}</table>"


def _row(chart: Chart, bar: Bar) -> str:
    low, scale = chart.reach[0], 100.0 / chart.span
    values = "<br>".join(rounded(value) for value, _ in _lengths(bar))
    tracks = "".join(_bar(bar, *length, low, scale) for length in _lengths(bar))
    return (
        f'<tr><td>{clean(bar.text)}</td><td class="number">{values}</td>'
        f'<td class="track">{tracks}</td></tr>'
    )


def _lengths(bar: Bar) -> list[tuple[float, str]]:
    return [(bar.value, "")] + ([] if bar.whole is None else [(bar.whole, " whole")])


def _bar(bar: Bar, value: float, paler: str, low: float, scale: float) -> str:
    start, length = (min(value, 0.0) - low) * scale, abs(value) * scale
    style = f"margin-left:{start:.1f}%;width:{length:.1f}%"
    return f'<span class="bar {bar.side}{paler}" style="{style}"></span>'


def _matrix(explanation: Explanation) -> str:
    """The similarity matrix: a row a description, a column a crop, the heaviest first."""
    order = (-explanation.crop_weights).argsort(kind="stable")
    values = explanation.similarity[order].T
    low, high = float(values.min()), float(values.max())
    columns = values.shape[1]
    rows = "".join(
        f'<tr><td>{clean(text)}</td><td class="strip"><svg viewBox="0 0 {columns} 1" '
        f'preserveAspectRatio="none" role="img" aria-label="cosines from {row.min():.2f} to '
        f'{row.max():.2f}"><image href="{data_uri(matrix_picture(row[None], low, high), "PNG")}" '
        f'width="{columns}" height="1" preserveAspectRatio="none"/></svg></td></tr>'
        for text, row in zip(explanation.descriptions, values, strict=True)
    )
    return (
        f"<h3>Similarity matrix of {clean(explanation.label)}</h3>"
        f'<p class="quiet">a column a crop, the heaviest first; cosine from {low:.2f} '
        f'<span class="scale"></span> to {high:.2f}</p><table>{rows}</table>'
    )
