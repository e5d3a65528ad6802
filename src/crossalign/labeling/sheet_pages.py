"""The pages of the contact sheets: what stands in them.

There is no script, nothing is fetched, and all names are escaped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from crossalign.labeling.decisions import OUTCOMES, Row
from crossalign.labeling.review import Named, Review
from crossalign.utils.text import count_images

MOST_IN_GROUP = 12
MOST_ERRORS = 50

Previews = Mapping[str, str]
"""Path of each image that has one to its preview's address."""

_STYLE = """
:root { color-scheme: light dark; --paper: #fcfcfa; --ink: #1d1d1f; --quiet: #62626a;
  --line: #dcdcd8; --doubt: #b35c00; --link: #00609c; }
@media (prefers-color-scheme: dark) { :root { --paper: #17181a; --ink: #ececee; --quiet: #a2a3ab;
  --line: #36373c; --doubt: #f0a050; --link: #6cb8f0; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 80rem; padding: 1.5rem 1rem 4rem; background: var(--paper);
  color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
a { color: var(--link); } h1 { font-size: 1.5rem; margin: 0 0 .25rem; }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; } p { margin: .25rem 0 .75rem; }
.quiet { color: var(--quiet); font-size: .875rem; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); gap: .75rem; }
figure { margin: 0; border: 1px solid var(--line); border-radius: 6px; overflow: hidden; }
figure a { display: grid; place-items: center; height: 11rem; text-decoration: none;
  color: var(--quiet); }
figure img { max-width: 100%; max-height: 11rem; display: block; }
figcaption { padding: .4rem .6rem .5rem; font-size: .8rem; line-height: 1.35;
  border-top: 1px solid var(--line); overflow-wrap: anywhere; }
figcaption b { font-size: .875rem; } figcaption .quiet { font-size: inherit; }
.doubt { color: var(--doubt); }
table { border-collapse: collapse; } td, th { padding: .2rem 1.25rem .2rem 0; text-align: left;
  vertical-align: top; overflow-wrap: anywhere; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
th { font-size: .8rem; color: var(--quiet); font-weight: 600; }
nav { margin: .5rem 0 1rem; }
"""


@dataclass(frozen=True, slots=True)
class Shown:
    """An image on the pages of a label.

    Args:
        row: Its row.
        sure: How sure it is that it belongs here, see ``crossalign.labeling.decisions.Given``.
    """

    row: Row
    sure: float


@dataclass(frozen=True, slots=True)
class Pages:
    """The pages of one label.

    Args:
        label: A class, or an outcome in place of one.
        names: Names of the pages' files.
        images: Images of that label.
        shown: Of these, those on the pages.
    """

    label: str
    names: tuple[str, ...]
    images: int
    shown: int


def label_body(pages: Pages, at: int, images: Sequence[Shown], previews: Previews) -> str:
    """Make one page of a label.

    Args:
        pages: All pages of that label.
        at: Which of them this is.
        images: What to show here.
        previews: Of the images.

    Returns:
        HTML.
    """
    turns = _turns(pages.names, at)
    few = f", the {pages.shown} most doubtful are shown" if pages.shown < pages.images else ""
    first = "those nearest to a class" if pages.label in OUTCOMES else "the most doubtful"
    cards = "".join(_card(pages.label, image, previews) for image in images)
    return (
        f'<nav><a href="index.html">All labels</a>{turns}</nav>'
        f'<p class="quiet">{count_images(pages.images)}{few}; {first} come first.</p>'
        f'<div class="grid">{cards}</div><nav>{turns}</nav>'
    )


def _turns(names: Sequence[str], at: int) -> str:
    if len(names) < 2:
        return ""
    links = [
        f"<b>{number + 1}</b>" if number == at else f'<a href="{name}">{number + 1}</a>'
        for number, name in enumerate(names)
    ]
    return " &ensp; page " + " ".join(links)


def _card(label: str, image: Shown, previews: Previews) -> str:
    """What was decided in bold, and what speaks against it beneath."""
    row = image.row
    measure = f"score {row.score:.3f}" if row.score is not None else ""
    if row.confidence is not None:
        measure = f"confidence {row.confidence:.2f}"
    words = f"<b>{escape(label)}</b>"
    if label in OUTCOMES:
        words += f'<br>nearest class <span class="doubt">{escape(str(row.label))}</span>'
        # Without a calibration only, for then all distances are on the score.
        short = f", {image.sure:.3f} too low" if row.confidence is None else ""
        words += f"<br>{measure}{short}"
    elif isinstance(row.decision, list):
        words += f" · {image.sure:.3f} above the threshold"
        others = [name for name in row.decision if name != label]
        words += f"<br>also {escape(', '.join(others))}" if others else ""
    else:
        words += f" · {measure}"
        if row.runner_up is not None and row.margin is not None:
            rival = f'<span class="doubt">or {escape(row.runner_up)}</span>'
            words += f"<br>{rival}, {row.margin:.3f} behind"
    return _figure(row.path, previews, words)


def _figure(path: str, previews: Previews, words: str) -> str:
    name = escaped(Path(path).name)
    preview = previews.get(path)
    image = f'<img src="{preview}" alt="{name}" loading="lazy">' if preview else "no preview"
    target = f' href="{escaped(Path(path).absolute().as_uri())}"' if Path(path).exists() else ""
    file = f'<span class="quiet">{name}</span>'
    caption = f"{words}<br>{file}" if words else file
    return f"<figure><a{target}>{image}</a><figcaption>{caption}</figcaption></figure>"


def index_body(total: int, found: Review, pages: Sequence[Pages], previews: Previews) -> str:
    """Make the page to open first.

    Args:
        total: Number of images.
        found: What to look at first.
        pages: The pages of each label.
        previews: Of the images that ``found`` lists.

    Returns:
        HTML.
    """
    rows = "".join(
        f'<tr><td><a href="{one.names[0]}">{escape(one.label)}</a></td>'
        f'<td class="number">{one.images}</td><td class="number">{one.shown}</td></tr>'
        for one in pages
    )
    head = '<tr><th>label</th><th class="number">images</th><th class="number">shown</th></tr>'
    lead = [count_images(total) + (f", {found.failed:,} of them failed." if found.failed else ".")]
    if found.several:
        lead.append("An image counts once for each label it was given.")
    lead.append(
        "Confidences were calibrated on labelled photos."
        if found.sure == "confidence"
        else "Scores rank classes; they are not probabilities."
    )
    parts = [
        f'<p class="quiet">{" ".join(lead)}</p>',
        f"<table>{head}{rows}</table>",
        _gallery(f"Least sure, by {found.sure}", found.least_sure, previews),
        _gallery("Least like the others of their label", found.unusual, previews),
        *_duplicates(found, previews),
        _errors(found),
    ]
    return "".join(parts)


def _gallery(heading: str, images: Sequence[Named], previews: Previews) -> str:
    if not images:
        return ""
    figures = "".join(
        _figure(image.path, previews, f"<b>{escape(image.label)}</b> · {image.value:.3f}")
        for image in images
    )
    return f'<h2>{escape(heading)}</h2><div class="grid">{figures}</div>'


def _duplicates(found: Review, previews: Previews) -> Iterator[str]:
    if not found.duplicates:
        return
    yield f"<h2>Near-duplicates: {found.groups_in_words}</h2>"
    for group in found.duplicates:
        figures = "".join(_figure(path, previews, "") for path in group[:MOST_IN_GROUP])
        left = len(group) - MOST_IN_GROUP
        more = f'<p class="quiet">and {left} more</p>' if left > 0 else ""
        yield f'<div class="grid">{figures}</div>{more}<hr>'


def _errors(found: Review) -> str:
    if not found.errors:
        return ""
    rows = "".join(
        f'<tr><td class="number">{number}</td><td>{escaped(kind)}</td>'
        f'<td class="quiet">{escaped(example)}</td></tr>'
        for kind, number, example in found.errors[:MOST_ERRORS]
    )
    left = len(found.errors) - MOST_ERRORS
    more = f'<p class="quiet">and {left} more reasons</p>' if left > 0 else ""
    return (
        '<h2>Failed</h2><table><tr><th class="number">images</th><th>reason</th>'
        f"<th>such as</th></tr>{rows}</table>{more}"
    )


def escaped(text: str) -> str:
    """Escape a file name, which need not be valid text.

    Args:
        text: Any text.

    Returns:
        HTML.
    """
    return escape(text.encode("utf-8", "backslashreplace").decode())


def whole_page(title: str, body: str, heading: str | None = None) -> str:
    """Make a page of what stands in it.

    Args:
        title: Of the window.
        body: HTML.
        heading: The title by default.

    Returns:
        HTML.
    """
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{escape(heading or title)}</h1>\n{body}\n</body>\n</html>\n"
    )
