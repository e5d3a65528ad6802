"""Templates, descriptor sentences and random words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossalign.errors import DescriptionError
from crossalign.texts import (
    LABEL_TEMPLATE,
    TEMPLATES,
    descriptor_clause,
    descriptor_sentence,
    descriptor_sentences,
    fill_template,
    fill_templates,
    waffle_texts,
)
from crossalign.texts.descriptions import DescriptionSet, wordify
from crossalign.texts.english import indefinite_article
from crossalign.texts.waffle import WORDS


def golden(shared: Path, name: str) -> Any:
    return json.loads((shared / "golden" / name).read_text(encoding="utf-8"))


# Templates


def test_template_sets() -> None:
    assert {name: len(set(texts)) for name, texts in TEMPLATES.items()} == {
        "single": 1,
        "ensemble": 7,
        "imagenet-80": 80,
    }
    assert set(TEMPLATES["ensemble"]) <= set(TEMPLATES["imagenet-80"])
    assert TEMPLATES["single"] == (LABEL_TEMPLATE,)
    with pytest.raises(TypeError):
        TEMPLATES["single"] = ()  # type: ignore[index]


def test_the_80_templates_are_the_published_ones(shared: Path) -> None:
    path = shared / "prompts" / "clip-e.json"
    assert list(TEMPLATES["imagenet-80"]) == json.loads(path.read_text())["imagenet"]


@pytest.mark.parametrize(
    ("template", "name", "text"),
    [
        (LABEL_TEMPLATE, "apple", "a photo of a apple."),  # no article is mended
        ("the {}", "cat", "the cat"),
        ("{class}", "cat", "cat"),
        ("a {}.", "{}", "a {}."),
        ("a {}.", "{class.__init__}", "a {class.__init__}."),
        ("a {class} with \\1", r"\g<0>", r"a \g<0> with \1"),
    ],
)
def test_fill_template(template: str, name: str, text: str) -> None:
    assert fill_template(template, name) == text


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("a photo", "exactly one placeholder {} or {class}, got 0"),
        ("a {} and a {class}", "got 2"),
        ("a {name}", "got 0"),
        ("a {} {name}", "stray"),
        ("a {} }", "stray"),
        ("a {{}}", "stray"),
        (7, "template as a string, got the int 7"),
    ],
)
def test_refuses_templates(template: Any, words: str) -> None:
    for call in (lambda: fill_template(template, "cat"), lambda: fill_templates([template], ["c"])):
        with pytest.raises(DescriptionError) as caught:
            call()
        assert words in str(caught.value)


@pytest.mark.parametrize(
    ("templates", "classes", "words"),
    [
        ("imagenet", ["cat"], "'single', 'ensemble', 'imagenet-80'"),
        ("a {}.", ["cat"], "in a list: ['a {}.']"),
        ([], ["cat"], "at least one template"),
        ("single", [], "at least one class"),
        ("single", "cat", "Put it into a list"),
        (None, ["cat"], "sequence of templates"),
    ],
)
def test_refuses_template_lists(templates: Any, classes: Any, words: str) -> None:
    with pytest.raises(DescriptionError) as caught:
        fill_templates(templates, classes)
    assert words in str(caught.value)


def test_fill_templates() -> None:
    filled = fill_templates("ensemble", DescriptionSet.of({"{x}": ["fur"], "dog": ["ears"]}))
    assert [len(texts) for texts in filled] == [7, 7]
    assert filled[0][1] == "a bad photo of the {x}."
    with pytest.raises(DescriptionError, match="empty"):
        fill_template("a {}.", " ")


# Descriptor sentences

HAS = """
a long tail; an orange beak; yellow feathers; antlers; two eyes; 4 wheels; hash marks; canvas cover
an owl shape; at least two doors; more than one wheel; up to six legs; almost no tail; no legs
hasty brush strokes; webbed feet; pointed ears; large, round eyes; sharp, serrated teeth; a light
black-and-white fur; brown or black fur; black, grey, or white fur; wings and a tail; two feet
four legs; one or more drumsticks; 10-16 seats; several small windows; wheels or tracks
seeds visible inside; straps that go over the foot; strings stretched across the head
a mast with a platform; buttons for controlling a television; a reed attached to the mouthpiece
controls for operating the oven; live plants; a tail that is carried low; handles for steering
a strap for holding the guitar while playing; a toe made of steel; wires overhead; shelves
people buying baked goods; a metal frame; a seat; an each-way switch; wheels; large birds
two vehicles; "TAXI" written on the door; USB ports; a carved face; chewing mouthparts
landing gear with wheels and tires; a medium to large; mustard and/or ketchup; any colour
brightly colored wings with an orange and black pattern; a screw-on or snap-on lid
"""
HAS_A = """
large head; short, broad bill; candle-like shape; useful handle; white belly
streaked breast; muscular body; thick tail; red or black coat; small, round ball
large head with a square muzzle
"""
HAS_AN = "orange beak; arched neck; elongated body; even, round shape; upright tail"
IS = """
black; large and round; olive green or brown in color; about 10 cm long; almost round; made of wood
used for cooking; covered in scales; found in forests; 6 feet tall; 10cm long; up to 10 cm in length
about the size of a cat; 10 to 20 cm wide; white (in winter); black, brown, or tan; round or oval
attached to a boot at the front and back; filled with air or gas; native to South America
available in a variety of colors; small and compact; tight or form-fitting; in flight; like a bird
holding a baseball bat; wearing protective gear; standing on a field; found growing on wood
a freshwater fish; a bird of prey; a container with a narrow neck; a large, furry mammal
a tool used for cutting; a piece of furniture; a small to medium-sized dog; the largest bird
one of the largest cats; part of a set; brightly colored; reddish-brown; hairless; metal or plastic
without a tail; furniture; large, hard-shelled seafood; worn on the head; cut into slices
brown or olive green with black markings; orange
"""
IS_A = """
small mammal; four-limbed insect; kitchen appliance; large, yellow vehicle; freshwater fish
small to medium-sized butterfly; two-piece swimsuit; unique bird; one-eyed animal
musical instrument
"""
IS_AN = (
    "orange vegetable; unusual animal; 8-legged animal; X-ray machine; insect; egg-laying mammal"
)
AS_IT_IS = """
has four legs; may have spots; can be folded; lives in water; usually has a handle; swims well
often has a canopy; typically holds pencils; covers the head and hair; comes in many sizes
consists of a top and bottom; usually lives alone; cannot fly; grows on trees; displays the score
sometimes lays eggs; connects to a computer; does not fly; burrows underground
"""
SPECIAL = {
    "often seen near water": "is often seen near water",
    "typically brown": "is typically brown",
    "often used to open bottles": "is often used to open bottles",
    "often a large dog": "is often a large dog",
    "often, a lid": "often has a lid",
    "usually two wheels": "usually has two wheels",
    "maybe striped": "is maybe striped",
    "often with a small amount of foam": "often has a small amount of foam",
    "it has legs": "has legs",
    "It has legs.": "has legs",
    "which is round": "is round",
    "which has wings": "has wings",
    "is made of wood": "is made of wood",
    "are black": "is black",
    "have wings": "has wings",
    "live in trees": "lives in trees",
    "come in many sizes": "comes in many sizes",
    "do not fly": "does not fly",
    "with a long tail": "has a long tail",
    "to keep warm": "is used to keep warm",
    "and a lid": "has a lid",
    "there are two buttons": "has two buttons",
    "there may be a lid": "may have a lid",
    "medium size": "is of medium size",
    "An umbrella shape": "has an umbrella shape",
    "A capital article": "has a capital article",
    "Has wings": "has wings",
    "Large ears": "has large ears",
    "Often brown": "is often brown",
    "German markings": "has German markings",
    "trailing dot.": "has trailing dot",
    "  a   double \t space ": "has a double space",
    "the lid can be opened": "has a lid that can be opened",
    "the wheels are large": "has wheels that are large",
    "the fur is usually soft": "has fur that is usually soft",
    "the animal may have spots": "may have spots",
    "body is flat": "has a body that is flat",
    "males have a large sac": "has males that have a large sac",
    "both bicycles have a seat": "has two bicycles that have a seat",
    "each drawer has a label": "has drawers that have a label",
    "its long tail is striped": "has a long tail that is striped",
}


def table() -> list[tuple[str, str]]:
    rows = list(SPECIAL.items())
    for block, verb in (
        (HAS, "has "),
        (HAS_A, "has a "),
        (HAS_AN, "has an "),
        (IS, "is "),
        (IS_A, "is a "),
        (IS_AN, "is an "),
        (AS_IT_IS, ""),
    ):
        phrases = [phrase.strip() for phrase in block.replace("\n", ";").split(";")]
        rows += [(phrase, verb + phrase) for phrase in phrases if phrase]
    return rows


@pytest.mark.parametrize(("descriptor", "predicate"), table())
def test_english(descriptor: str, predicate: str) -> None:
    assert descriptor_clause(descriptor) == f"which {predicate}"


def test_the_table_is_large() -> None:
    assert len(table()) > 200


@pytest.mark.parametrize(
    ("phrase", "article"),
    [
        *[
            (x, "an")
            for x in ("hourglass", "owl", "X-ray", "8-legged", "LED", "unimposing", "heir")
        ],
        *[
            (x, "a")
            for x in ("unicorn", "one-eyed cat", "USB port", "European", "uniform", "house")
        ],
        *[(x, "an") for x in ("umbrella", "honest face", "18-wheeler", "SUV", "egg", "x")],
        *[(x, "a") for x in ("used car", "utensil", "180 degree turn", "u", "yard", "ewe", "UFO")],
    ],
)
def test_articles_go_by_sound(phrase: str, article: str) -> None:
    assert indefinite_article(phrase) == article


@pytest.mark.parametrize("descriptor", ["", " \t", ".", "...", "!"])
def test_an_empty_descriptor(descriptor: str) -> None:
    with pytest.raises(DescriptionError, match="at least one word"):
        descriptor_sentence("cat", descriptor)


@given(st.text(max_size=40))
def test_english_takes_any_text(descriptor: str) -> None:
    try:
        clause = descriptor_clause(descriptor)
    except DescriptionError as error:
        assert "at least one word" in str(error)  # noqa: PT017  the one error there is
    else:
        assert clause.startswith("which ")
        assert clause == " ".join(clause.split())


HEAP = """
a the often usually has is are can may it which there to of with used made long black wings fish
tail two at least and or , live lives holding not have about cm 10 each both
"""
words_in_a_row = st.lists(st.sampled_from(HEAP.split()), min_size=1, max_size=7).map(" ".join)


@given(words_in_a_row)
def test_english_keeps_going_on_heaps_of_small_words(descriptor: str) -> None:
    try:
        assert descriptor_clause(descriptor).startswith("which ")
    except DescriptionError as error:
        assert "at least one word" in str(error)  # noqa: PT017  the one error there is


def test_english_reads_the_published_descriptors(shared: Path) -> None:
    loaded = DescriptionSet.load(shared / "prompts" / "imagenet" / "clip-d.json")
    sentences = [text for texts in descriptor_sentences(loaded) for text in texts]
    assert len(sentences) == sum(len(texts) for texts in loaded.texts)
    first = [text.split(", which ", 1)[1].split()[0] for text in sentences]
    assert 0.6 < first.count("has") / len(first) < 0.8
    assert not [text for text in sentences if " an each" in text or "is wheels" in text]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("", "a tail"), "a class name"),
        ((7, "a tail"), "a class name"),
        (("cat", 7), "descriptor as a string"),
        (("cat", "a tail", "french"), "'english' or 'published'"),
    ],
)
def test_refuses_sentences(args: Any, words: str) -> None:
    with pytest.raises(DescriptionError, match=words):
        descriptor_sentence(*args)


def test_sentences_of_a_set() -> None:
    animals = DescriptionSet.of({"red_fox": ["antlers"], "owl": ["wings", "bird of prey"]})
    assert descriptor_sentences(animals) == (
        ("red_fox, which has antlers",),
        ("owl, which has wings", "owl, which is a bird of prey"),
    )
    assert descriptor_sentences(animals, "published")[0] == ("red fox, which is antlers",)
    with pytest.raises(DescriptionError, match="names only"):
        descriptor_sentences(DescriptionSet.of(["cat"]))


def test_published_sentences(shared: Path) -> None:
    for descriptor, clause in golden(shared, "sentences.json")["make_descriptor_sentence"]:
        assert descriptor_clause(descriptor, "published") == clause


def test_published_texts_of_each_method(shared: Path) -> None:
    data = golden(shared, "texts_per_method.json")
    expected = {
        method: tuple(tuple(entry["texts"]) for entry in entries)
        for method, entries in data["per_method"].items()
    }
    names = [wordify(name) for name in data["class_names_raw"]]
    described = DescriptionSet.of(data["clip_d_descriptors"])
    assert fill_templates("single", names) == expected["clip"]
    assert fill_templates(data["clip_e_templates"], names) == expected["clip-e"]
    assert descriptor_sentences(described, "published") == expected["clip-d"]
    assert (
        waffle_texts(
            described, style="published", seed=data["waffle_numpy_seed"], words=data["word_list"]
        )
        == expected["waffle"]
    )
    labels = tuple(entry["label"] for entry in data["per_method"]["ours"])
    assert tuple(texts[0] for texts in fill_templates("single", names)) == labels


# Random words


def test_published_waffle_text_for_text_and_draw_for_draw(shared: Path) -> None:
    data = golden(shared, "waffle.json")
    assert data["cases"]
    for case in data["cases"]:
        rng = np.random.RandomState(case["numpy_seed"])
        made = waffle_texts(
            DescriptionSet.of(case["descriptors"]),
            style="published",
            words=data["word_list"],
            rng=rng,
        )
        assert made == tuple(tuple(texts) for texts in case["output"].values())
        assert rng.randint(10**6) == case["next_randint_1e6"]


def test_english_waffle_is_the_same_everywhere() -> None:
    made = waffle_texts(DescriptionSet.of(["cat"]), seed=1, count=4)
    assert made == (
        (
            "A photo of a cat, which has fire steam.",
            "A photo of a cat, which has eaxbt, gkegv.",
            "A photo of a cat, which has rock oat.",
            "A photo of a cat, which has gjiqt, xzsge.",
        ),
    )


def test_english_waffle_shares_its_words_and_depends_on_the_seed_alone() -> None:
    classes = DescriptionSet.of({"cat": ["fur"], "great white shark": ["teeth"]})
    cat, shark = waffle_texts(classes)
    assert len(cat) == len(set(cat)) == 30
    assert tuple(text.replace("cat", "great white shark", 1) for text in cat) == shark
    assert waffle_texts(DescriptionSet.of(["cat"]))[0] == cat
    assert waffle_texts(classes, count=7)[0] == cat[:7]
    assert waffle_texts(classes, seed=1)[0] != cat
    for text in cat[::2]:
        first, second = text.removesuffix(".").split()[-2:]
        assert {first, second} <= set(WORDS)
        assert first != second
        assert text == f"A photo of a cat, which has {first} {second}."


def test_english_waffle_draws_every_word_about_equally_often() -> None:
    (texts,) = waffle_texts(DescriptionSet.of(["x"]), count=4000, words=list("abcd"))
    words = [word for text in texts[::2] for word in text.removesuffix(".").split()[-2:]]
    assert all(abs(words.count(letter) / len(words) - 0.25) < 0.03 for letter in "abcd")


def test_own_words() -> None:
    assert len(WORDS) == len(set(WORDS)) > 400
    assert all(word.isascii() and word.isalpha() and word.islower() for word in WORDS)
    (texts,) = waffle_texts(DescriptionSet.of(["cat"]), words=["one", "two"], count=3)
    assert texts[0].endswith((" one two.", " two one."))


NAMES = DescriptionSet.of(["cat", "dog"])
FULL = DescriptionSet.of({"cat": ["fur"], "dog": ["ears"]})


@pytest.mark.parametrize(
    ("classes", "settings", "words"),
    [
        (NAMES, {"style": "french"}, "'english' or 'published'"),
        (NAMES, {"seed": -1}, "seed"),
        (NAMES, {"seed": 1.5}, "whole number"),
        (NAMES, {"seed": True}, "whole number"),
        (NAMES, {"count": 0}, "count"),
        (NAMES, {"words": ["one"]}, "2 or more words"),
        (NAMES, {"words": ["one", ""]}, "non-empty"),
        (NAMES, {"words": "one"}, "list"),
        (NAMES, {"rng": np.random.RandomState(0)}, "seed alone"),
        (FULL, {"style": "published"}, "word list"),
        (FULL, {"style": "published", "words": []}, "1 or more words"),
        (FULL, {"style": "published", "words": ["a"], "count": 3}, "even count"),
        (FULL, {"style": "published", "words": ["a"], "seed": 2**32}, "seed"),
        (NAMES, {"style": "published", "words": ["a"]}, "descriptors"),
    ],
)
def test_refuses_waffle(classes: DescriptionSet, settings: Any, words: str) -> None:
    with pytest.raises(DescriptionError, match=words):
        waffle_texts(classes, **settings)


def test_published_waffle_replaces_in_the_whole_text() -> None:
    made = waffle_texts(
        DescriptionSet.of({"photo": ["z"], "pho": ["z"]}), style="published", words=["w"], count=2
    )
    assert {texts[0] for texts in made} in (
        {"A photo of a photo, which has w.", "A pho of a pho, which has w."},
        {"A photo of a pho, which has w.", "A phototo of a photo, which has w."},
    )
