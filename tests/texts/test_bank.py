"""The bank of descriptions: its file, looking classes up, and how it reaches methods."""

from __future__ import annotations

import importlib.util
import random
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossalign import METHODS, Classifier, DescriptionSet
from crossalign.errors import DescriptionError
from crossalign.methods import class_texts
from crossalign.texts import bank

ROOT = Path(__file__).parents[2]
KNOWN = DescriptionSet.of(["pug", "beagle"])
MIXED = DescriptionSet.of(["pug", "flux capacitor", "beagle"])


@pytest.fixture(scope="module")
def tool() -> types.ModuleType:
    """The script that checks the file."""
    spec = importlib.util.spec_from_file_location("check_bank", ROOT / "tools" / "check_bank.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# The file


def test_the_file_has_no_problem(tool: Any) -> None:
    assert tool.check(tool.BANK.read_text(encoding="utf-8")) == []


GOOD = """# A comment.

= pug | pug dog
The flat face of {a}.
A dark mask on {a}.
A curled tail on the rump of a small {}.
Wrinkles between the eyes of {a}.
A stocky {} on a blanket.
Black folded ears of {a} seen close.
"""


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("", "", None),
        ("of {a}.\nA dark", "of it all.\nA dark", "placeholder"),
        ("dark mask on {a}", "dark mask of {} on {a}", "placeholder"),
        ("dark mask on {a}", "dark mask on {a} {b}", "placeholder"),
        ("A dark mask on {a}.", "On {a}.", "words"),
        ("A dark mask on {a}.", f"A {'very ' * 22}dark mask on {{a}}.", "words"),
        ("A dark mask on {a}.", "A dark mask on {a}", "full stop"),
        ("A dark mask on {a}.", "a dark mask on {a}.", "capital"),
        ("A dark mask on {a}.", "A  dark mask on {a}.", "spaces"),
        ("A dark mask on {a}.", "A dark mask on the {a}.", "articles"),
        ("A dark mask on {a}.", "A dark mask on a {}.", "write {a}"),
        ("A dark mask on {a}.", "A dark mäsk on {a}.", "ASCII"),
        ("A dark mask on {a}.", "The flat face of {a}.", "occurs 2 times"),
        ("A dark mask on {a}.\n", "", "fewer than 6"),
        ("pug dog", "Pug", "occurs 2 times"),
        ("pug dog", "(pug)", "odd name"),
        ("= pug", "pug", "no classes"),
    ],
)
def test_the_tool_finds_what_is_wrong(tool: Any, old: str, new: str, problem: str | None) -> None:
    assert old in GOOD
    found = tool.check(GOOD.replace(old, new, 1))
    assert (not found) if problem is None else any(problem in line for line in found)


def test_a_sample_reads_well() -> None:
    for name in random.Random(0).sample(bank.names(), 60):
        entry = bank.find(name)
        assert entry.name == entry.word == name
        assert 6 <= len(entry.descriptions) == len(set(entry.descriptions))
        for text in entry.descriptions:
            assert name in text
            assert "{" not in text
            assert text.endswith(".")
            assert 5 <= len(text.split()) <= 25


def test_it_knows_the_classes_that_it_should(shared: Path) -> None:
    sets = ("imagenet_val650", "pets37", "grocery43", "dtd10", "pacs_photo")
    unknown = set()
    for name in sets:
        lines = (shared / "data" / name / "classes.csv").read_text().splitlines()[1:]
        unknown |= {line.split(",")[1] for line in lines if bank.find(line.split(",")[1]) is None}
    assert not unknown


# Looking up


@pytest.mark.parametrize(
    ("name", "found", "word"),
    [
        ("pug", "pug", "pug"),
        ("Pug", "pug", "Pug"),
        ("PUG", "pug", "pug"),
        ("TV", "television", "TV"),
        ("  pug dog ", "pug", "pug dog"),
        ("espresso_machine", "espresso maker", "espresso machine"),
        ("german-shepherd", "German shepherd", "german-shepherd"),
        ("T shirt", "T-shirt", "T shirt"),
        ("lawnmower", "lawn mower", "lawnmower"),
        ("sofa", "couch", "sofa"),
        # Plurals go by the singular as the bank spells it.
        ("pugs", "pug", "pug"),
        ("SOFAS", "couch", "sofa"),
        ("German_Shepherds", "German shepherd", "German shepherd"),
        ("buses", "bus", "bus"),
        ("strawberries", "strawberry", "strawberry"),
        ("wolves", "wolf", "wolf"),
        ("knives", "knife", "knife"),
        ("oxen", "ox", "ox"),
        ("people", "person", "person"),
        ("cups of tea", "teacup", "cup of tea"),
        # What only looks like a plural.
        ("bus", "bus", "bus"),
        ("glass", "glass", "glass"),
        ("glasses", "glasses", "glasses"),
        ("jeans", "jeans", "jeans"),
        ("sunglasses", "sunglasses", "sunglasses"),
        ("binoculars", "binoculars", "binoculars"),
    ],
)
def test_names(name: str, found: str, word: str) -> None:
    entry = bank.find(name)
    assert (entry.name, entry.word) == (found, word)
    assert all(word in text for text in entry.descriptions)


@pytest.mark.parametrize(
    "name", ["flux capacitor", "news", "boxers", "s", "es", "???", "pu", "pugss", "of", "cups of"]
)
def test_unknown_names(name: str) -> None:
    assert bank.find(name) is None


@pytest.mark.parametrize("name", ["", "  ", None, 7, "pug\n beagle"])
def test_what_is_no_name(name: Any) -> None:
    with pytest.raises(DescriptionError, match="class name"):
        bank.find(name)


def test_articles_fit_the_word() -> None:
    assert any(" an orangutan" in text for text in bank.find("orangutan").descriptions)
    assert any(" a taxi" in text for text in bank.find("taxi").descriptions)
    assert any(" an eggplant" in text for text in bank.find("eggplant").descriptions)
    assert not any(" a broccoli" in text for text in bank.find("broccoli").descriptions)


@given(st.text(max_size=30))
def test_any_text_can_be_looked_up(name: str) -> None:
    try:
        entry = bank.find(name)
    except DescriptionError:
        return
    if entry is not None:
        assert entry.name in bank.names()
        assert all(entry.word in text for text in entry.descriptions)


@given(st.data())
def test_spelling_makes_no_difference(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(bank.names()))
    space = data.draw(st.sampled_from([" ", "_", "-", "  ", ""]))
    change = data.draw(st.sampled_from([str.lower, str.upper, str.title]))
    assert bank.find(space.join(change(name).split())).name == name


def test_descriptions_of_several() -> None:
    made = bank.descriptions(["beagle", "Pugs"])
    assert made.classes == ("beagle", "Pugs")
    assert made["Pugs"] == bank.find("pug").descriptions
    assert Classifier(made).texts == made.texts


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["pug", "begle", "flux capacitor"], r"got 'begle', 'flux capacitor' \(2 of 3\).*'Beagle'"),
        (["#!?", "pug"], "got '#!\\?'"),
        ("pug", "list"),
        ([], "at least one class"),
        (["pug", "PUG"], "every class once"),
    ],
)
def test_descriptions_that_cannot_be_had(names: Any, words: str) -> None:
    with pytest.raises(DescriptionError, match=words):
        bank.descriptions(names)


# Methods and classifier


@pytest.mark.parametrize("method", ["cupl", "wca"])
def test_the_bank_describes_names(method: str) -> None:
    made = class_texts(METHODS[method], KNOWN, bank=True)
    assert made.texts == tuple(bank.find(name).descriptions for name in KNOWN)
    assert made.origin == "descriptions of the bank"
    assert made.labels == ("a photo of a pug.", "a photo of a beagle.")
    assert made.undescribed == ()


def test_in_a_mixed_list_all_carry_the_templates() -> None:
    templates = class_texts(METHODS["clip-e"], MIXED).texts
    made = class_texts(METHODS["wca"], MIXED, bank=True)
    assert made.texts == (
        (*bank.find("pug").descriptions, *templates[0]),
        templates[1],
        (*bank.find("beagle").descriptions, *templates[2]),
    )
    assert made.origin == (
        "descriptions of the bank and ensemble templates for 2 of 3 classes, "
        "ensemble templates for the others"
    )
    assert made.undescribed == ("flux capacitor",)


def test_classes_that_the_bank_does_not_know_are_as_without_it() -> None:
    strange = DescriptionSet.of(["flux capacitor", "hyperspanner"])
    made, plain = (class_texts(METHODS["wca"], strange, bank=on) for on in (True, False))
    assert (made.texts, made.origin) == (plain.texts, plain.origin)
    assert made.undescribed == strange.classes
    assert plain.undescribed == ()


def test_a_class_that_would_read_like_another_gets_templates() -> None:
    made = class_texts(
        METHODS["wca"], DescriptionSet.of(["cat", "cats", "sofa", "couch"]), bank=True
    )
    assert made.undescribed == ("cats",)
    assert len(set(made.texts)) == 4


@pytest.mark.parametrize("method", ["clip", "clip-e", "waffle"])
def test_other_methods_have_no_use_for_it(method: str) -> None:
    assert class_texts(METHODS[method], MIXED, bank=True) == class_texts(METHODS[method], MIXED)


def test_given_descriptions_are_never_touched() -> None:
    given = DescriptionSet.of({"pug": ["a flat face"], "beagle": ["long ears"]})
    for method in ("clip-d", "cupl", "wca"):
        made, plain = (class_texts(METHODS[method], given, bank=on) for on in (True, False))
        assert made == plain


def test_off_by_default_for_methods_and_on_for_the_classifier(encoder: Any) -> None:
    assert class_texts(METHODS["wca"], KNOWN).origin == "ensemble templates"
    classifier = Classifier(MIXED, encoder=encoder, method="cupl")
    assert classifier.undescribed == ("flux capacitor",)
    assert "descriptions of the bank and ensemble templates for 2 of 3 classes" in repr(classifier)
    assert classifier.texts == class_texts(METHODS["cupl"], MIXED, bank=True).texts
    plain = Classifier(MIXED, encoder=encoder, method="cupl", bank=False)
    assert plain.texts == class_texts(METHODS["clip-e"], MIXED).texts
    assert plain.undescribed == ()
    assert "bank" not in repr(plain)


@pytest.mark.parametrize(
    ("classes", "settings", "loaded"),
    [
        ("['pug', 'beagle']", "method='wca'", True),
        ("['pug', 'beagle']", "method='wca', bank=False", False),
        ("['pug', 'beagle']", "method='clip'", False),
        ("{'pug': ['a flat face'], 'beagle': ['long ears']}", "method='wca'", False),
    ],
)
def test_it_is_read_only_where_it_is_used(classes: str, settings: str, loaded: bool) -> None:
    script = (
        "import sys, builtins, io\n"
        "import crossalign\n"
        "from crossalign import Classifier\n"
        "assert 'crossalign.texts.bank' not in sys.modules\n"
        "opened = []\n"
        "sys.addaudithook(lambda event, args: opened.append(str(args[0])) "
        "if event == 'open' and str(args[0]).endswith('bank.txt') else None)\n"
        f"Classifier({classes}, {settings})\n"
        "print('crossalign.texts.bank' in sys.modules, len(opened))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.split() == [str(loaded), str(int(loaded))]
