"""What can be wrong with a text by itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossalign.texts.quality import (
    bad_characters,
    main_script,
    markup,
    mended_mojibake,
    names_class,
    refuses,
    text_id,
    visible,
)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("A pug on a sofa.", "pug"),
        ("Two Pugs, asleep.", "pug"),
        ("The fox's den.", "fox"),
        ("Foxes at night.", "fox"),
        ("Puppies in a basket.", "puppy"),
        ("Wolves and knives.", "wolf"),
        ("Wolves and knives.", "knife"),
        ("Firemen at work.", "fireman"),
        ("A German shepherd's back.", "german_shepherd"),
        ("A black-and-tan coonhound.", "black and tan coonhound"),
        ("Bottles of wine.", "bottle of wine"),
        ("Eine Katze mit Ohren.", "Katze"),
        ("这只猫有尖耳朵。", "猫"),
        ("C++ code.", "C++"),
    ],
)
def test_names_its_class(text: str, name: str) -> None:
    assert names_class(text, name)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("A scattered pattern.", "cat"),
        ("A carpet.", "car"),
        ("A shepherd in German dress.", "german shepherd"),
        ("A wet nose.", "pug"),
        ("", "pug"),
    ],
)
def test_does_not_name_its_class(text: str, name: str) -> None:
    assert not names_class(text, name)


@pytest.mark.parametrize(
    "text",
    [
        "<b>bold</b>", "a <br/> b", "<!-- x", "**bold** ears", "- ears", "* ears", "3. ears",
        "1) ears", "# Ears", "fish &amp; chips", "&#39;", "`ears`", "[ears](x)", "see https://x",
        "a photo of {}", "the {class} sits", "__bold__", "\\textbf{x}",
    ],
)  # fmt: skip
def test_markup(text: str) -> None:
    assert markup(text)


@pytest.mark.parametrize(
    "text",
    [
        "A flat, wrinkled face.", "2 to 3 small leaves", "under < 5 kg and > 2 kg", "black & white",
        "a 3.5 cm beak", "R&D; labs", "snake_case and _this", "a - b", "5 * 4 tiles", "50% (half)",
    ],
)  # fmt: skip
def test_no_markup(text: str) -> None:
    assert markup(text) == ""


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't.", "As an AI language model, I", "I cannot describe this.",
        "Sorry, no.", "I\u2019m unable to help.", "Unfortunately, I have no eyes.",
        "There is no definitive answer to this question.", "I must decline.",
    ],
)  # fmt: skip
def test_refusals(text: str) -> None:
    assert refuses(text)


@pytest.mark.parametrize(
    "text",
    [
        "A sorry-looking bulldog.", "An AI chip on a board.", "I-beams of steel.", "An icon.",
        "A dog that cannot be mistaken.", "The answer is on the sign.",
    ],
)  # fmt: skip
def test_no_refusals(text: str) -> None:
    assert not refuses(text)


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("a cat", "LATIN"), ("кошка and", "CYRILLIC"), ("猫の耳", "CJK"), ("12 !", ""), ("", ""),
        ("γάτα", "GREEK"), ("고양이", "HANGUL"), ("naïve façade", "LATIN"),
    ],
)  # fmt: skip
def test_main_script(text: str, script: str) -> None:
    assert main_script(text) == script


LETTERS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cn", "Co"]), max_size=40)


@given(LETTERS)
def test_mojibake_is_undone(text: str) -> None:
    broken = b"".join(bytes([byte]) for byte in text.encode()).decode("latin-1")
    assert mended_mojibake(broken) in (text, broken, mended_mojibake(text))


@pytest.mark.parametrize(
    "text", ["café", "\u201cquoted\u201d \u2013 so", "Zoë\u2019s Ünlü", "日本", "½ £5"]
)
def test_sound_text_is_left_alone_and_broken_text_mended(text: str) -> None:
    assert mended_mojibake(text) == text
    broken = text.encode().decode("cp1252", errors="ignore")
    if broken.encode("cp1252") == text.encode():
        assert mended_mojibake(broken) == text


@given(st.text(st.characters(), max_size=300), st.integers(5, 100))
def test_visible_is_short_and_printable(text: str, limit: int) -> None:
    shown = visible(text, limit)
    assert len(shown) <= limit
    assert shown.isprintable()
    assert not bad_characters(shown, allowed="")


@given(st.text(st.characters(), max_size=60))
def test_text_ids(text: str) -> None:
    assert text_id(text) == text_id(f"  {text}\n")
    assert text_id(text) != text_id(f"{text}x")
