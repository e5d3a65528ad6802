"""Glosses from a wordnet: the right sense among its neighbours, from a lexicon made here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from crossalign import DescriptionSet, MissingExtraError, WriterError
from crossalign.cli import main
from crossalign.texts.generate.wordnet import describe_classes
from crossalign.texts.lint import LintOptions, lint

wn = pytest.importorskip("wn", reason="needs the package wn (extra wordnet)")

# Synset: words, most common sense first by their order here; its hypernym; its gloss.
SYNSETS = {
    "entity": ("entity", "", "that which exists"),
    "animal": ("animal", "entity", "a living organism that can move"),
    "bird": ("bird", "animal", "warm-blooded egg-laying vertebrate; has feathers and wings"),
    "dog": ("dog", "animal", "a domesticated animal that barks"),
    "artifact": ("artifact", "entity", "a man-made object"),
    "machine": ("machine", "artifact", "a device with moving parts"),
    "truck": ("truck|lorry", "machine", "a vehicle for heavy loads"),
    "digger": ("excavator", "machine", "a machine for digging; has a bucket on a jointed arm"),
    "crane1": ("crane", "machine", "lifts heavy objects; has a tall jib"),
    "crane2": ("crane", "bird", "large long-necked wading bird; found in marshes"),
    "heron": ("heron", "bird", "grey or white wading bird"),
    "kite1": ("kite", "artifact", "a light frame covered with paper, flown on a string"),
    "kite2": ("kite", "bird", "a hawk with a forked tail"),
    "shepherd": ("German shepherd", "dog", "breed of large shepherd dogs"),
    "mystery": ("mystery", "entity", ""),
}


def lexicon() -> str:
    """The lexicon in the format that wordnets are published in, WN-LMF."""
    entries: dict[str, list[str]] = {}
    for name, (words, _, _) in SYNSETS.items():
        for word in words.split("|"):
            entries.setdefault(word, []).append(name)
    lines = [
        f'<LexicalEntry id="t-{number}"><Lemma writtenForm="{word}" partOfSpeech="n"/>'
        + "".join(f'<Sense id="t-{number}-{name}" synset="t-{name}"/>' for name in names)
        + "</LexicalEntry>"
        for number, (word, names) in enumerate(entries.items())
    ]
    for name, (_, above, gloss) in SYNSETS.items():
        said = f"<Definition>{gloss}</Definition>" if gloss else ""
        up = f'<SynsetRelation relType="hypernym" target="t-{above}"/>' if above else ""
        lines.append(f'<Synset id="t-{name}" ili="" partOfSpeech="n">{said}{up}</Synset>')
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE LexicalResource SYSTEM '
        '"http://globalwordnet.github.io/schemas/WN-LMF-1.0.dtd">\n'
        '<LexicalResource xmlns:dc="http://purl.org/dc/elements/1.1/">'
        '<Lexicon id="tiny" label="Tiny" language="en" email="a@b" license="CC0" version="1">'
        f"{''.join(lines)}</Lexicon></LexicalResource>"
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory of the package with the tiny lexicon in it."""
    folder = tmp_path_factory.mktemp("wn")
    (folder / "tiny.xml").write_text(lexicon(), encoding="utf-8")
    before = wn.config.data_directory
    wn.config.data_directory = folder
    wn.add(folder / "tiny.xml", progress_handler=None)
    wn.config.data_directory = before
    return folder


@pytest.fixture
def installed(data: Path) -> Iterator[None]:
    before = wn.config.data_directory
    wn.config.data_directory = data
    yield
    wn.config.data_directory = before


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[None]:
    before = wn.config.data_directory
    wn.config.data_directory = tmp_path / "nothing"
    yield
    wn.config.data_directory = before


@pytest.mark.parametrize(
    ("classes", "domain", "sense"),
    [
        (["crane"], "", "t-crane1"),
        (["crane", "heron", "kite"], "", "t-crane2"),
        (["crane", "excavator", "lorry"], "", "t-crane1"),
        (["crane"], "type of bird", "t-crane2"),
        (["crane"], "machines", "t-crane1"),
        (["crane", "excavator", "lorry"], "birds of the marsh", "t-crane2"),
        (["crane", "unheard of"], "", "t-crane1"),
    ],
)
@pytest.mark.usefixtures("installed")
def test_the_sense_follows_the_company(classes: list[str], domain: str, sense: str) -> None:
    _, senses, _ = describe_classes(classes, domain=domain)
    assert senses[0].synset == sense
    assert senses[0].others == 1


@pytest.mark.usefixtures("installed")
def test_descriptions(tmp_path: Path) -> None:
    classes = ["Cranes", "heron", "german_shepherd", "unheard of", "mystery"]
    described, senses, missing = describe_classes(classes, domain="animal")
    assert missing == ["unheard of"]
    assert described is not None
    assert described.to_dict() == {
        "Cranes": [
            "Cranes: large long-necked wading bird.",
            "Cranes: found in marshes.",
            "Cranes, which are a kind of bird.",
        ],
        "heron": ["A heron: grey or white wading bird.", "A heron, which is a kind of bird."],
        "german_shepherd": [
            "A german shepherd: breed of large shepherd dogs.",
            "A german shepherd, which is a kind of dog.",
        ],
        "mystery": ["A mystery, which is a kind of entity."],
    }
    assert [sense.kind for sense in senses] == ["bird", "bird", "dog", "entity"]
    assert lint(described, LintOptions(min_texts=1)) == []
    described.save(tmp_path / "x.json")
    again = DescriptionSet.load(tmp_path / "x.json")
    assert again.provenance is not None
    assert again.provenance["settings"] == {"lexicon": "tiny:1", "domain": "animal"}
    assert again.provenance["answers"][0]["synset"] == "t-crane2"


@pytest.mark.usefixtures("installed")
def test_nothing_found() -> None:
    assert describe_classes(["unheard of"]) == (None, [], ["unheard of"])


@pytest.mark.usefixtures("empty")
def test_data_that_is_not_installed() -> None:
    with pytest.raises(WriterError, match=r"English wordnet is not installed.*wn download oewn"):
        describe_classes(["crane"])


@pytest.mark.usefixtures("installed")
def test_a_lexicon_that_is_not_installed() -> None:
    with pytest.raises(WriterError, match="'oewn:1999' is not installed"):
        describe_classes(["crane"], lexicon="oewn:1999")
    assert describe_classes(["crane"], lexicon="tiny:1")[1][0].class_name == "crane"


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "wn", None)
    with pytest.raises(MissingExtraError, match=r"crossalign\[wordnet\]"):
        describe_classes(["crane"])


@pytest.mark.usefixtures("installed")
def test_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("birds.txt").write_text("crane\nheron\ndodo\n", encoding="utf-8")
    with pytest.raises(SystemExit) as caught:
        main(["describe", "birds.txt", "--wordnet", "--out", "out.json", "--domain", "bird"])
    out, err = capsys.readouterr()
    assert caught.value.code == 1
    assert "crane: large long-necked wading bird; found in marshes  (t-crane2)" in out
    assert "5 descriptions of 2 classes written to out.json" in out
    assert "NOT in the file, for lack of any description: dodo" in err
    content = json.loads(Path("out.json").read_text(encoding="utf-8"))
    assert list(content) == ["crane", "heron", "$provenance"]
    content["crane"] = ["A tall grey crane."]
    Path("out.json").write_text(json.dumps(content), encoding="utf-8")
    for more, expected in (((), ("A tall grey crane.",)), (("--overwrite",), None)):
        with pytest.raises(SystemExit):
            main(["describe", "birds.txt", "--wordnet", "--out", "out.json", *more])
        assert (DescriptionSet.load("out.json")["crane"] == expected) == (expected is not None)
    assert "kept as they are in out.json" in capsys.readouterr().err
