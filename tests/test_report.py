"""The report: one file that holds everything, whatever the names and texts in it are."""

from __future__ import annotations

import base64
import io
import os
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from crossalign import Classifier, Prediction
from crossalign.report import (
    CLASSES_SHOWN,
    CROPS_SHOWN,
    DESCRIPTIONS_SHOWN,
    MAX_SIDE,
    Entry,
    write_report,
)

VOID = {"meta"}
ELEMENTS = {
    *("html", "head", "meta", "title", "style", "body", "h1", "h2", "h3", "p", "article", "div"),
    *("figure", "figcaption", "svg", "image", "rect", "g", "text", "table", "tr", "td", "span"),
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
    assert all(str(href).startswith("data:image/jpeg;base64,") for href in page.attributes("href"))
    assert "url(" not in page.style
    assert "@import" not in page.style
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
    assert page.count("title") == 1 + 3 * CROPS_SHOWN, "the page's and each frame's"
    assert page.text.startswith("My photos My photos How they were labelled.")
    assert page.count("article") == page.count("svg") == page.count("image") == 3
    assert page.count("h2") == 3
    for n, colour in enumerate(("red", "green", "blue")):
        assert f"{colour} {n}.png {colour} note {n} Best classes {colour} 0." in page.text
    rows = 3 * CLASSES_SHOWN + DESCRIPTIONS_SHOWN + 1 + 1
    assert page.count("tr") == rows, "red has more texts than are shown, the others one each"
    for name, score in made[0].prediction.ranked(CLASSES_SHOWN):
        assert f"{name} {score:.3f}" in page.text
    for text, added in made[0].prediction.explain().top_descriptions(DESCRIPTIONS_SHOWN):
        assert f"{text} {added:.3f}" in page.text
    for box, weight in made[0].prediction.explain().top_crops(CROPS_SHOWN):
        assert f'x="{box[0]}" y="{box[1]}" width="{box[2] - box[0]}"' in html
        assert f"weight {weight:.3f}" in page.text


def test_every_photo_is_inside(
    report: Any, classifier: Classifier, picture: Any, tmp_path: Path
) -> None:
    wide = picture("blue").resize((1400, 900))
    page, _ = report(
        entry(classifier, picture("red"), tmp_path / "small.png"),
        entry(classifier, wide, tmp_path / "wide.png"),
    )
    small, large = (
        Image.open(io.BytesIO(base64.b64decode(str(href).partition(",")[2])))
        for href in page.attributes("href")
    )
    assert small.format == large.format == "JPEG"
    assert small.size == picture("red").size
    assert large.size == (MAX_SIDE, round(MAX_SIDE * 900 / 1400))
    assert f"0 0 {wide.width} {wide.height}" in page.attributes("viewbox")
    red, _, blue = large.getpixel((300, 200))
    assert blue > red


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
    assert page.attributes("aria-label") == [f"{file}, labelled red {text}"]


def test_failures_are_shown_among_the_others(
    report: Any, classifier: Classifier, picture: Any, tmp_path: Path
) -> None:
    good = entry(classifier, picture("red"), tmp_path / "good.png")
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"not an image")
    (failed,) = classifier.predict([broken])
    page, _ = report(good, Entry(failed, broken), good)
    assert page.count("article") == 3
    assert page.count("image") == 2
    assert "broken.png" in page.text
    assert failed.error in page.text
    assert page.attributes("class").count("error") == 1


def test_no_photos(report: Any) -> None:
    page, _ = report(title="Empty")
    assert page.count("article") == 0
    assert page.text.startswith("Empty Empty")


def test_whole_image_methods(report: Any, encoder: Any, picture: Any, tmp_path: Path) -> None:
    classifier = Classifier(["red", "blue"], encoder=encoder, method="clip")
    page, html = report(entry(classifier, picture("red"), tmp_path / "x.png"))
    width, height = picture("red").size
    assert f'x="0" y="0" width="{width}" height="{height}" fill="none"' in html
    assert page.count("title") == 2


def test_scores_below_zero_have_no_bar(report: Any, encoder: Any, tmp_path: Path) -> None:
    classifier = Classifier({"a": ["blue"], "b": ["green"]}, encoder=encoder, method="cupl")
    made = entry(classifier, Image.new("RGB", (20, 20), "red"), tmp_path / "x.png")
    assert made.prediction.score < 0
    page, _ = report(made)
    widths = [style for style in page.attributes("style") if "width" in str(style)]
    assert set(widths) == {"width:0.0%"}


def test_bars_are_shares_of_the_longest(
    report: Any, classifier: Classifier, picture: Any, tmp_path: Path
) -> None:
    page, _ = report(entry(classifier, picture("red"), tmp_path / "x.png"))
    widths = [
        float(match[1])
        for style in page.attributes("style")
        if (match := re.fullmatch(r"width:([\d.]+)%", str(style)))
    ]
    assert len(widths) == CLASSES_SHOWN + DESCRIPTIONS_SHOWN
    assert max(widths) == 100.0
    assert all(0.0 <= width <= 100.0 for width in widths)


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


def test_a_photo_that_is_gone_leaves_the_old_page(
    classifier: Classifier, picture: Any, tmp_path: Path
) -> None:
    path = tmp_path / "report.html"
    write_report(path, [], title="one")
    made = entry(classifier, picture("red"), tmp_path / "x.png")
    (tmp_path / "x.png").unlink()
    with pytest.raises(ValueError, match="no such file"):
        write_report(path, [made], title="two")
    assert "<title>one</title>" in path.read_text(encoding="utf-8")
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_name_that_is_no_text(tmp_path: Path) -> None:
    name = os.fsdecode(b"bad\xff.png")
    path = tmp_path / name
    Image.new("RGB", (40, 30), "red").save(path, "PNG")
    prediction = Classifier(["red", "green"], crops=2)(path)
    report = tmp_path / "report.html"
    write_report(report, [Entry(prediction, path)], title="t")
    assert "bad\\udcff.png" in report.read_text(encoding="utf-8")
