"""The report: one file that holds everything, whatever the names and texts in it are."""

from __future__ import annotations

import base64
import dataclasses
import io
import itertools
import os
import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from crossalign import Classifier, Prediction
from crossalign.images.load import load_image
from crossalign.reports.explanation_page import (
    CLASSES_SHOWN,
    DESCRIPTIONS_SHOWN,
    Entry,
    write_report,
)
from crossalign.reports.maps import maps
from crossalign.reports.overlays import MAX_SIDE
from crossalign.reports.summary import summarise

VOID = {"meta", "br"}
ELEMENTS = {
    *("html", "head", "meta", "title", "style", "body", "h1", "h2", "h3", "p", "article", "div"),
    *("figure", "figcaption", "svg", "image", "rect", "g", "text", "table", "tr", "td", "span"),
    *("details", "summary", "br", "th", "nav", "ol", "li", "a", "strong", "main"),
}


class Page(HTMLParser):
    """A page taken apart; raises if an element is left open or closed out of turn."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.style = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == [], "elements left open"

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.elements.append((tag, dict(attrs)))
        assert len(attrs) == len(dict(attrs)), "an attribute twice"
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        assert "svg" in self._open, "only SVG knows elements that close themselves"
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] == ["style"]:
            self.style += data
        else:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def attributes(self, name: str) -> list[str | None]:
        return [attributes[name] for _, attributes in self.elements if name in attributes]

    def count(self, tag: str) -> int:
        return sum(found == tag for found, _ in self.elements)


def assert_harmless(page: Page, html: str) -> None:
    """Nothing runs and nothing is fetched."""
    assert {tag for tag, _ in page.elements} <= ELEMENTS
    names = {name for _, attributes in page.elements for name in attributes}
    assert not {name for name in names if name.startswith("on")}
    assert names.isdisjoint({"src", "srcset", "data", "action", "xlink:href", "http-equiv"})
    inside = ("data:image/jpeg;base64,", "data:image/png;base64,")
    for tag, attributes in page.elements:
        href = attributes.get("href")
        if tag == "a":
            assert ("article", {"id": str(href).removeprefix("#")}) in page.elements
        elif href is not None:
            assert href.startswith(inside)
    assert "url(" not in page.style
    assert "@import" not in page.style
    html = html.replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not re.search(r"(https?|file|ftp)://|javascript:", html, re.IGNORECASE)


@pytest.fixture
def report(tmp_path: Path) -> Callable[..., tuple[Page, str]]:
    def write(*entries: Entry, title: str = "Title", introduction: str = "") -> tuple[Page, str]:
        path = tmp_path / "a folder" / "that is new" / "report.html"
        write_report(path, entries, title=title, introduction=introduction)
        html = path.read_text(encoding="utf-8")
        page = Page(html)
        assert_harmless(page, html)
        return page, html

    return write


def entry(classifier: Classifier, image: Image.Image, path: Path, note: str = "") -> Entry:
    image.save(path, "PNG")
    return Entry(classifier(path), path, note)


@pytest.fixture
def classifier(encoder: Any) -> Classifier:
    classes = {
        "red": ["a red thing", "red all over", "very red", "reddish", "red once more"],
        "green": ["a green thing"],
        "blue": ["a blue thing"],
        **{f"class {n}": [f"text {n}"] for n in range(6)},
    }
    return Classifier(classes, encoder=encoder, crops=12)


def test_shows_what_there_is_to_say(
    report: Any, classifier: Classifier, picture: Any, tmp_path: Path
) -> None:
    made = [
        entry(classifier, picture(colour, n), tmp_path / f"{colour} {n}.png", f"note {n}")
        for n, colour in enumerate(("red", "green", "blue"))
    ]
    page, html = report(*made, title="My photos", introduction="How they were labelled.")
    assert html.startswith("<!doctype html>\n")
    assert ("meta", {"charset": "utf-8"}) in page.elements
    assert page.text.startswith("My photos My photos How they were labelled.")
    assert page.count("article") == page.count("h2") == page.count("details") == 3
    for n, (colour, one) in enumerate(zip(("red", "green", "blue"), made, strict=True)):
        found = summarise(one.prediction, classes=CLASSES_SHOWN, descriptions=DESCRIPTIONS_SHOWN)
        assert (
            f"{colour} {found.reason} {found.headline} {found.certainty} note {n} Best classes"
            in page.text
        )
        assert f"{colour} {n}.png {found.regions_title}" in page.text
        for rank, region in enumerate(found.regions, start=1):
            left, top, right, bottom = region.box
            place = f'x="{left}" y="{top}" width="{right - left}" height="{bottom - top}"'
            assert place in html
            said = f"{rank} {region.text} {region.note}".strip()
            assert f"{said} {region.value:.3f}" in page.text
        for chart in (found.classes, found.decisive):
            for bar in chart.bars:
                assert f"{bar.text} {bar.value:.3f}" in page.text
        for bar in found.meeting.bars:
            assert f"{bar.text} {bar.value:.3f} {bar.whole:.3f}" in page.text
        for text in found.explanation.descriptions:
            assert text in page.text
        for group, _ in (*found.decisive.groups, *found.meeting.groups):
            assert group in page.text
        for shown in maps(load_image(one.source), found):
            assert f"{shown.title} {shown.low} {shown.high}, {shown.note}" in page.text
    assert page.attributes("class").count("scale heat") == 3
    assert page.attributes("class").count("scale spread") == 3


def test_a_screen_reader_finds_its_way(
    report: Any, classifier: Classifier, picture: Any, tmp_path: Path
) -> None:
    """All lies in one landmark, no level of headings is left out, each picture has a name."""
    made = [
        entry(classifier, picture(colour), tmp_path / f"{colour}.png") for colour in ("red", "blue")
    ]
    page, html = report(*made)
    assert page.count("main") == 1
    assert re.search(r"<body>\s*<main>", html)
    assert re.search(r"</main>\s*</body>", html)
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    drawings = [attributes for tag, attributes in page.elements if tag == "svg"]
    assert all(one["role"] == "img" and one["aria-label"] for one in drawings)


def test_an_overview_of_several_photos(
    report: Any, classifier: Classifier, picture: Any, tmp_path: Path
) -> None:
    made = [
        entry(classifier, picture(colour), tmp_path / f"{colour}.png") for colour in ("red", "blue")
    ]
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"not an image")
    (failed,) = classifier.predict([broken])
    page, html = report(made[0], Entry(failed, broken), made[1])
    assert html.index("<nav") < html.index("<article")
    assert "3 photos, 1 failed" in page.text
    links = [attributes["href"] for tag, attributes in page.elements if tag == "a"]
    assert links == ["#photo-1", "#photo-2", "#photo-3"]
    overview = html[html.index("<nav") : html.index("</nav>")]
    for one in made:
        score = f"{one.prediction.score:.3f}"
        assert f"{one.prediction.label}</strong>" in overview
        assert score in overview
    assert "failed</span></strong>" in overview
    alone, html = report(made[0])
    assert alone.count("nav") == 0


def test_another_class_and_another_rival(
    report: Any, classifier: Classifier, picture: Any, tmp_path: Path
) -> None:
    made = entry(classifier, picture("red"), tmp_path / "x.png")
    page, _ = report(dataclasses.replace(made, label="blue", against="green"))
    assert "Words that decided between blue and green" in page.text
    page, _ = report(dataclasses.replace(made, against="red"))
    assert "between red and red" not in page.text, "a class is not compared with itself"


def test_details_are_folded_unless_asked_for(
    classifier: Classifier, picture: Any, tmp_path: Path
) -> None:
    made = entry(classifier, picture("red"), tmp_path / "x.png")
    for details in (False, True):
        write_report(tmp_path / "x.html", [made], title="t", details=details)
        html = (tmp_path / "x.html").read_text(encoding="utf-8")
        assert ("<details open>" in html) is details


def pictures_in(page: Page, kind: str = "jpeg") -> list[Image.Image]:
    return [
        Image.open(io.BytesIO(base64.b64decode(str(href).partition(",")[2])))
        for href in page.attributes("href")
        if str(href).startswith(f"data:image/{kind};")
    ]


def test_every_photo_is_inside(
    report: Any, classifier: Classifier, picture: Any, tmp_path: Path
) -> None:
    wide = picture("blue").resize((1400, 900))
    page, _ = report(
        entry(classifier, picture("red"), tmp_path / "small.png"),
        entry(classifier, wide, tmp_path / "wide.png"),
    )
    tiny, tiny_wide, small, small_heat, small_contrast, large, *_ = pictures_in(page)
    assert max(tiny.size + tiny_wide.size) <= 128
    assert small.size == small_heat.size == small_contrast.size == picture("red").size
    assert large.size == (MAX_SIDE, round(MAX_SIDE * 900 / 1400))
    assert f"0 0 {wide.width} {wide.height}" in page.attributes("viewbox")
    red, _, blue = large.getpixel((300, 200))
    assert blue > red
    for strip in pictures_in(page, "png"):
        assert strip.size == (12, 1), "a pixel a crop"


NASTY = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onload='alert(1)",
    "Tom & Jerry &amp; &lt;b&gt;",
    "</style><b>bold",
    "<!-- -->",
    "]]>{{7*7}}%s{0}",
]


@pytest.mark.parametrize("text", NASTY)
def test_names_and_texts_are_shown_and_never_obeyed(
    report: Any, encoder: Any, picture: Any, tmp_path: Path, text: str
) -> None:
    classifier = Classifier({f"red {text}": [f"red: {text}"], "blue": ["blue"]}, encoder=encoder)
    file = text.replace("/", "_")
    made = entry(classifier, picture("red"), tmp_path / file, note=f"note {text}")
    failed = Prediction(f"dir/{file}", ("a",), None, None, None, error=f"error: {text}")
    page, _ = report(made, Entry(failed, "gone"), title=f"title {text}", introduction=f"in {text}")
    for shown in (file, f"red {text}", f"red: {text}", f"note {text}", f"error: {text}"):
        assert shown in page.text
    assert page.text.count(f"title {text}") == 2
    assert f"in {text}" in page.text
    labels = [label for label in page.attributes("aria-label") if "cosines" not in label]
    assert labels == ["Photos", file, f"{file}, red {text}", file, file]


def test_failures_are_shown_among_the_others(
    report: Any, classifier: Classifier, picture: Any, tmp_path: Path
) -> None:
    good = entry(classifier, picture("red"), tmp_path / "good.png")
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"not an image")
    (failed,) = classifier.predict([broken])
    page, _ = report(good, Entry(failed, broken), good)
    assert page.count("article") == 3
    assert page.count("figure") == 2 * 3
    assert page.count("li") == 3
    assert "broken.png" in page.text
    assert failed.error in page.text
    assert page.attributes("class").count("error") == 2, "in the overview and in its place"


def test_no_photos(report: Any) -> None:
    page, _ = report(title="Empty")
    assert page.count("article") == 0
    assert page.text.startswith("Empty Empty")


def test_whole_image_methods(report: Any, encoder: Any, picture: Any, tmp_path: Path) -> None:
    classifier = Classifier(["red", "blue"], encoder=encoder, method="clip")
    page, html = report(entry(classifier, picture("red"), tmp_path / "x.png"))
    width, height = picture("red").size
    assert f'x="0" y="0" width="{width}" height="{height}" fill="none"' in html
    assert "±" not in page.text
    assert "resampled" not in page.text
    assert "paler" not in page.text
    assert "the whole photo" in page.text
    assert "like the whole photo" not in page.text
    assert page.count("figure") == 1, "no map of places where none was looked at"


def test_one_class(report: Any, encoder: Any, picture: Any, tmp_path: Path) -> None:
    classifier = Classifier(["red"], encoder=encoder, crops=3)
    page, _ = report(entry(classifier, picture("red"), tmp_path / "x.png"))
    assert "Words that carried red" in page.text
    assert page.count("figure") == 2, "there is nothing to compare with"


def bars_of(page: Page) -> list[tuple[float, float]]:
    pattern = re.compile(r"margin-left:([\d.]+)%;width:([\d.]+)%")
    found = (pattern.fullmatch(str(style)) for style in page.attributes("style"))
    return [(float(match[1]), float(match[2])) for match in found if match]


def test_bars_below_zero_go_the_other_way(report: Any, encoder: Any, tmp_path: Path) -> None:
    classifier = Classifier({"a": ["blue"], "b": ["green"]}, encoder=encoder, method="cupl")
    made = entry(classifier, Image.new("RGB", (20, 20), "red"), tmp_path / "x.png")
    assert made.prediction.score < 0
    page, _ = report(made)
    bars = bars_of(page)
    assert all(abs(start + width - 100.0) < 0.2 for start, width in bars[:2]), "up to zero"
    assert max(width for _, width in bars[:2]) == 100.0


def test_bars_are_shares_of_the_longest(
    report: Any, classifier: Classifier, picture: Any, tmp_path: Path
) -> None:
    made = entry(classifier, picture("red"), tmp_path / "x.png")
    page, _ = report(made)
    bars = bars_of(page)
    found = summarise(made.prediction, classes=CLASSES_SHOWN, descriptions=DESCRIPTIONS_SHOWN)
    charts = (found.classes, found.decisive, found.meeting)
    assert len(bars) == sum(1 + (bar.whole is not None) for c in charts for bar in c.bars)
    assert all(start >= 0 and start + width <= 100.2 for start, width in bars)
    low, high = found.classes.reach
    for (_, width), bar in zip(bars, found.classes.bars, strict=False):
        assert width == pytest.approx(100 * abs(bar.value) / (high - low), abs=0.06)


# --------------------------------------------------------------------------------- whole or not


def test_a_page_is_replaced_whole(
    classifier: Classifier, picture: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out" / "report.html"
    write_report(path, [], title="one")
    seen: list[str] = []
    replace = Path.replace

    def watch(self: Path, target: Path) -> Path:
        assert self.parent == path.parent, "renaming is only atomic within a folder"
        seen.append(path.read_text(encoding="utf-8"))
        assert "two" in self.read_text(encoding="utf-8")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", watch)
    write_report(path, [], title="two")
    assert len(seen) == 1
    assert "<title>one</title>" in seen[0], "the old page stands until the new one is whole"
    assert "<title>two</title>" in path.read_text(encoding="utf-8")
    assert list(path.parent.iterdir()) == [path]


def test_a_failure_leaves_the_old_page_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report.html"
    write_report(path, [], title="one")

    def fail(*_: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="no space left"):
        write_report(path, [], title="two")
    assert "<title>one</title>" in path.read_text(encoding="utf-8")
    assert list(tmp_path.iterdir()) == [path]


def test_a_photo_that_is_gone_is_a_failure_among_the_others(
    classifier: Classifier, picture: Any, tmp_path: Path
) -> None:
    gone = entry(classifier, picture("red"), tmp_path / "x.png")
    there = entry(classifier, picture("red"), tmp_path / "y.png")
    (tmp_path / "x.png").unlink()
    assert write_report(tmp_path / "report.html", [gone, there], title="two") == 1
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert page.count("article") == 2
    assert "no such file" in page.text


def test_an_interrupted_page_leaves_the_old_one(
    classifier: Classifier, picture: Any, tmp_path: Path
) -> None:
    path = tmp_path / "report.html"
    write_report(path, [], title="one")

    def stopped() -> Iterator[Entry]:
        yield entry(classifier, picture("red"), tmp_path / "x.png")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_report(path, stopped(), title="two")
    assert "<title>one</title>" in path.read_text(encoding="utf-8")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["report.html", "x.png"]


def test_a_file_name_that_is_no_text(tmp_path: Path) -> None:
    name = os.fsdecode(b"bad\xff.png")
    path = tmp_path / name
    Image.new("RGB", (40, 30), "red").save(path, "PNG")
    prediction = Classifier(["red", "green"], crops=2)(path)
    report = tmp_path / "report.html"
    write_report(report, [Entry(prediction, path)], title="t")
    assert "bad\\udcff.png" in report.read_text(encoding="utf-8")
