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
from crossalign.figures import (
    bars_svg,
    card_svg,
    contrast_overlay,
    heat_overlay,
    matrix_svg,
    plots,
    regions_svg,
    thumbnail,
)
from crossalign.figures.colours import FIRST, REGION_COLOURS, SECOND, VIRIDIS, rgb, viridis
from crossalign.figures.summary import Bar, Chart, distinct_regions, summarise
from crossalign.figures.svg import clean

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
    image = next(root.iter(f"{SVG}image")).get("href").partition(",")[2]
    picture = pixels(Image.open(io.BytesIO(base64.b64decode(image))))
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
    assert len(list(root.iter(f"{SVG}image"))) == 3


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
    assert clean(f"red {name}") == clean(root.findtext(f"{SVG}text"))
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
    sizes = [abs(bar.value) for bar in found.decisive.bars]
    assert sizes == sorted(sizes, reverse=True)
    assert all((bar.side == "first") == (bar.value >= 0) for bar in found.decisive.bars)
    explanation = prediction.explain(first)
    for bar in found.meeting.bars:
        if bar.side == "first":
            column = explanation.descriptions.index(bar.text)
            mean = explanation.crop_weights @ explanation.similarity[:, column]
            assert bar.value == pytest.approx(mean)
            assert bar.whole == pytest.approx(explanation.whole_similarity[column])


def test_a_summary_of_a_class_that_lost(prediction: Prediction) -> None:
    found = summarise(prediction, "blue")
    assert found.headline.startswith(f"trails {prediction.label} by ")
    assert "±" not in found.headline, "the spread is known for the decision alone"
    assert f"{prediction.label} is the best class" in found.certainty
    same = summarise(prediction, "blue", "blue")
    assert same.rival == prediction.label
    with pytest.raises(DescriptionError):
        summarise(prediction, "purple")
    with pytest.raises(DescriptionError):
        summarise(prediction, None, "purple")


# ------------------------------------------------------------------------------------ matplotlib


@pytest.mark.parametrize("style", ["default", "dark_background"])
def test_plots(prediction: Prediction, mixed: Image.Image, tmp_path: Path, style: str) -> None:
    import matplotlib.style

    with matplotlib.style.context(style):
        explanation, found = prediction.explain(), summarise(prediction)
        axes = plots.plot_regions(mixed, explanation)
        frames = [patch.get_bbox().extents.tolist() for patch in axes.patches]
        assert frames == [list(region.box) for region in distinct_regions(explanation)]
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
