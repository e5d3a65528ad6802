"""Class names and their texts: what is accepted, what is refused and with which words."""

from __future__ import annotations

import json
import pickle
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossalign.errors import CrossalignError, DescriptionError
from crossalign.texts.descriptions import DescriptionSet, wordify

PETS = {"tabby cat": ["striped fur", "green eyes"], "pug": ["a flat face"]}


@pytest.fixture
def pets() -> DescriptionSet:
    return DescriptionSet.from_mapping(PETS)


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


def test_reads_like_an_ordered_collection_of_classes(pets: DescriptionSet) -> None:
    assert len(pets) == 2
    assert list(pets) == ["tabby cat", "pug"]
    assert "pug" in pets
    assert "Pug" not in pets
    assert pets["tabby cat"] == ("striped fur", "green eyes")
    assert pets.index("pug") == 1
    assert pets.has_descriptions
    assert pets.to_dict() == PETS
    assert repr(pets) == "DescriptionSet(2 classes, 3 texts, 1 to 2 each: 'tabby cat', 'pug')"


def test_names_only() -> None:
    names = DescriptionSet.from_classes(f"class {i}" for i in range(5))
    assert not names.has_descriptions
    assert names["class 3"] == ()
    assert names.to_dict()["class 0"] == []
    assert repr(names) == (
        "DescriptionSet(5 classes, names only: 'class 0', 'class 1', 'class 2', ...)"
    )
    assert DescriptionSet.of({"a": [], "b": []}) == DescriptionSet.of(["a", "b"])
    assert repr(DescriptionSet.of(["a"])) == "DescriptionSet(1 class, names only: 'a')"


def test_is_a_frozen_value(pets: DescriptionSet) -> None:
    with pytest.raises(AttributeError):
        pets.classes = ("dog",)  # type: ignore[misc]
    assert not hasattr(pets, "__dict__")
    assert hash(pets) == hash(DescriptionSet.from_mapping(PETS))
    assert pickle.loads(pickle.dumps(pets)) == pets


def test_of_accepts_every_form(pets: DescriptionSet) -> None:
    assert DescriptionSet.of(pets) is pets
    assert DescriptionSet.of(PETS) == pets
    assert DescriptionSet.of(("a", "b")) == DescriptionSet.from_classes(["a", "b"])
    assert DescriptionSet.of(dict.fromkeys(["a", "b"]).keys()).classes == ("a", "b")


def test_strips_whitespace_but_keeps_underscores_and_double_texts() -> None:
    made = DescriptionSet.of({"  red_fox ": [" a tail\n", "a tail"]})
    assert made.classes == ("red_fox",)
    assert made.texts == (("a tail", "a tail"),)
    assert wordify("red_fox") == "red fox"


def test_line_breaks_inside_texts_are_kept() -> None:
    assert DescriptionSet.of({"cat": ["fur\n\tand ears"]})["cat"] == ("fur\n\tand ears",)


def test_subset_keeps_the_order_asked_for(pets: DescriptionSet) -> None:
    assert pets.subset(["pug", "tabby cat"]).to_dict() == dict(reversed(PETS.items()))
    with pytest.raises(DescriptionError, match=r"Did you mean 'tabby cat'"):
        pets.subset(["tabby cats"])
    with pytest.raises(DescriptionError, match="once"):
        pets.subset(["pug", "pug"])
    with pytest.raises(DescriptionError, match="at least one class"):
        pets.subset([])


def test_an_unknown_class_says_what_is_known(pets: DescriptionSet) -> None:
    with pytest.raises(DescriptionError, match=r"2 classes, got 'zzz'. Known: 'tabby cat', 'pug'"):
        pets["zzz"]
    with pytest.raises(DescriptionError, match="got 0"):
        pets[0]  # type: ignore[index]


@pytest.mark.parametrize(
    ("obj", "words"),
    [
        ([], ["at least one class", "none"]),
        ({}, ["at least one class"]),
        ("cat", ["Put it into a list", "['cat']"]),
        (b"cat", ["Put it into a list"]),
        (Path("pets.json"), ["DescriptionSet.load"]),
        ({"cat", "dog"}, ["sorted"]),
        (None, ["sequence of class names", "null"]),
        (7, ["sequence of class names", "int 7"]),
        ([7], ["a class name to be a string", "int 7", "position 0"]),
        (["cat", None], ["null", "position 1"]),
        ([["cat"]], ["a list"]),
        (["cat", ""], ["empty", "position 1"]),
        (["cat", " \t"], ["empty"]),
        (["\u200b"], ["empty"]),
        (["cat", "cat"], ["'cat' twice", "tie", "rename"]),
        (["cat", "Cat"], ["'cat' and 'Cat'", "Case"]),
        (["barn owl", "Barn  owl"], ["tie silently"]),
        (["barn owl", "barn_owl"], ["underscores"]),
        (["Stra\u00dfe", "STRASSE"], ["tie"]),
        (["caf\u00e9", "cafe\u0301"], ["tie"]),
        (["a\x00b"], ["control character", r"\x00"]),
        (["a\nb"], ["control character", r"\n"]),
        (["a\ud800"], ["control character"]),
        ({"cat": "fur"}, ["list of texts for class 'cat'", "put it into a list".capitalize()]),
        ({"cat": None}, ["'cat'", "null", "flat list"]),
        ({"cat": {"a": 1}}, ["'cat'", "dict", "flat list"]),
        ({"cat": 3}, ["'cat'", "int 3"]),
        ({"cat": [3]}, ["a text of class 'cat'", "int 3", "position 0"]),
        ({"cat": [["fur"]]}, ["a text of class 'cat'", "list"]),
        ({"cat": [True]}, ["bool True"]),
        ({"cat": ["fur", " "]}, ["a text of class 'cat'", "empty", "position 1"]),
        ({"cat": ["a\x07b"]}, ["control character"]),
        ({"cat": {"fur"}}, ["sorted"]),
        ({"cat": ["fur"], "dog": []}, ["every class", "'dog'", "1 of 2"]),
        ({7: ["fur"]}, ["a class name to be a string"]),
    ],
)
def test_refuses_with_telling_words(obj: object, words: list[str]) -> None:
    with pytest.raises(DescriptionError) as caught:
        DescriptionSet.of(obj)  # type: ignore[arg-type]
    for word in words:
        assert word in str(caught.value)
    assert isinstance(caught.value, CrossalignError)


def test_the_plain_constructor_checks_too() -> None:
    with pytest.raises(DescriptionError, match="one tuple of texts for each of the 2 classes"):
        DescriptionSet(("a", "b"), (("x",),))
    with pytest.raises(DescriptionError, match="mapping"):
        DescriptionSet.from_mapping(["a"])  # type: ignore[arg-type]
    assert DescriptionSet(["a"], [["x"]]).texts == (("x",),)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.json", '{"cat": ["fur"], "dog": ["ears", "tail"]}', {"cat": 1, "dog": 2}),
        ("a.JSON", '["cat", "dog"]', {"cat": 0, "dog": 0}),
        ("bom.json", b'\xef\xbb\xbf["cat"]', {"cat": 0}),
        ("a.txt", "# pets\n\ncat\n  dog \n", {"cat": 0, "dog": 0}),
        ("crlf.txt", b"\xef\xbb\xbfcat\r\n\r\ndog", {"cat": 0, "dog": 0}),
        ("u.txt", "K\u00e4tzchen\n\u732b\n", {"K\u00e4tzchen": 0, "\u732b": 0}),
    ],
)
def test_loads(tmp_path: Path, name: str, content: str | bytes, expected: dict[str, int]) -> None:
    loaded = DescriptionSet.load(write(tmp_path, name, content))
    assert {c: len(loaded[c]) for c in loaded} == expected
    assert DescriptionSet.load(str(tmp_path / name)) == loaded


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.json", "", ["empty"]),
        ("a.txt", b"\xef\xbb\xbf\n", ["empty"]),
        ("a.txt", "# only\n", ["at least one class"]),
        ("a.txt", "cat\nCat\n", ["tie"]),
        ("a.json", '{"cat": ["fur"],\n "dog": [}', ["broken JSON", "line 2", "column 10"]),
        ("a.json", '{"cat": ["fur"], "cat": ["ears"]}', ["'cat'", "more than once", "only the"]),
        ("a.json", "7", ["object", "list of class names", "int 7"]),
        ("a.json", "null", ["null"]),
        ("a.json", '"cat"', ["str 'cat'"]),
        ("a.json", '{"cat": "fur"}', ["Put it into a list"]),
        ("a.json", "[" * 100_000, ["JSON"]),
        ("a.json", b'["caf\xe9"]', ["UTF-8", "byte 5"]),
        ("a.txt", "cat".encode("utf-16"), ["UTF-8"]),
        ("a.csv", "cat", [".json", ".txt", "'.csv'"]),
        ("classes", "cat", [".json", "''"]),
    ],
)
def test_refuses_files(tmp_path: Path, name: str, content: str | bytes, words: list[str]) -> None:
    path = write(tmp_path, name, content)
    with pytest.raises(DescriptionError) as caught:
        DescriptionSet.load(path)
    for word in [str(path), *words]:
        assert word in str(caught.value)


def test_refuses_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(DescriptionError, match=r"there is none\. Check the path"):
        DescriptionSet.load(tmp_path / "none.json")
    for folder in (tmp_path, tmp_path / "folder.json"):
        folder.mkdir(exist_ok=True)
        with pytest.raises(DescriptionError, match="got a folder"):
            DescriptionSet.load(folder)


def test_save_is_stable_and_leaves_nothing_else(tmp_path: Path, pets: DescriptionSet) -> None:
    path = tmp_path / "pets.json"
    path.write_text("old")
    pets.save(path)
    first = path.read_bytes()
    pets.save(str(path))
    assert path.read_bytes() == first
    assert first.endswith(b"]\n}\n")
    assert json.loads(first) == PETS
    assert list(tmp_path.iterdir()) == [path]


def test_save_names_only(tmp_path: Path) -> None:
    names = DescriptionSet.of(["K\u00e4tzchen", "dog"])
    for name in ("a.txt", "a.json"):
        names.save(tmp_path / name)
        assert DescriptionSet.load(tmp_path / name) == names
    assert (tmp_path / "a.txt").read_bytes() == "K\u00e4tzchen\ndog\n".encode()
    assert json.loads((tmp_path / "a.json").read_bytes()) == ["K\u00e4tzchen", "dog"]


def test_save_refuses(tmp_path: Path, pets: DescriptionSet) -> None:
    with pytest.raises(DescriptionError, match=r"Save to a \.json file"):
        pets.save(tmp_path / "pets.txt")
    with pytest.raises(DescriptionError, match=r"Save to a \.json file"):
        DescriptionSet.of(["#1"]).save(tmp_path / "names.txt")
    with pytest.raises(DescriptionError, match=r"'\.yaml'"):
        pets.save(tmp_path / "pets.yaml")
    with pytest.raises(DescriptionError, match="folder exists"):
        pets.save(tmp_path / "none" / "pets.json")
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(DescriptionError, match="could not be written"):
        pets.save(tmp_path / "folder.json")
    assert [path.name for path in tmp_path.iterdir()] == ["folder.json"]


printable = st.text(
    st.characters(exclude_categories=["Cc", "Cs", "Cf", "Zl", "Zp"]), min_size=1, max_size=12
).filter(str.strip)


@given(st.dictionaries(printable, st.lists(printable, min_size=1, max_size=3), min_size=1))
def test_round_trip(mapping: dict[str, list[str]]) -> None:
    try:
        made = DescriptionSet.from_mapping(mapping)
    except DescriptionError as error:
        assert "tie silently" in str(error)  # noqa: PT017  the one error such names can bring
        return
    assert DescriptionSet.from_mapping(made.to_dict()) == made
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "set.json")
        made.save(path)
        assert DescriptionSet.load(path) == made


def test_loads_the_published_files(shared: Path) -> None:
    for folder, classes in {"imagenet": 1000, "pets37": 37, "dtd10": 10}.items():
        loaded = DescriptionSet.load(shared / "prompts" / folder / "clip-d.json")
        assert len(loaded) == classes
        assert loaded.has_descriptions


# ------------------------------------------------------------------------------------- provenance


def test_provenance_is_kept_and_is_no_class(tmp_path: Path) -> None:
    provenance = {"written_by": "hand", "answers": [{"texts": ["ab"]}]}
    content = {"owl": ["large eyes"], "pug": ["flat face"], "$provenance": provenance}
    file = tmp_path / "x.json"
    file.write_text(json.dumps(content))
    loaded = DescriptionSet.load(file)
    assert loaded.classes == ("owl", "pug")
    assert loaded.provenance == provenance
    assert DescriptionSet.of(content).provenance == provenance
    assert loaded.subset(["pug"]).provenance == provenance
    assert loaded == DescriptionSet.of({"owl": ["large eyes"], "pug": ["flat face"]})
    assert hash(loaded) == hash(DescriptionSet.of(loaded.to_dict()))
    loaded.save(tmp_path / "y.json")
    assert json.loads((tmp_path / "y.json").read_text()) == content
    assert list(json.loads((tmp_path / "y.json").read_text()))[-1] == "$provenance"
    DescriptionSet.of(loaded.to_dict()).save(tmp_path / "z.json")
    assert "$provenance" not in (tmp_path / "z.json").read_text()


def test_a_class_may_have_the_name_all_the_same() -> None:
    assert DescriptionSet.of({"$provenance": ["a text"]}).classes == ("$provenance",)


def test_provenance_cannot_change_under_a_set() -> None:
    provenance = {"steps": [1]}
    kept = DescriptionSet(("owl",), (("large eyes",),), provenance)
    provenance["steps"].append(2)
    assert kept.provenance == {"steps": [1]}
    assert pickle.loads(pickle.dumps(kept)).provenance == {"steps": [1]}


@pytest.mark.parametrize("wrong", [5, ["x"], {"x": {1, 2}}, {"x": float("nan")}])
def test_provenance_that_is_refused(wrong: object) -> None:
    with pytest.raises(DescriptionError, match="provenance as a JSON object"):
        DescriptionSet(("owl",), (("large eyes",),), wrong)
