"""One self-contained HTML page: photos, their labels, and the crops and words that decided.

Nothing is fetched when the page is opened: pictures are inlined and there is no script. All names
and texts are escaped.
"""

from __future__ import annotations

import base64
import io
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np
from PIL import Image

from crossalign.images import load_image
from crossalign.predictions import Explanation, Prediction

# Okabe and Ito's colours, told apart with every kind of colour vision; the black halo under the
# lines keeps them visible on any picture.
COLOURS = ("#e69f00", "#56b4e9", "#009e73", "#cc79a7")
CROPS_SHOWN = len(COLOURS)
CLASSES_SHOWN = 5
DESCRIPTIONS_SHOWN = 4
MAX_SIDE = 640

_STYLE = """
:root { color-scheme: light dark; --paper: #fcfcfa; --ink: #1d1d1f; --quiet: #62626a;
  --line: #dcdcd8; --bar: #0072b2; --bar-rest: #b4b8bd; }
@media (prefers-color-scheme: dark) { :root { --paper: #17181a; --ink: #ececee; --quiet: #a2a3ab;
  --line: #36373c; --bar: #56b4e9; --bar-rest: #5a5e66; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 68rem; padding: 2rem 1rem 4rem; background: var(--paper);
  color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; } h2 { font-size: 1.25rem; margin: 0; }
h3 { font-size: .8rem; margin: 1rem 0 .3rem; color: var(--quiet); font-weight: 600; }
p { margin: .25rem 0; } .quiet { color: var(--quiet); font-size: .875rem; }
article { display: grid; grid-template-columns: minmax(0, 5fr) minmax(0, 6fr); gap: 1.5rem;
  padding: 1.5rem 0; border-top: 1px solid var(--line); margin-top: 1.5rem; }
@media (max-width: 44rem) { article { grid-template-columns: minmax(0, 1fr); } }
figure { margin: 0; } figure svg { width: 100%; height: auto; display: block; border-radius: 4px; }
figcaption { margin-top: .4rem; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
td { padding: .15rem .6rem .15rem 0; vertical-align: top; }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; width: 1%; }
td.track { width: 38%; padding: .55rem 0 0; }
.bar { display: block; height: .6rem; border-radius: 2px; background: var(--bar-rest);
  min-width: 1px; }
.first .bar { background: var(--bar); } .first { font-weight: 600; }
.key { display: inline-block; min-width: 1.4em; padding: 0 .25em; border-radius: 3px;
  color: #000; text-align: center; font-size: .8rem; font-weight: 700; }
.pair { white-space: nowrap; } .error { color: #c0392b; }
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One photo of a report.

    Args:
        prediction: What was predicted for it.
        source: Where its pixels are.
        note: A line to show under the label, for example what the photo really shows.
    """

    prediction: Prediction
    source: str | os.PathLike[str]
    note: str = ""


def write_report(
    path: Path, entries: Iterable[Entry], *, title: str, introduction: str = ""
) -> None:
    """Write the page; a page of that name is replaced whole or not at all.

    Args:
        path: The HTML file; its folder is made if need be.
        entries: The photos. Their predictions are explained, so they had better hold their
            evidence.
        title: Heading of the page.
        introduction: A paragraph under the heading.
    """
    body = "\n".join(_article(entry) for entry in entries)
    page = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>{escape(title)}</h1>
<p class="quiet">{escape(introduction)}</p>
<p class="quiet">Frames are the crops with the most weight (w, all crops together: 1). A
description's number is what it adds to the class's score; the key beside it is the framed crop it
met best. Scores rank classes; they are not probabilities.</p>
{body}
</body>
</html>
"""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        # A file name need not be valid text.
        unfinished.write_text(page, encoding="utf-8", errors="backslashreplace")
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _article(entry: Entry) -> str:
    prediction = entry.prediction
    name = escape(Path(prediction.image).name)
    if prediction.error is not None:
        return f'<article><h2>{name}</h2><p class="error">{escape(prediction.error)}</p></article>'
    explanation = prediction.explain()
    return f"""<article>
<figure>{_picture(entry.source, explanation)}
<figcaption class="quiet">{name}</figcaption></figure>
<div>
<h2>{escape(explanation.label)}</h2>
<p class="quiet">{escape(entry.note)}</p>
<h3>Best classes</h3>
{_bars([(escape(label), score) for label, score in prediction.ranked(CLASSES_SHOWN)])}
<h3>Descriptions that carried “{escape(explanation.label)}”</h3>
{_descriptions(explanation)}
<h3>Crops with the most weight</h3>
<p>{_crop_keys(explanation)}</p>
</div>
</article>"""


def _picture(source: str | os.PathLike[str], explanation: Explanation) -> str:
    width, height = explanation.size
    thumbnail = load_image(source)
    thumbnail.thumbnail((MAX_SIDE, MAX_SIDE))
    unit = max(width, height) / 100.0
    frames = []
    for rank, ((left, top, right, bottom), weight) in enumerate(explanation.top_crops(CROPS_SHOWN)):
        box = f'x="{left}" y="{top}" width="{right - left}" height="{bottom - top}" fill="none"'
        frames.append(
            f'<rect {box} stroke="#000" stroke-opacity=".55" stroke-width="{unit * 1.3:.2f}"/>'
            f'<rect {box} stroke="{COLOURS[rank]}" stroke-width="{unit * 0.7:.2f}">'
            f"<title>crop {rank + 1}, weight {weight:.3f}</title></rect>"
            f'<g transform="translate({left} {top})"><rect width="{unit * 5:.2f}" '
            f'height="{unit * 5:.2f}" fill="{COLOURS[rank]}"/><text x="{unit * 2.5:.2f}" '
            f'y="{unit * 3.9:.2f}" text-anchor="middle" font-family="sans-serif" '
            f'font-weight="700" font-size="{unit * 4:.2f}">{rank + 1}</text></g>'
        )
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{escape(Path(explanation.image).name)}, labelled '
        f'{escape(explanation.label)}"><image href="{_data_uri(thumbnail)}" width="{width}" '
        f'height="{height}" preserveAspectRatio="none"/>{"".join(reversed(frames))}</svg>'
    )


def _descriptions(explanation: Explanation) -> str:
    heaviest = np.argsort(-explanation.crop_weights, kind="stable")[:CROPS_SHOWN]
    rows = []
    for text, added in explanation.top_descriptions(DESCRIPTIONS_SHOWN):
        column = explanation.descriptions.index(text)
        met = int(np.argmax(explanation.similarity[heaviest, column]))
        rows.append((f"{_key(met)} {escape(text)}", added))
    return _bars(rows)


def _bars(rows: list[tuple[str, float]]) -> str:
    """Draw a table of ready HTML, numbers and bars; the longest bar is the largest number's."""
    longest = max((value for _, value in rows), default=0.0)
    lines = []
    for rank, (html, value) in enumerate(rows):
        share = 100.0 * max(value, 0.0) / longest if longest > 0 else 0.0
        lines.append(
            f"<tr{' class=first' if rank == 0 else ''}><td>{html}</td>"
            f'<td class="number">{value:.3f}</td>'
            f'<td class="track"><span class="bar" style="width:{share:.1f}%"></span></td></tr>'
        )
    return f"<table>{''.join(lines)}</table>"


def _crop_keys(explanation: Explanation) -> str:
    return " &ensp; ".join(
        f'<span class="pair">{_key(rank)} w = {weight:.3f}</span>'
        for rank, (_, weight) in enumerate(explanation.top_crops(CROPS_SHOWN))
    )


def _key(rank: int) -> str:
    return f'<span class="key" style="background:{COLOURS[rank]}">{rank + 1}</span>'


def _data_uri(image: Image.Image) -> str:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=82)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
