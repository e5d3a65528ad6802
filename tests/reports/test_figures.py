"""Pictures: what they show, and that no name in them is ever obeyed."""

from __future__ import annotations

import base64
import dataclasses
import importlib.util
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from crossalign import (
    METHODS,
    Classifier,
    DescriptionError,
    MissingExtraError,
    Prediction,
    explain,
)
from crossalign.reports import (
    bars_svg,
    card_svg,
    contrast_overlay,
    heat_overlay,
    matrix_svg,
    regions_svg,
    thumbnail,
)
from crossalign.reports import figures as plots
from crossalign.reports.colours import FIRST, REGION_COLOURS, SECOND, VIRIDIS, rgb, viridis
from crossalign.reports.html import clean
from crossalign.reports.labels import printable, text_width, wrapped
from crossalign.reports.maps import KEY_SIZE, maps
from crossalign.reports.overlays import contrast_key, heat_key, heat_picture
from crossalign.reports.summary import Bar, Chart, distinct_regions, shown_regions, summarise

SVG = "{http://www.w3.org/2000/svg}"
ELEMENTS = {"svg", "title", "style", "rect", "image", "text", "g", "line"}
CLASSES = {
    "red": ["something red", "a red thing", "round and red"],
    "green": ["something green", "green leaves"],
    "blue": ["something blue"],
}
NASTY = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onload='alert(1)",
    "</text></svg><script>alert(1)</script>",
    "]]><!-- & &amp; &lt;",
    "\x00\x08\x1b[31m\ud800\ufffe",
    "$\\frac{1}{0}$ $ \\",
    "javascript:alert(1) url(x) @import",
]


@pytest.fixture(scope="module")
def mixed() -> Image.Image:
    """Red on the left, green on the right."""
    image = Image.new("RGB", (90, 60), (200, 30, 20))
    image.paste((20, 180, 40), (45, 0, 90, 60))
    return image


@pytest.fixture(scope="module")
def prediction(make_encoder: Any, mixed: Image.Image) -> Prediction:
    return Classifier(CLASSES, encoder=make_encoder(), crops=20)(mixed)


def parsed(svg: str) -> ET.Element:
    """A drawing taken apart: well-formed, and nothing in it runs or fetches."""
    root = ET.fromstring(svg)
    for element in root.iter():
        assert element.tag.removeprefix(SVG) in ELEMENTS
        for name, value in element.attrib.items():
            assert not name.startswith("on")
            assert "script" not in value or name == "aria-label"
            if name == "href":
                assert re.match(r"data:image/(jpeg|png);base64,", value)
        if element.tag == f"{SVG}style":
            assert "url(" not in element.text
            assert "@import" not in element.text
    return root


def assert_png(path: Path) -> None:
    with Image.open(path) as image:
        assert image.format == "PNG"
        image.load()


def words(root: ET.Element) -> str:
    return " ".join(element.text or "" for element in root.iter(f"{SVG}text"))


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image, dtype=np.int64)


# --------------------------------------------------------------------------------------- colours


def test_viridis_is_matplotlibs() -> None:
    from matplotlib import colormaps

    places = np.linspace(0, 1, 256)
    theirs = np.array(colormaps["viridis"](places))[:, :3] * 255
    np.testing.assert_allclose(viridis(places), theirs, atol=6)
    assert [viridis(np.array(n / 16)).tolist() for n in range(17)] == [
        list(rgb(colour)) for colour in VIRIDIS
    ]
    assert (viridis(np.array([-1.0, 2.0])) == viridis(np.array([0.0, 1.0]))).all()


def lightness(colour: tuple[int, int, int] | np.ndarray) -> float:
    return float(np.dot((np.array(colour) / 255.0) ** 2.2, (0.2126, 0.7152, 0.0722)))


def test_colours_can_be_told_apart_and_read() -> None:
    steps = [lightness(rgb(colour)) for colour in VIRIDIS]
    assert steps == sorted(steps), "reads in grey as well"
    black_on = [(lightness(rgb(colour)) + 0.05) / 0.05 for colour in REGION_COLOURS]
    assert min(black_on) > 4.5, "WCAG's contrast for the numbers on the keys"
    for colour in REGION_COLOURS:  # nor is any near a class's
        for side in (FIRST, SECOND):
            assert max(abs(a - b) for a, b in zip(rgb(colour), rgb(side), strict=True)) > 80
    # As one sees them who has no red, and no green, receptors (Viénot et al. 1999): still apart.
    for mix in ([[0.11, 0.89, 0], [0.11, 0.89, 0], [0, 0, 1]], [[0.29, 0.71, 0]] * 2 + [[0, 0, 1]]):
        first, second = (
            np.array(mix) @ (np.array(rgb(side)) / 255.0) ** 2.2 for side in (FIRST, SECOND)
        )
        assert np.linalg.norm(first - second) > 0.2


# -------------------------------------------------------------------------------------- pictures


def test_thumbnails_are_copies(mixed: Image.Image) -> None:
    small = thumbnail(mixed, 30)
    assert small.size == (30, 20)
    assert mixed.size == (90, 60)
    assert thumbnail(mixed, 400).size == (90, 60)


def test_heat_overlays(prediction: Prediction, mixed: Image.Image) -> None:
    red = prediction.explain("red")
    overlay = heat_overlay(mixed, red)
    assert overlay.size == mixed.size
    heat = explain.heat_map(red)
    brightest, darkest = (
        np.unravel_index(index, heat.shape)
        for index in (heat.argmax(), np.where(heat > 0, heat, np.inf).argmin())
    )
    # The same grey lies below both, so the colours are the map's.
    assert yellowness(overlay, brightest) > yellowness(overlay, darkest)
    nowhere = pixels(overlay)[heat == 0]
    assert (np.ptp(nowhere, axis=1) == 0).all(), "grey where no crop looked"
    assert heat_overlay(thumbnail(mixed, 31), red, description=1).size == (31, 21)
    with pytest.raises(DescriptionError):
        heat_overlay(mixed, red, description="no such")


def yellowness(image: Image.Image, place: Any) -> int:
    red, green, blue = pixels(image)[place]
    return int(red + green - 2 * blue)


def test_even_evidence_is_shown_as_even(make_encoder: Any) -> None:
    image = Image.new("RGB", (40, 30), "red")
    whole = Classifier(CLASSES, encoder=make_encoder(), method="cupl")(image)
    shown = pixels(heat_overlay(image, whole.explain()))
    assert (shown == shown[0, 0]).all()
    same = explain.contrast(whole.explain("red"), whole.explain("red"))
    assert (np.ptp(pixels(contrast_overlay(image, same)), axis=2) == 0).all()


def test_contrast_overlays(make_encoder: Any, mixed: Image.Image) -> None:
    method = dataclasses.replace(METHODS["wca"], crop_scale=0.0)
    made = Classifier(CLASSES, encoder=make_encoder(), method=method, crops=20)(mixed)
    shown = pixels(contrast_overlay(mixed, explain.why(made, "red", "green")))
    left, right = shown[:, 10:30].mean(axis=(0, 1)), shown[:, 60:80].mean(axis=(0, 1))
    assert left[2] > left[0], "blue for the first"
    assert right[0] > right[2], "vermilion for the second"


# ------------------------------------------------------------------------------------------- SVG


def test_regions_as_svg(prediction: Prediction, mixed: Image.Image) -> None:
    regions = distinct_regions(prediction.explain())
    svg = regions_svg(mixed, mixed.size, [(r.box, r.text) for r in regions], "a photo")
    root = parsed(svg)
    assert root.get("aria-label") == "a photo"
    assert words(root).split() == [str(n + 1) for n in reversed(range(len(regions)))]
    titles = {element.text for element in root.iter(f"{SVG}title")}
    assert titles == {region.text for region in regions}
    image = next(root.iter(f"{SVG}image")).get("href").partition(",")[2]
    assert Image.open(io.BytesIO(base64.b64decode(image))).size == mixed.size


def test_regions_shown_add_something_and_differ(prediction: Prediction) -> None:
    for label in prediction.classes:
        regions = distinct_regions(prediction.explain(label))
        assert 1 <= len(regions) <= 4
        assert regions[0] == explain.top_regions(prediction.explain(label), 1)[0]
        if regions[0].adds > 0:
            assert all(region.adds >= 0.05 * regions[0].adds for region in regions)


@given(
    st.lists(
        st.tuples(st.text(max_size=40), st.floats(-1, 1), st.none() | st.floats(-1, 1)), max_size=8
    ),
    st.text(max_size=60),
)
@settings(deadline=None)
def test_bars_as_svg(rows: list[Any], title: str) -> None:
    bars = tuple(Bar(text, value, "first", whole) for text, value, whole in rows)
    root = parsed(bars_svg(Chart(title, "a note", bars), width=400))
    drawn = [element for element in root.iter(f"{SVG}rect") if "first" in element.get("class", "")]
    assert len(drawn) == sum(1 + (bar.whole is not None) for bar in bars)
    for element in drawn:
        start, length = float(element.get("x")), float(element.get("width"))
        assert start >= 0
        assert start + length <= 400 - 60
        assert float(element.get("y")) < float(root.get("height"))


def test_matrix_as_svg(prediction: Prediction) -> None:
    explanation = prediction.explain("red")
    root = parsed(matrix_svg(explanation))
    drawn = [element.get("href").partition(",")[2] for element in root.iter(f"{SVG}image")]
    key, picture = (pixels(Image.open(io.BytesIO(base64.b64decode(each)))) for each in drawn)
    assert key.shape == (*KEY_SIZE[::-1], 3)
    assert picture.shape == (3, 20, 3)
    order = np.argsort(-explanation.crop_weights, kind="stable")
    best = np.unravel_index(explanation.similarity[order].T.argmax(), (3, 20))
    assert tuple(picture[best]) == rgb(VIRIDIS[-1])
    for text in explanation.descriptions:
        assert text in words(root)


def test_the_card_says_it_all(prediction: Prediction, mixed: Image.Image) -> None:
    found = summarise(prediction)
    root = parsed(card_svg(mixed, found))
    said = words(root)
    assert found.headline in said
    assert found.certainty in said
    for chart in (found.classes, found.decisive, found.meeting):
        assert chart.title in said
        for bar in chart.bars:
            assert f"{bar.value:.3f}" in said
    assert len(list(root.iter(f"{SVG}image"))) == 3 + 2, "three pictures, two keys"
    for shown in maps(mixed, found):
        assert shown.title in said
        assert shown.note in said
        assert f"{shown.low} " in said
        assert shown.high in said
    for region in found.regions:
        assert region.note in said


@pytest.mark.parametrize("method", ["cupl", "wca"])
@pytest.mark.parametrize("classes", [["red"], ["red", "green"]])
def test_cards_of_little(
    make_encoder: Any, mixed: Image.Image, tmp_path: Path, method: str, classes: list[str]
) -> None:
    """One class, no crops, a very narrow photo."""
    narrow = mixed.resize((3, 200))
    made = Classifier(classes, encoder=make_encoder(), method=method)(narrow)
    found = summarise(made)
    parsed(card_svg(narrow, found))
    plots.save_card(tmp_path / "x", narrow, found, dpi=20)
    assert_png(tmp_path / "x")
    assert (found.contrast is None) == (len(classes) == 1)
    assert (found.stability is None) == (method == "cupl" or len(classes) == 1)


@pytest.mark.parametrize("text", NASTY)
def test_no_name_is_obeyed(
    make_encoder: Any, mixed: Image.Image, tmp_path: Path, text: str
) -> None:
    # Class names with control characters are refused at the door; file names may hold anything.
    name = text.replace("\x00\x08\x1b", "").replace("\ud800", "")
    classes = {f"red {name}": [f"red: {name}"], f"green {name}": [f"green: {name}"]}
    made = Classifier(classes, encoder=make_encoder(), crops=4)(mixed)
    object.__setattr__(made, "image", f"dir/{text.replace('/', '_')}.png")
    found = summarise(made)
    root = parsed(card_svg(mixed, found))
    said = [element.text or "" for element in root.iter(f"{SVG}text")]
    assert "".join(printable(f"red {name}").split()) in "".join("".join(said).split())
    parsed(matrix_svg(found.explanation))
    plots.save_card(tmp_path / "x.png", mixed, found, dpi=20)
    assert_png(tmp_path / "x.png")


@given(st.text())
def test_cleaned_text_survives_xml(text: str) -> None:
    read = ET.fromstring(f'<a b="{clean(text)}">{clean(text)}</a>')
    shown = read.text or ""
    assert shown.isprintable() or not text.isprintable()
    if text.isprintable():
        assert shown == read.get("b", "") == text


# ------------------------------------------------------------------------------------- summaries


def test_what_a_summary_says(prediction: Prediction) -> None:
    found = summarise(prediction, classes=2, descriptions=2)
    (first, _), (second, _) = prediction.ranked(2)
    assert [bar.text for bar in found.classes.bars] == [first, second]
    assert [bar.side for bar in found.classes.bars] == ["first", "second"]
    assert found.rival == second
    sure = explain.stability(prediction)
    assert found.headline == (
        f"leads {second} by {sure.margin:.3f} ± {sure.standard_error:.3f} (spread over crops)."
    )
    assert f"{first} is the best class in" in found.certainty
    for _, bars in found.decisive.groups:
        sizes = [abs(bar.value) for bar in bars]
        assert sizes == sorted(sizes, reverse=True)
    assert all((bar.side == "first") == (bar.value >= 0) for bar in found.decisive.bars)
    explanation = prediction.explain(first)
    for bar in found.meeting.bars:
        if bar.side == "first":
            column = explanation.descriptions.index(bar.text)
            mean = explanation.crop_weights @ explanation.similarity[:, column]
            assert bar.value == pytest.approx(mean)
            assert bar.whole == pytest.approx(explanation.whole_similarity[column])


def test_one_sentence_says_why(make_encoder: Any, mixed: Image.Image) -> None:
    classes = {"cat": ["The tail of a cat.", "fur"], "rabbit": ["Long ears.", "fluff"]}
    found = summarise(Classifier(classes, encoder=make_encoder(), crops=20)(mixed), "cat")
    tail = explain.PlacedWords("cat", 0, "The tail of a cat.", 0.1, 0.01, 3, (0, 0, 9, 9))
    place = explain.Place(3, (0, 0, 9, 9), "cat", 0.2, (tail,))
    seen = dataclasses.replace(found, regions=(place,))
    assert seen.reason.startswith("cat: the tail.")
    bare = dataclasses.replace(found, regions=(dataclasses.replace(place, words=()),))
    assert bare.reason.startswith("cat: the photo answers it as a whole, no description by itself.")
    scored = dataclasses.replace(found.explanation, _local=None)
    assert dataclasses.replace(found, explanation=scored).reason == ""


def test_a_summary_of_a_class_that_lost(prediction: Prediction) -> None:
    found = summarise(prediction, "blue")
    assert found.headline.startswith(f"trails {prediction.label} by ")
    assert "±" not in found.headline, "the spread is known for the decision alone"
    assert f"{prediction.label} is the best class" in found.certainty
    asked = summarise(prediction, None, prediction.label)
    assert asked.rival == prediction.ranked(2)[1][0], "none is compared with itself"
    with pytest.raises(DescriptionError, match="another class"):
        summarise(prediction, "blue", "blue")
    with pytest.raises(DescriptionError):
        summarise(prediction, "purple")
    with pytest.raises(DescriptionError):
        summarise(prediction, None, "purple")


def test_each_word_stands_under_what_it_says(prediction: Prediction) -> None:
    """Who says it, and whether it is answered, so that no colour is a riddle."""
    contrast = explain.why(prediction)
    first, second = contrast.first, contrast.second
    found = summarise(prediction)
    adds = dict(zip(first.descriptions + second.descriptions, contrast.by_description, strict=True))
    seen = []
    for group, bars in found.decisive.groups:
        assert group not in seen, "a group is one piece"
        seen.append(group)
        speaker = first if group.startswith(f"What {first.label} says") else second
        better = group.endswith("better")
        assert group == f"What {speaker.label} says, answered {'better' if better else 'worse'}"
        for bar in bars:
            assert bar.text in speaker.descriptions
            assert bar.value == adds[bar.text]
            assert (bar.value >= 0) == ((speaker is first) == better)
    assert len(seen) >= 2
    for group, bars in found.meeting.groups:
        texts = {first.label: first, second.label: second}[group].descriptions
        assert all(bar.text in texts for bar in bars)
    said = " ".join(words(parsed(bars_svg(found.decisive))).split())
    assert all(group in said for group in seen)


# ---------------------------------------------------------------------------- nothing is cut off

LONG = [
    "a very long class name that goes on and on for sixty-five letters",
    "WIDE WORDS IN CAPITALS MMMM WWWW THAT TAKE MORE ROOM THAN USUAL %",
    "anunbrokennameofsixtyfivelettersthatnowhitespaceanywheremakeshort",
]


def unusual(make_encoder: Any, image: Image.Image) -> dict[str, Any]:
    """Summaries that are hard to draw: long names, values below zero, one class, no crops."""
    names = {name: [f"{name} {n}" for n in range(3)] for name in LONG}
    negative = Classifier(
        {"a": ["blue", "something blue"], "b": ["green"], "c": ["dark blue", "sea"]},
        encoder=make_encoder(),
        method="wca",
        crops=8,
    )(Image.new("RGB", (40, 30), "red"))
    tall = image.resize((20, 200))
    made = {
        "long": Classifier(names, encoder=make_encoder(), crops=60)(image),
        "below zero": negative,
        "one class": Classifier(["red"], encoder=make_encoder(), crops=9)(image),
        "no crops": Classifier(["red", "green"], encoder=make_encoder(), method="clip")(image),
        "lgca": Classifier(CLASSES, encoder=make_encoder(), method="lgca", crops=30)(image),
        "tall": Classifier(names, encoder=make_encoder(), crops=9)(tall),
    }
    object.__setattr__(made["long"], "image", f"{LONG[2]} {LONG[0]}.png")
    pictures = {"below zero": Image.new("RGB", (40, 30), "red"), "tall": tall}
    return {name: (pictures.get(name, image), summarise(one)) for name, one in made.items()}


UNUSUAL = ["long", "below zero", "one class", "no crops", "lgca", "tall"]


@pytest.fixture(scope="module")
def hard(make_encoder: Any, mixed: Image.Image) -> dict[str, Any]:
    found = unusual(make_encoder, mixed)
    assert list(found) == UNUSUAL
    assert found["below zero"][1].classes.reach[0] < 0
    return found


Rectangle = tuple[float, float, float, float]


def assert_apart(texts: list[tuple[str, Rectangle]], others: list[Rectangle]) -> None:
    """No text lies upon another, or upon a picture or a bar."""
    for place, (text, one) in enumerate(texts):
        for other, box in [*texts[place + 1 :], *(("a shape", shape) for shape in others)]:
            across = min(one[2], box[2]) - max(one[0], box[0])
            down = min(one[3], box[3]) - max(one[1], box[1])
            assert across <= 1.0 or down <= 1.0, f"{text!r} lies upon {other!r}"


def texts_and_shapes(root: ET.Element) -> tuple[list[tuple[str, Rectangle]], list[Rectangle]]:
    """Where the texts, pictures, bars and lines of a drawing are, measured in a wide font."""
    from matplotlib.font_manager import FontProperties, findfont
    from PIL import ImageFont

    fonts = {
        kind: ImageFont.truetype(
            findfont(FontProperties(family="DejaVu Sans", weight=weight)), size
        )
        for kind, (size, weight) in {
            "": (15, "normal"),
            "quiet": (13, "normal"),
            "head": (14, "bold"),
            "title": (24, "bold"),
        }.items()
    }
    texts: list[tuple[str, Rectangle]] = []
    shapes: list[Rectangle] = []

    def walk(element: ET.Element, x: float, y: float) -> None:
        moved = re.fullmatch(r"translate\((\S+) (\S+)\)", element.get("transform", ""))
        if moved:
            x, y = x + float(moved[1]), y + float(moved[2])
        left, top = x + float(element.get("x", 0)), y + float(element.get("y", 0))
        kinds = element.get("class", "").split()
        if element.tag == f"{SVG}text" and "key" not in kinds:
            font = fonts[next((kind for kind in kinds if kind in fonts), "")]
            width = font.getlength(element.text or "")
            start = left - width if "number" in kinds else left
            texts.append((element.text or "", (start, top - font.size * 0.75, start + width, top)))
        elif element.tag == f"{SVG}line":
            ends = [float(element.get(name, 0)) for name in ("x1", "y1", "x2", "y2")]
            shapes.append((x + ends[0] - 1, y + ends[1], x + ends[2] + 1, y + ends[3]))
        elif element.tag in (f"{SVG}rect", f"{SVG}image") and kinds != ["paper"]:
            size = float(element.get("width", 0)), float(element.get("height", 0))
            shapes.append((left, top, left + size[0], top + size[1]))
        elif element.tag == f"{SVG}svg" and element is not root:
            size = float(element.get("width", 0)), float(element.get("height", 0))
            shapes.append((left, top, left + size[0], top + size[1]))
            return
        for child in element:
            walk(child, x, y)

    walk(root, 0.0, 0.0)
    return texts, shapes


@pytest.mark.parametrize("name", UNUSUAL)
def test_svg_cards_hold_their_texts(hard: dict[str, Any], name: str) -> None:
    image, found = hard[name]
    for svg in (card_svg(image, found), matrix_svg(found.explanation), bars_svg(found.decisive)):
        root = parsed(svg)
        width, height = float(root.get("width", 0)), float(root.get("height", 0))
        texts, shapes = texts_and_shapes(root)
        for text, (left, top, right, bottom) in texts:
            assert left >= 0 <= top, text
            assert right <= width, f"{text!r} ends at {right:.0f} of {width:.0f}"
            assert bottom <= height, text
        assert all(right <= width + 0.5 for _, _, right, _ in shapes)
        assert_apart(texts, shapes)
        if svg.startswith("<svg") and found.classes.title in words(root):
            # The whole name is said; only descriptions may be cut.
            assert found.explanation.label.replace(" ", "") in words(root).replace(" ", "")


@pytest.mark.parametrize("name", UNUSUAL)
def test_png_cards_hold_their_texts(hard: dict[str, Any], name: str) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.offsetbox import AnnotationBbox
    from matplotlib.text import Text

    image, found = hard[name]
    figure = plots.card(image, found)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    width, height = canvas.get_width_height()
    shown = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    keys = [text for axes in figure.axes for text in axes.texts if text.get_text() in "1234"]
    ticks = {
        text for axes in figure.axes for text in axes.get_xticklabels() + axes.get_yticklabels()
    }
    boxes = {
        text: text.get_window_extent(renderer).extents
        for text in shown
        if text not in keys and text not in ticks
    }
    for text, (left, low, right, high) in boxes.items():
        assert left >= 0 <= low, text
        assert right <= width, f"{text.get_text()!r} ends at {right:.0f} of {width}"
        assert high <= height, text
    bars = [
        patch.get_window_extent(renderer).extents
        for axes in figure.axes
        for patch in axes.patches
        if not axes.images
    ]
    pictures = [
        picture.get_window_extent(renderer).extents
        for axes in figure.axes
        for picture in axes.images
    ]
    # Ascenders and descenders may come a little closer than whole lines do.
    texts = [
        (text.get_text(), (left, low + 3, right, high - 2))
        for text, (left, low, right, high) in boxes.items()
    ]
    assert_apart(texts, [*map(tuple, bars), *map(tuple, pictures)])
    assert len(figure.findobj(AnnotationBbox)) == len(maps(image, found)), "a key for each map"


@given(st.text(max_size=200), st.floats(3, 60), st.integers(1, 4), st.booleans())
def test_wrapped_lines_fit(text: str, width: float, lines: int, bold: bool) -> None:
    rows = wrapped(text, width, lines, bold=bold)
    assert 1 <= len(rows) <= lines
    for row in rows:
        assert text_width(row, bold=bold) <= width + 1e-9
    if not rows[-1].endswith("\u2026"):
        assert "".join("".join(rows).split()) == "".join(printable(text).split())


LATIN = st.characters(max_codepoint=0xFF, categories=("L", "N", "P", "Zs"))


@given(st.text(LATIN, max_size=60), st.booleans())
@settings(deadline=None)
def test_no_text_is_wider_than_estimated(text: str, bold: bool) -> None:
    from matplotlib.font_manager import FontProperties, findfont
    from PIL import ImageFont

    weight = "bold" if bold else "normal"
    font = ImageFont.truetype(findfont(FontProperties(family="DejaVu Sans", weight=weight)), 100)
    assert font.getlength(text) / 100 <= text_width(text, bold=bold) * 1.05


# ------------------------------------------------------------------------ colours and their keys


def test_nearly_even_evidence_is_not_stretched(prediction: Prediction, mixed: Image.Image) -> None:
    """Terms that differ by a hundredth of their mean give a map of nearly one colour."""
    made = prediction.explain("red")
    rng = np.random.default_rng(0)
    terms = 0.01 + rng.uniform(0, 1e-4, made.terms.shape)
    found = heat_picture(mixed, dataclasses.replace(made, terms=terms, _local=None))
    assert found.high - found.low == pytest.approx(1.0, abs=1e-6)
    assert found.low < 1.0 < found.high
    grey = pixels(mixed.convert("L").convert("RGB"))
    seen = np.ptp(pixels(found.picture), axis=2) > 0
    tints = (pixels(found.picture) - 0.38 * grey)[seen]
    assert np.ptp(tints, axis=0).max() < 12, "of 255"


def test_a_small_difference_is_pale(make_encoder: Any, mixed: Image.Image) -> None:
    method = dataclasses.replace(METHODS["wca"], crop_scale=0.0)
    made = Classifier(CLASSES, encoder=make_encoder(), method=method, crops=20)(mixed)
    one = made.explain("red")
    nearly = dataclasses.replace(one, label="nearly red", terms=one.terms * 0.999)
    strong = colourfulness(contrast_overlay(mixed, explain.why(made, "red", "green")))
    assert colourfulness(contrast_overlay(mixed, explain.contrast(one, nearly))) < 0.1 * strong


def colourfulness(image: Image.Image) -> float:
    return float(np.ptp(pixels(image), axis=2).max())


def test_edges_of_crops_make_no_slivers(prediction: Prediction) -> None:
    """A strip two pixels wide, where crops end, does not shine out of the map."""
    image = Image.new("RGB", (600, 400), "grey")
    boxes = np.array([[0, 0, 302, 400], [300, 0, 600, 400], [0, 0, 300, 400], [302, 0, 600, 400]])
    amounts = np.array([4.0, 4.0, 1.0, 1.0])
    made = prediction.explain("blue")
    one = dataclasses.replace(
        made,
        size=image.size,
        boxes=boxes,
        crop_weights=np.full(4, 0.25, np.float32),
        similarity=np.ones((4, 1), np.float32),
        terms=amounts[:, None],
        _local=None,
    )
    exact = explain.heat_map(one)[200]
    assert exact[301] > 1.2 * exact[250], "the map itself keeps the strip"
    found = heat_picture(image, one)
    shown = pixels(found.picture)[200]
    assert np.abs(shown[301] - shown[250]).max() < 60, "of the 200 that it would be if sharp"


def test_keys_show_the_colours_of_the_maps() -> None:
    heat, contrast = heat_key(*KEY_SIZE), contrast_key(*KEY_SIZE)
    assert heat.size == contrast.size == KEY_SIZE
    assert heat.getpixel((0, 0)) == rgb(VIRIDIS[0])
    assert heat.getpixel((KEY_SIZE[0] - 1, 0)) == rgb(VIRIDIS[-1])
    second, middle, first = (
        contrast.getpixel((x, 0)) for x in (0, KEY_SIZE[0] // 2, KEY_SIZE[0] - 1)
    )
    assert second[0] > second[2]
    assert np.ptp(middle) < 10
    assert first[2] > first[0]


# ------------------------------------------------------------------------------------ matplotlib


@pytest.mark.parametrize("style", ["default", "dark_background"])
def test_plots(prediction: Prediction, mixed: Image.Image, tmp_path: Path, style: str) -> None:
    import matplotlib.style

    with matplotlib.style.context(style):
        explanation, found = prediction.explain(), summarise(prediction)
        axes = plots.plot_regions(mixed, explanation)
        frames = [patch.get_bbox().extents.tolist() for patch in axes.patches]
        assert frames == [list(region.box) for region in shown_regions(explanation)]
        heat = plots.plot_heat_map(mixed, explanation, description=0)
        assert explanation.label in heat.get_title(loc="left")
        assert "Blue speaks for" in plots.plot_heat_map(mixed, found.contrast).get_title(loc="left")
        bars = plots.plot_bars(found.meeting)
        lengths = [patch.get_width() for patch in bars.patches]
        assert lengths == [v for bar in found.meeting.bars for v in (bar.value, bar.whole)]
        matrix = plots.plot_matrix(explanation)
        order = np.argsort(-explanation.crop_weights, kind="stable")
        np.testing.assert_array_equal(matrix.images[0].get_array(), explanation.similarity[order].T)
        for drawn in (axes, heat, bars, matrix):
            drawn.figure.savefig(tmp_path / "x.svg")
            ET.parse(tmp_path / "x.svg")


def test_plots_draw_where_they_are_told(prediction: Prediction, mixed: Image.Image) -> None:
    from matplotlib.figure import Figure

    axes = Figure().subplots()
    regions = explain.top_regions(prediction.explain(), 2)
    assert plots.plot_regions(mixed, prediction.explain(), regions=regions, axes=axes) is axes
    assert len(axes.patches) == 2


def test_without_matplotlib(
    prediction: Prediction, mixed: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    really: Callable[..., Any] = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "matplotlib" else really(name)
    )
    for draw in (
        lambda: plots.plot_regions(mixed, prediction.explain()),
        lambda: plots.plot_matrix(prediction.explain()),
        lambda: plots.card(mixed, summarise(prediction)),
    ):
        with pytest.raises(MissingExtraError, match=r"crossalign\[plots\]"):
            draw()
    parsed(card_svg(mixed, summarise(prediction)))
