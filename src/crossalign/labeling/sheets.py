"""Contact sheets: an HTML page a class, the doubtful images first, so that people can check labels.

A folder of static pages and small previews. Nothing is fetched when they are opened, there is no
script, and all names are escaped. However large the job, the number of previews is bounded.
"""

from __future__ import annotations

import io
import json
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from crossalign.errors import ImageError, LabelingError
from crossalign.images import load_reduced, read_file
from crossalign.labeling.decisions import Row
from crossalign.labeling.jobfile import DONE, JobFile
from crossalign.labeling.review import Named, Review, review
from crossalign.labeling.sinks import open_text, whole_file
from crossalign.labeling.sources import Entry, Source

SIDE = 192
"""Longest side of a preview, in pixels."""

MOST_A_LABEL = 300
MOST_A_PAGE = 100
_LISTED = 12

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
figcaption b { font-size: .875rem; } .doubt { color: var(--doubt); }
table { border-collapse: collapse; } td, th { padding: .2rem 1.25rem .2rem 0; text-align: left;
  vertical-align: top; overflow-wrap: anywhere; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
th { font-size: .8rem; color: var(--quiet); font-weight: 600; }
nav { margin: .5rem 0 1rem; }
"""


@dataclass(frozen=True, slots=True)
class _Shown:
    number: int
    id: str
    row: Row


def write_sheets(
    folder: Path,
    job: JobFile,
    source: Source,
    *,
    title: str,
    most: int = MOST_A_LABEL,
    page: int = MOST_A_PAGE,
) -> Path:
    """Write the contact sheets of a finished job.

    Args:
        folder: Where; made if need be. Pages of an earlier report there are replaced.
        job: The job.
        source: Its source, from which the previews are made.
        title: Heading.
        most: Images to show of each label, the most doubtful.
        page: Images on a page.

    Returns:
        The page to open first.

    Raises:
        LabelingError: If the folder is part of the source, or cannot be written.
    """
    if source.folder is not None and _is_inside(folder, source.folder):
        raise LabelingError(
            f"the report's folder {folder} is inside the source, whose images it would add to. "
            "Choose another place."
        )
    found = review(job, count=_LISTED)
    chosen = {label: _chosen(job, label, most) for label in _labels(job)}
    extra = {path for image in (*found.least_sure, *found.unusual) for path in [image.path]}
    extra |= {path for group in found.duplicates for path in group[:_LISTED]}
    try:
        previews = folder / "previews"
        previews.mkdir(parents=True, exist_ok=True)
        for old in (*folder.glob("label-*.html"), *previews.glob("*.jpg")):
            old.unlink()
        shown = {image.id: image.number for images in chosen.values() for image in images}
        made = _previews(source, previews, shown, extra)
        pages = [
            _label_pages(folder, at, label, images, made, page, _count(job, label), title)
            for at, (label, images) in enumerate(chosen.items(), start=1)
        ]
        index = folder / "index.html"
        _write(index, title, _index(job, found, pages, made))
    except OSError as error:
        raise LabelingError(
            f"cannot write the report to {folder}: {error.strerror or error}."
        ) from error
    return index


def _is_inside(inner: Path, outer: Path) -> bool:
    return inner.resolve().is_relative_to(outer.resolve())


def _labels(job: JobFile) -> list[str]:
    query = (
        "SELECT decision FROM items WHERE state = ? GROUP BY decision "
        "ORDER BY COUNT(*) DESC, decision"
    )
    return [label for (label,) in job.query(query, DONE)]


def _count(job: JobFile, label: str) -> int:
    query = "SELECT COUNT(*) FROM items WHERE state = ? AND decision = ?"
    return int(job.query(query, DONE, label).fetchone()[0])


def _chosen(job: JobFile, label: str, most: int) -> list[_Shown]:
    query = (
        "SELECT number, id, row FROM items WHERE state = ? AND decision = ? "
        "ORDER BY sure, position LIMIT ?"
    )
    return [
        _Shown(number, os.fsdecode(identity), Row(**json.loads(text)))
        for number, identity, text in job.query(query, DONE, label, most)
    ]


def _previews(
    source: Source, folder: Path, shown: dict[str, int], extra: set[str]
) -> dict[str, str]:
    """Make previews, in one pass over the source: path of each image to its preview's address."""
    made: dict[str, str] = {}
    for number, entry in enumerate(source.entries()):
        name = f"{shown[entry.id]}.jpg" if entry.id in shown else f"x{number}.jpg"
        if (entry.id in shown or entry.path in extra) and entry.path not in made:
            data = _preview(entry)
            if data is not None:
                (folder / name).write_bytes(data)
                made[entry.path] = f"previews/{name}"
    return made


def _preview(entry: Entry) -> bytes | None:
    try:
        data = read_file(entry.load())
        if data is None:
            return None
        image, _ = load_reduced(data, entry.path, SIDE)
    except (ImageError, MemoryError):  # it was there when it was labelled
        return None
    image.thumbnail((SIDE, SIDE))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=80)
    return stream.getvalue()


# ------------------------------------------------------------------------------------------ pages


@dataclass(frozen=True, slots=True)
class _Pages:
    label: str
    first: str
    images: int
    shown: int


def _label_pages(
    folder: Path,
    at: int,
    label: str,
    images: Sequence[_Shown],
    made: dict[str, str],
    size: int,
    count: int,
    title: str,
) -> _Pages:
    total = math.ceil(len(images) / size)
    names = [f"label-{at:04}-{number + 1:02}.html" for number in range(total)]
    for number, name in enumerate(names):
        part = images[number * size : (number + 1) * size]
        lead = (
            f"{count} images"
            + (f", the {len(images)} most doubtful are shown" if len(images) < count else "")
            + "; the most doubtful come first."
        )
        body = (
            f'<nav><a href="index.html">All labels</a>{_turns(names, number)}</nav>'
            f'<p class="quiet">{lead}</p>'
            f'<div class="grid">{"".join(_card(image.row, made) for image in part)}</div>'
            f"<nav>{_turns(names, number)}</nav>"
        )
        _write(folder / name, f"{label} · {title}", body, heading=label)
    return _Pages(label, names[0], count, len(images))


def _turns(names: Sequence[str], at: int) -> str:
    if len(names) < 2:
        return ""
    links = [
        f"<b>{number + 1}</b>" if number == at else f'<a href="{name}">{number + 1}</a>'
        for number, name in enumerate(names)
    ]
    return " &ensp; page " + " ".join(links)


def _card(row: Row, made: dict[str, str]) -> str:
    words = f"<b>{escape(str(row.label))}</b>"
    if row.confidence is not None:
        words += f" · confidence {row.confidence:.2f}"
    elif row.score is not None:
        words += f" · score {row.score:.3f}"
    if row.runner_up is not None and row.margin is not None:
        words += (
            f'<br><span class="doubt">or {escape(row.runner_up)}</span>, {row.margin:.3f} behind'
        )
    if isinstance(row.decision, list):
        words += f"<br>{escape(', '.join(row.decision)) or 'no label'}"
    return _figure(row.path, made, words)


def _figure(path: str, made: dict[str, str], words: str) -> str:
    name = _escaped(Path(path).name)
    preview = made.get(path)
    image = f'<img src="{preview}" alt="{name}" loading="lazy">' if preview else "no preview"
    target = f' href="{_escaped(Path(path).absolute().as_uri())}"' if Path(path).exists() else ""
    return (
        f"<figure><a{target}>{image}</a><figcaption>{words}"
        f'<br><span class="quiet">{name}</span></figcaption></figure>'
    )


def _index(job: JobFile, found: Review, pages: Sequence[_Pages], made: dict[str, str]) -> str:
    rows = "".join(
        f'<tr><td><a href="{one.first}">{escape(one.label)}</a></td>'
        f'<td class="number">{one.images}</td><td class="number">{one.shown}</td></tr>'
        for one in pages
    )
    head = '<tr><th>label</th><th class="number">images</th><th class="number">shown</th></tr>'
    parts = [
        f'<p class="quiet">{job.count()} images, {found.failed} of them without a label. '
        + (
            "Confidences were calibrated on labelled photos."
            if found.sure == "confidence"
            else "Scores rank classes; they are not probabilities."
        )
        + "</p>",
        f"<table>{head}{rows}</table>",
        _gallery(f"Least sure, by {found.sure}", found.least_sure, made),
        _gallery("Least like the others of their label", found.unusual, made),
        *_duplicates(found, made),
        _errors(found),
    ]
    return "".join(parts)


def _gallery(heading: str, images: Sequence[Named], made: dict[str, str]) -> str:
    if not images:
        return ""
    figures = "".join(
        _figure(image.path, made, f"<b>{escape(image.label)}</b> · {image.value:.3f}")
        for image in images
    )
    return f'<h2>{escape(heading)}</h2><div class="grid">{figures}</div>'


def _duplicates(found: Review, made: dict[str, str]) -> Iterator[str]:
    if not found.duplicates:
        return
    yield f"<h2>Near-duplicates: {found.duplicate_groups} groups</h2>"
    for group in found.duplicates:
        figures = "".join(_figure(path, made, "") for path in group[:_LISTED])
        more = f"<p class=quiet>and {len(group) - _LISTED} more</p>" if len(group) > _LISTED else ""
        yield f'<div class="grid">{figures}</div>{more}<hr>'


def _errors(found: Review) -> str:
    if not found.errors:
        return ""
    rows = "".join(
        f'<tr><td class="number">{number}</td><td>{_escaped(kind)}</td>'
        f'<td class="quiet">{_escaped(example)}</td></tr>'
        for kind, number, example in found.errors[:50]
    )
    return (
        "<h2>Without a label</h2><table><tr><th class=number>images</th><th>reason</th>"
        f"<th>such as</th></tr>{rows}</table>"
    )


def _escaped(text: str) -> str:
    """A file name need not be valid text."""
    return escape(text.encode("utf-8", "backslashreplace").decode())


def _write(path: Path, title: str, body: str, heading: str | None = None) -> None:
    with whole_file(path) as unfinished, open_text(unfinished) as stream:
        stream.write(
            f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
            f"<h1>{escape(heading or title)}</h1>\n{body}\n</body>\n</html>\n"
        )
