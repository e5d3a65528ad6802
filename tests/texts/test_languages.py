"""Which language a description is in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crossalign.texts import bank
from crossalign.texts.languages import LANGUAGES, main_language, other_language

SENTENCES = {
    "english": [
        "The curled tail of a pug.",
        "A pug's flat, wrinkled face.",
        "Large round eyes with a dark rim.",
    ],
    "german": [
        "Das flache, faltige Gesicht eines Mopses mit großen Augen.",
        "Ein eingerollter Schwanz auf dem Rücken.",
    ],
    "french": [
        "Un chat avec des oreilles pointues et un pelage roux.",
        "La queue est longue et touffue.",
    ],
    "spanish": ["Un gato con las orejas puntiagudas y el pelo naranja."],
    "italian": ["Il muso piatto e rugoso del carlino con gli occhi grandi."],
    "portuguese": ["Um gato com as orelhas pontudas e o pelo laranja."],
    "dutch": ["Het platte gezicht van een mopshond met grote ogen."],
    "swedish": ["Ett platt ansikte med stora ögon och en svart mask."],
    "polish": ["Płaski pysk mopsa z dużymi oczami jest pomarszczony i czarny."],
    "turkish": ["Büyük gözleri olan bir köpek ve uzun kuyruk."],
    "indonesian": ["Seekor kucing dengan telinga runcing dan bulu oranye."],
    "finnish": ["Koira, jonka kuono on litteä ja silmät ovat suuret."],
}
SHORT = {*SENTENCES["english"], *SENTENCES["german"][1:], *SENTENCES["french"][1:]}
PAIRS = [(name, text) for name, texts in SENTENCES.items() for text in texts]


@pytest.mark.parametrize(("name", "text"), PAIRS)
def test_a_sentence_is_taken_for_its_own_language_and_no_other(name: str, text: str) -> None:
    assert other_language(text, name) == ""
    for expected in ("english", "german", "french", "dutch"):
        found = other_language(text, expected)
        assert found in ("", name)
        if expected != name and text not in SHORT:
            assert found == name


@pytest.mark.parametrize(
    "text", ["", "?!", "small round eyes", "1 2 3", "Crème brûlée", "黑色的眼睛", "Café au lait"]
)
def test_what_does_not_tell_is_left_alone(text: str) -> None:
    assert [other_language(text, name) for name in LANGUAGES] == [""] * len(LANGUAGES)
    assert main_language([text] * 5) == ""


def test_words_of_the_name_do_not_count() -> None:
    name = "coton de la Tulear"
    assert other_language("White fur, Coton de la Tulear", "english") == "french"
    assert other_language("White fur, Coton de la Tulear", "english", name) == ""
    assert other_language("Un chat avec des oreilles", "klingon") == ""


def test_most_texts_decide() -> None:
    assert main_language([*SENTENCES["english"], *SENTENCES["french"][:1]]) == "english"
    assert main_language([*SENTENCES["german"], "small round eyes"]) == "german"
    assert main_language([SENTENCES["german"][0], SENTENCES["french"][0]]) == ""


def test_thousands_of_english_descriptions_are_english(shared: Path) -> None:
    known = bank.descriptions(bank.names())
    assert main_language(text for texts in known.texts for text in texts) == "english"
    wrong = [
        text
        for name, texts in zip(known.classes, known.texts, strict=True)
        for text in texts
        if other_language(text, "english", name)
    ]
    for file in sorted((shared / "prompts").glob("*/*.json")):
        content = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            continue
        wrong += [
            text
            for name, texts in content.items()
            if isinstance(texts, list)
            for text in texts
            if isinstance(text, str) and other_language(text, "english", name)
        ]
    assert wrong == []
