"""The linter: each check finds what it is for and nothing else, in whatever state a file is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossalign import DescriptionError, DescriptionSet, load_encoder
from crossalign.cli import main
from crossalign.texts import bank
from crossalign.texts.lint import CHECKS, ENCODED_CHECKS, Finding, LintOptions, fix, lint, worst
from crossalign.texts.quality import text_id

GOOD = {
    "pug": ["A pug's flat, wrinkled face.", "The curled tail of a pug.", "A pug's fawn coat."],
    "owl": ["An owl's round face.", "The large eyes of an owl.", "An owl on a branch."],
}


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(content: Any, name: str = "x.json") -> Path:
        path = tmp_path / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            text = content if isinstance(content, str) else json.dumps(content)
            path.write_text(text, encoding="utf-8", errors="surrogatepass")
        return path

    return write


def found(findings: list[Finding]) -> set[tuple[str, str | None, int | None]]:
    return {(x.check, x.class_name, x.position) for x in findings}


def test_a_good_file_is_clean(write: Any) -> None:
    assert lint(write(GOOD), encoder="builtin") == []
    assert lint(DescriptionSet.of(GOOD), encoder="builtin") == []
    assert lint(write("# pets\npug\n\nowl\n", "x.txt"), encoder="builtin") == []
    assert lint(write(["pug", "owl"])) == []


def with_texts(*texts: Any) -> dict[str, Any]:
    """The good file, with more texts of the owl, from position 3."""
    return {**GOOD, "owl": [*GOOD["owl"], *texts]}


NAMED = "An owl's "
FAULTS = [
    ("characters", with_texts(f"{NAMED}\x1b[31mred face."), ("owl", 3)),
    ("characters", with_texts(f"{NAMED}\u202eface."), ("owl", 3)),
    ("characters", with_texts(f"{NAMED}\ud800 face."), ("owl", 3)),
    ("characters", {**GOOD, "a\tb": ["A b", "An a b", "The a b"]}, ("a\tb", None)),
    ("encoding", with_texts(f"{NAMED}cafÃ©-brown wings."), ("owl", 3)),
    ("encoding", with_texts(f"{NAMED}caf\ufffd-brown wings."), ("owl", 3)),
    ("script", with_texts("Большие глаза owl совы ночью."), ("owl", 3)),
    ("language", with_texts("Les grands yeux ronds de l'owl et des plumes."), ("owl", 3)),
    ("markup", with_texts(f"{NAMED}<b>wings</b>."), ("owl", 3)),
    ("markup", with_texts(f"1. {NAMED}wings."), ("owl", 3)),
    ("refusal", with_texts("I'm sorry, I know no owl."), ("owl", 3)),
    ("naming", with_texts("Large round eyes."), ("owl", 3)),
    ("repeated", with_texts("an owl on a BRANCH"), ("owl", 3)),
    ("repeated", with_texts("An owl, on a branch!"), ("owl", 3)),
    ("too-few", {**GOOD, "hen": ["A hen.", "The comb of a hen."]}, ("hen", None)),
    ("empty", {**GOOD, "hen": []}, ("hen", None)),
    ("empty", with_texts(" \n"), ("owl", 3)),
    ("empty", {**GOOD, "  ": ["a", "b", "c"]}, ("  ", None)),
    ("duplicate-class", {**GOOD, "PUG": ["A pug's legs.", "Big pug.", "Fat pug."]}, ("PUG", None)),
    ("structure", with_texts(5), ("owl", 3)),
    ("structure", with_texts(["nested"]), ("owl", 3)),
    ("structure", {**GOOD, "hen": {"texts": []}}, ("hen", None)),
    ("structure", {**GOOD, "hen": None}, ("hen", None)),
    ("structure", {**GOOD, "hen": "A hen's red comb."}, ("hen", 0)),
]


@pytest.mark.parametrize(("check", "content", "place"), FAULTS)
def test_each_fault_is_found_where_it_is(
    write: Any, check: str, content: Any, place: tuple[str, int | None]
) -> None:
    assert (check, *place) in found(lint(write(content)))
    sound = {("empty", *place), ("naming", *place), ("too-few", *place)}
    others = {x for x in found(lint(write(content))) if x[0] != check} - sound
    assert {x[1] for x in others} <= {place[0]}, "and the rest of the file is left alone"


WHOLE = [
    (b'{"pug": ["a"', "structure", "line 1, column 13"),
    (b"[" * 100_000, "structure", "JSON"),
    (b"5", "structure", "int 5"),
    (b"null", "structure", "null"),
    (b"", "structure", "no class"),
    (b"{}", "structure", "no class"),
    (b'["a", 5]', "structure", "class name 1"),
    ('{"Zoë": ["Zoë", "Zoë.", "A Zoë"]}'.encode("latin-1"), "encoding", "0xeb"),
    (b'{"a": ["An a b", "An a c", "An a d"], "a": ["x"]}', "duplicate-class", "twice"),
]


@pytest.mark.parametrize(("content", "check", "words"), WHOLE)
def test_faults_of_the_whole_file(write: Any, content: bytes, check: str, words: str) -> None:
    hits = [x for x in lint(write(content)) if x.check == check]
    assert hits
    assert hits[0].severity == "error"
    assert any(words in x.message for x in hits)


def test_a_shared_text_is_found_in_both_classes(write: Any) -> None:
    both = {name: [*texts, "An owl and a pug."] for name, texts in GOOD.items()}
    hits = {(x.class_name, x.position) for x in lint(write(both)) if x.check == "repeated"}
    assert hits == {("pug", 3), ("owl", 3)}


def test_options(write: Any) -> None:
    path = write(GOOD)
    assert {x.check for x in lint(path, LintOptions(min_texts=4))} == {"too-few"}
    assert {x.check for x in lint(path, LintOptions(max_words=4))} == {"too-long"}
    assert {x.check for x in lint(path, LintOptions(naming="never"))} == {"naming"}
    assert {x.check for x in lint(path, LintOptions(script="GREEK"))} == {"script"}
    german = {x.check for x in lint(path, LintOptions(language="german"))}
    assert german == {"language"}
    bare = {"owl": ["large eyes", "a round face", "feathers"]}
    assert lint(write(bare)) == [], "descriptors that never name their class are a form too"
    assert {x.check for x in lint(write(bare), LintOptions(naming="always"))} == {"naming"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"min_texts": -1},
        {"max_words": 0},
        {"naming": "no"},
        {"near": 1.5},
        {"script": "latin"},
        {"language": "klingon"},
    ],
)
def test_options_that_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(DescriptionError, match=r"expected|choose one of"):
        LintOptions(**wrong)


@pytest.mark.parametrize("name", ["no.json", "folder.json", "x.csv"])
def test_files_that_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(DescriptionError):
        lint(tmp_path / name)


def test_provenance_is_no_class(write: Any) -> None:
    assert lint(write({**GOOD, "$provenance": {"written_by": "hand"}})) == []


# ------------------------------------------------------------------------------ through an encoder


def test_near_duplicates(write: Any) -> None:
    more = with_texts("The large, round eyes of an owl.", "The large and round eyes of an owl.")
    hits = [x for x in lint(write(more), encoder="builtin") if x.check == "near-duplicate"]
    assert [(x.class_name, x.position) for x in hits] == [("owl", 3), ("owl", 4)]
    assert "The large eyes" in hits[0].message
    assert "The large, round eyes" in hits[1].message
    assert not lint(write(more), LintOptions(near=1.0), encoder="builtin")


def test_rewordings_are_near_duplicates_to_the_built_in_model(write: Any) -> None:
    more = with_texts("The mottled brown back of an owl.", "An owl with a mottled brown back.")
    hits = [x for x in lint(write(more), encoder="builtin") if x.check == "near-duplicate"]
    assert [(x.class_name, x.position) for x in hits] == [("owl", 4)]
    assert not lint(write(more), LintOptions(near=0.99), encoder="builtin")


def test_texts_closer_to_another_class(write: Any) -> None:
    mixed = {
        "cat": ["A cat's whiskers.", "A cat's striped fur.", "A wet-nosed dog that barks."],
        "dog": ["A dog's wet nose.", "The collar of a barking dog.", "A dog's floppy ears."],
    }
    options = LintOptions(naming="any")
    hits = lint(write(mixed), options, encoder="builtin")
    assert found(hits) == {("closer-to-another", "cat", 2)}
    assert (hits[0].severity, "'dog'" in hits[0].message) == ("note", True)


@pytest.mark.slow
@pytest.mark.parametrize("places", [(), (0,), (2, 5), (0, 1, 2, 3, 4, 5)])
def test_texts_beyond_the_context(write: Any, places: tuple[int, ...]) -> None:
    """The very texts that are cut, however many, and not their neighbours."""
    words = " ".join(["soft brown feathers"] * 120)
    texts = [f"An owl's part {n}, {words if n in places else 'small'}." for n in range(6)]
    hits = lint(write({"owl": texts}), encoder="builtin")
    assert {x.position for x in hits if x.check == "beyond-context"} == set(places)


def test_bad_texts_never_reach_the_encoder(write: Any) -> None:
    read: list[str] = []

    class Watched:
        card, preprocess = load_encoder("builtin").card, load_encoder("builtin").preprocess

        def encode_images(self, pixels: Any) -> Any:
            raise NotImplementedError

        def encode_texts(self, texts: Any) -> Any:
            read.extend(texts)
            return np.eye(len(texts), self.card.dim, dtype=np.float32)

    lint(write(with_texts("An owl \ud800", "", "An owl\u202e")), encoder=Watched())
    assert "An owl on a branch." in read
    assert not [text for text in read if not text.isprintable() or not text]


# -------------------------------------------------------------------------------------------- fix


def test_fix_mends_what_is_safe(write: Any) -> None:
    content = (
        '{"owl": ["An owl\'s\\tround\\n face.", "An owl\'s caf\u00c3\u00a9-brown wings.", "",'
        ' "An owl\'s\\u001b[0m eyes.", "an owl\'s round face."],'
        ' "pug": "A pug\'s flat face.", "owl": ["An owl.\\u200b"], "cat": ["<b>A cat.</b>"]}'
    )
    path = write(content)
    with pytest.raises(DescriptionError):
        DescriptionSet.load(path)
    changes = fix(path)
    assert DescriptionSet.load(path).to_dict() == {
        "owl": [
            "An owl's round face.",
            "An owl's café-brown wings.",
            "An owl's[0m eyes.",
            "An owl.",
        ],
        "pug": ["A pug's flat face."],
        "cat": ["<b>A cat.</b>"],
    }
    kinds = {change.fix for change in changes}
    assert kinds == {
        *("characters", "duplicate-class", "empty", "encoding", "repeated", "spaces", "structure")
    }
    assert all(change.message.isprintable() for change in changes)
    assert fix(path) == []


def test_fix_touches_nothing_where_nothing_is_to_mend(write: Any) -> None:
    path = write(json.dumps(GOOD, indent=7))
    before = path.read_bytes()
    assert fix(path) == []
    assert path.read_bytes() == before
    assert [x.name for x in path.parent.iterdir()] == ["x.json"]


@pytest.mark.parametrize(
    "content",
    [b'{"a": [', b"5", b'["a", "b"]', b"{}", b'{"a": [5]}', b'{"a": null}', b'{"\xeb": ["x"]}'],
)
def test_fix_refuses_what_it_would_have_to_guess(write: Any, content: bytes) -> None:
    path = write(content)
    with pytest.raises(DescriptionError, match="cannot be mended"):
        fix(path)
    assert path.read_bytes() == content


def test_fix_takes_provenance_along(write: Any) -> None:
    text = "An owl's caf\u00c3\u00a9-brown wings."
    answers = [{"model": "m", "texts": [text_id(text), text_id("An owl.")]}]
    path = write({"owl": [text, "An owl."], "$provenance": {"answers": answers}})
    fix(path)
    mended = DescriptionSet.load(path)
    assert mended.provenance is not None
    assert mended.provenance["answers"][0]["texts"] == [text_id(x) for x in mended["owl"]]


TEXTS = st.lists(st.text(st.characters(), max_size=12) | st.none(), max_size=4)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text(st.characters(), max_size=6), TEXTS | st.text(max_size=5)))
def test_whatever_the_file_the_linter_agrees_with_the_loader(
    tmp_path_factory: pytest.TempPathFactory, content: Any
) -> None:
    """No error found means that it loads; that it loads means no error found, but for lookalikes
    of invisible characters, which the loader lets pass."""
    path = tmp_path_factory.mktemp("lint") / "x.json"
    path.write_text(json.dumps(content), encoding="ascii")
    findings = lint(path)
    assert all(x.message.isprintable() for x in findings)
    try:
        DescriptionSet.load(path)
        loads = True
    except DescriptionError:
        loads = False
    errors = [x for x in findings if x.severity == "error"]
    names_only = content and all(texts == [] for texts in content.values())
    if not errors:
        assert loads
    if loads and not names_only:
        assert {x.check for x in errors} <= {"characters"}


# ---------------------------------------------------------------------------------------- command


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def run(*words: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            main([str(word) for word in words])
        code = caught.value.code
        assert isinstance(code, int)
        return code, *capsys.readouterr()

    return run


def test_command_exit_codes(run: Any, write: Any, tmp_path: Path) -> None:
    assert run("lint", write(GOOD)) == (
        0,
        f"{tmp_path / 'x.json'}: 0 errors, 0 warnings, 0 notes\n",
        "",
    )
    path = write(with_texts("An owl's **big** eyes."), "y.json")
    assert run("lint", path, "--text-only")[0] == 1
    assert run("lint", path, "--text-only", "--fail-on", "error")[0] == 0
    code, out, err = run("lint", tmp_path / "no.json")
    assert (code, out) == (2, "")
    assert "Check the path" in err
    assert run("lint", path, "--fail-on", "x")[0] == 2
    assert run("lint", path, "--near", "7")[0] == 2


def test_command_reports(run: Any, write: Any) -> None:
    path = write(with_texts("An owl's \x1b[31m**big** eyes."))
    _, out, _ = run("lint", path, "--text-only")
    assert "warning  owl[3]: holds markup: '**'.  (markup)" in out
    assert "error    owl[3]: holds the character '\\x1b'" in out
    assert "\x1b" not in out
    code, out, err = run("lint", path, "--text-only", "--json")
    lines = [json.loads(line) for line in out.splitlines()]
    assert code == 1
    assert {line["check"] for line in lines} == {"markup", "characters"}
    assert {line["position"] for line in lines} == {3}
    assert "1 error, 1 warning," in err


def test_command_fixes(run: Any, write: Any) -> None:
    path = write(with_texts("An owl's \x1b eyes."))
    code, out, _ = run("lint", path, "--text-only", "--fix")
    assert code == 0
    assert out.startswith("fixed    owl: ")
    assert out.rstrip().endswith("2 things mended")
    assert DescriptionSet.load(path)["owl"][3] == "An owl's eyes."
    line = json.loads(run("lint", write(with_texts("An  owl"), "z.json"), "--fix", "--json")[1])
    assert (line["severity"], line["fix"], line["class_name"]) == ("fixed", "spaces", "owl")


def test_published_files_are_read_in_full(shared: Path) -> None:
    """Known faults of published descriptions are found in them."""
    cupl = lint(shared / "prompts" / "pets37" / "cupl.json")
    said = {x.text for x in cupl if x.check == "naming"}
    assert any(text is not None and text.startswith("ABombay") for text in said)
    assert any(x.check == "refusal" and "definitive answer" in (x.text or "") for x in cupl)
    assert worst(cupl) == "warning"
    dtd = lint(shared / "prompts" / "dtd10" / "cupl.json")
    assert sum(x.check == "markup" for x in dtd) > 40


def test_the_bank_is_clean() -> None:
    options = LintOptions(min_texts=6, max_words=24, naming="always")
    assert lint(bank.descriptions(bank.names()), options) == []


def test_every_check_is_known_by_name() -> None:
    names = [check.name for check in (*CHECKS, *ENCODED_CHECKS)]
    assert len(names) == len(set(names)) == 15
