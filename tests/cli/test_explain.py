"""``crossalign explain``: what it writes, and with which exit code."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree as ET

import pytest
from PIL import Image

from crossalign import Classifier, cli
from crossalign.cli.explain import _looks
from crossalign.encoders import registry

COLOURS = ["-c", "red", "-c", "green", "-c", "blue", "--no-bank"]


class Result(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def explain(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    make_encoder: Any,
    picture: Any,
    tmp_path: Path,
) -> Callable[..., Result]:
    """Run the command in a folder with three good pictures and a bad one, with the fake model."""
    fake = registry.Scheme(usage="fake", loader=lambda rest: make_encoder())
    monkeypatch.setitem(registry._SCHEMES, "fake", fake)
    monkeypatch.setattr(sys, "argv", ["crossalign"])
    monkeypatch.chdir(tmp_path)
    for number, colour in enumerate(("red", "green", "blue")):
        picture(colour, number).save(f"{colour}.png")
    Path("broken.png").write_bytes(b"<html>not found</html>")

    def run(*arguments: object) -> Result:
        words = ["explain", "--model", "fake", "--crops", "5", *map(str, arguments)]
        with pytest.raises(SystemExit) as caught:
            cli.main(words)
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return Result(caught.value.code or 0, out, err)

    return run


def test_a_page_of_several(explain: Callable[..., Result]) -> None:
    code, out, err = explain("red.png", "green.png", "blue.png", *COLOURS, "--out", "new/x.html")
    assert (code, err) == (0, "")
    assert out == "3 of 3 images explained: new/x.html\n"
    page = Path("new/x.html").read_text(encoding="utf-8")
    assert page.count("<article ") == page.count("<details>") == 3, "folded, to be looked over"
    assert page.count('href="#photo-') == 3
    for colour in ("red", "green", "blue"):
        assert f"<h2>{colour}</h2>" in page
    assert "3 classes with 21 descriptions. Method wca, 5 random crops a photo" in page
    assert [path.name for path in Path("new").iterdir()] == ["x.html"]


def test_the_class_and_its_rival_can_be_named(explain: Callable[..., Result]) -> None:
    code, *_ = explain(
        "red.png", *COLOURS, "--out", "x.html", "--label", "blue", "--against", "green"
    )
    assert code == 0
    assert "decided between blue and green" in Path("x.html").read_text(encoding="utf-8")


def test_a_rival_that_wins_itself(explain: Callable[..., Result]) -> None:
    code, _, err = explain("red.png", "blue.png", *COLOURS, "--out", "x.html", "--against", "blue")
    assert code == 0
    assert err == "blue.png is blue, so it is compared with the next best class\n"
    page = Path("x.html").read_text(encoding="utf-8")
    assert "decided between red and blue" in page
    assert "between blue and blue" not in page


def test_one_photo_is_shown_in_full(explain: Callable[..., Result]) -> None:
    assert explain("red.png", *COLOURS, "--out", "x.html").code == 0
    assert Path("x.html").read_text(encoding="utf-8").count("<details open>") == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--crops", "5"], "Method wca, 5 random crops a photo, encoder"),
        (["--crops", "1"], "Method wca, 1 random crop a photo, encoder"),
        (["--crops", "auto"], "Method wca, up to 60 random crops a photo, 4 taken, encoder"),
        (["--kind", "grid"], "Method wca, 5 grid crops a photo, encoder"),
        (["--method", "cupl"], "Method cupl, the whole image, encoder"),
    ],
)
def test_the_page_says_how_many_crops_were_taken(
    explain: Callable[..., Result], options: list[str], said: str
) -> None:
    photos = ["red.png", "green.png", "broken.png", "blue.png"]
    assert explain(*photos, *COLOURS, "--out", "x.html", *options).code == 1
    assert said in " ".join(Path("x.html").read_text(encoding="utf-8").split())


@pytest.mark.parametrize(
    ("crops", "taken", "said"),
    [
        (60, [60, 60], "60 random crops a photo"),
        (60, [60, 41, 60], "up to 60 random crops a photo, 41 to 60 taken"),
        ("auto", [9, 4, 60], "up to 60 random crops a photo, 4 to 60 taken"),
        ("auto", [60], "60 random crops a photo"),
    ],
)
def test_how_many_crops_of_many_photos(
    make_encoder: Any, crops: Any, taken: list[int], said: str
) -> None:
    assert _looks(Classifier(["red"], encoder=make_encoder(), crops=crops), taken) == said


def test_no_crops_were_taken_of_what_cannot_be_read(explain: Callable[..., Result]) -> None:
    assert explain("broken.png", *COLOURS, "--out", "x.html").code == 1
    page = Path("x.html").read_text(encoding="utf-8")
    assert "up to 5 random crops a photo, 0 taken" in page


def test_pictures(explain: Callable[..., Result]) -> None:
    assert explain("red.png", *COLOURS, "--out", "x.svg") == (
        0,
        "1 of 1 images explained: x.svg\n",
        "",
    )
    assert ET.parse("x.svg").getroot().tag.endswith("svg")
    assert explain("red.png", *COLOURS, "--out", "x.PNG").code == 0
    with Image.open("x.PNG") as image:
        assert image.width == 1300


def test_bad_images_are_recorded_and_the_rest_goes_on(explain: Callable[..., Result]) -> None:
    code, out, err = explain("broken.png", "red.png", "gone.png", *COLOURS, "--out", "x.html")
    assert code == 1
    assert out == "1 of 3 images explained: x.html\n"
    assert "error: broken.png: " in err
    assert "error: gone.png: " in err
    assert err.endswith("2 of 3 images failed\n")
    page = Path("x.html").read_text(encoding="utf-8")
    assert page.count("<article ") == 3
    assert page.count('<p class="error">') == 2


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_no_picture_of_a_bad_image(explain: Callable[..., Result], kind: str) -> None:
    Path(f"x.{kind}").write_text("the old one")
    code, out, err = explain("broken.png", *COLOURS, "--out", f"x.{kind}")
    assert (code, out) == (1, "")
    assert "error: broken.png: " in err
    assert Path(f"x.{kind}").read_text() == "the old one"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["red.png", "--out", "x.jpg", *COLOURS], "ending in .html, .svg, .png"),
        (["red.png", "--out", "x", *COLOURS], "ending in .html, .svg, .png"),
        (["red.png", "blue.png", "--out", "x.svg", *COLOURS], "can show one image; got 2"),
        (["red.png", "--out", "x.html"], "no classes"),
        (["red.png", "--out", "x.html", *COLOURS, "--against", "pink"], "'pink' is not one of"),
        (["red.png", "--out", "x.html", *COLOURS, "--label", "pink"], "'pink' is not one of"),
        (["red.png", "--out", "x.html", *COLOURS, "--label", "Red"], "Did you mean 'red'?"),
        (["red.png", "--out", "x.html", *COLOURS, "--against", "gren"], "'red', 'green', 'blue'"),
        (
            ["red.png", "--out", "x.html", *COLOURS, "--label", "red", "--against", "red"],
            "expected two different classes",
        ),
        (["red.png", "--out", "x.html", "-c", "red", "--against", "red"], "no other class"),
        (["red.png", "--out", "red.png/x.html", *COLOURS], "cannot write to red.png"),
        (["red.png", "--out", "x.html", *COLOURS, "--method", "no"], "unknown method"),
        (["red.png", *COLOURS], "--out"),
    ],
)
def test_usage_errors(explain: Callable[..., Result], arguments: list[str], message: str) -> None:
    code, out, err = explain(*arguments)
    assert (code, out) == (2, "")
    assert message in " ".join(err.replace("│", " ").split())
    assert not Path("x.html").exists()


@pytest.mark.parametrize("out", ["red.png", "here/red.png", "link.png", "link.html"])
def test_no_photo_is_overwritten(explain: Callable[..., Result], out: str) -> None:
    Path("here").symlink_to(Path.cwd())
    for link in ("link.png", "link.html"):
        Path(link).symlink_to("red.png")
    before = Path("red.png").read_bytes()
    code, stdout, err = explain("red.png", *COLOURS, "--out", out)
    assert (code, stdout) == (2, "")
    assert "is one of the images, and would be overwritten" in " ".join(err.split())
    assert Path("red.png").read_bytes() == before


def test_png_needs_the_extra(
    explain: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    really: Callable[..., Any] = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "matplotlib" else really(name)
    )
    code, out, err = explain("red.png", *COLOURS, "--out", "x.png")
    assert (code, out) == (2, "")
    assert "crossalign[plots]" in err
    assert explain("red.png", *COLOURS, "--out", "x.svg").code == 0


def test_an_image_that_goes_away_meanwhile(
    explain: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    from crossalign.reports import summary

    really = summary.summarise

    def slow(*arguments: Any, **options: Any) -> Any:
        Path("red.png").unlink(missing_ok=True)
        return really(*arguments, **options)

    monkeypatch.setattr(summary, "summarise", slow)
    code, out, err = explain("red.png", *COLOURS, "--out", "x.svg")
    assert (code, out) == (1, "")
    assert "red.png: no such file" in err


def test_names_on_the_page_are_never_obeyed(explain: Callable[..., Result]) -> None:
    name = "<img src=x onerror=alert(1)>.png"
    Path("red.png").rename(name)
    code, *_ = explain(name, "-c", "<script>red</script>", "-c", "blue", "--out", "x.html")
    assert code == 0
    page = Path("x.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;red&lt;/script&gt;" in page
