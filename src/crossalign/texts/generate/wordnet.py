"""Descriptions from a wordnet: the gloss of the sense that the other classes speak for.

"Crane" is a bird among birds and a machine among machines. The sense of every class is chosen by
what its neighbours can mean, and by the domain where one is given; the order of the lexicon, most
common first, decides only what they leave open.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from crossalign.errors import WriterError, import_extra
from crossalign.texts.descriptions import DescriptionSet, wordify
from crossalign.texts.english import indefinite_article, is_plural, singulars
from crossalign.texts.generate import described_set
from crossalign.texts.quality import text_id

LANGUAGE = "en"
_FIT = 10.0  # a domain that is said outright weighs more than any company
_WORD = re.compile(r"[^\W\d_]+")
_SMALL = frozenset(
    _WORD.findall("a an and as at by for from in is kind of on or sort the to type with")
)


@dataclass(frozen=True, slots=True)
class Sense:
    """The sense that was chosen for a class.

    Args:
        class_name: The class.
        synset: Its identifier in the lexicon.
        gloss: What the lexicon says it is.
        kind: What it is a kind of, by the hypernym's first word; empty if it has none.
        others: How many other senses there were.
    """

    class_name: str
    synset: str
    gloss: str
    kind: str
    others: int


@dataclass(frozen=True, slots=True, eq=False)
class _Candidate:
    """One sense that a class may have, and what it is a kind of, itself first."""

    synset: Any
    above: dict[str, int]
    words: frozenset[str]


def describe_classes(
    classes: Sequence[str], *, lexicon: str | None = None, domain: str = ""
) -> tuple[DescriptionSet | None, list[Sense], list[str]]:
    """Describe classes by the glosses of a wordnet.

    Each part of a gloss (they are separated by semicolons) becomes a description that names the
    class, and so does the word for what it is a kind of. That a gloss speaks of what can be seen is
    not to be relied upon: expect few and short descriptions.

    Args:
        classes: Class names; underscores are spaces.
        lexicon: Name of an installed lexicon, such as ``"oewn:2025"``; by default all in English.
        domain: What kind of thing all classes are, such as ``"type of bird"``.

    Returns:
        The set, None if no class was found; the senses chosen; the classes that are not in the
        lexicon.

    Raises:
        MissingExtraError: If the package ``wn`` is not installed.
        WriterError: If there is no such lexicon on this machine.
    """
    words = _open(lexicon)
    found = {name: _candidates(words, name) for name in classes}
    chosen = choose_senses(found, domain)
    senses, answers = [], []
    groups: dict[str, list[str]] = {name: [] for name in classes}
    for name, candidate in chosen.items():
        kind = _lemma(next(iter(candidate.synset.hypernyms()), None))
        gloss = " ".join((candidate.synset.definition() or "").split())
        synset = candidate.synset.id
        senses.append(Sense(name, synset, gloss, kind, len(found[name]) - 1))
        groups[name] = texts = _texts(wordify(name), gloss, kind)
        if texts:
            ids = [text_id(text) for text in texts]
            answers.append({"class": name, "synset": synset, "texts": ids})
    lexicons = ", ".join(each.specifier() for each in words.lexicons())
    settings = {"lexicon": lexicons, "domain": domain}
    described, missing = described_set(groups, "wordnet", settings, answers)
    return described, senses, missing


def choose_senses(found: dict[str, list[_Candidate]], domain: str = "") -> dict[str, _Candidate]:
    """Choose a sense for every class.

    Args:
        found: Candidates of each class, the most common sense first.
        domain: What kind of thing they all are.

    Returns:
        The best candidate of each class that has any.
    """
    asked = _content_words(domain)
    chosen = {}
    for name, candidates in found.items():
        company = [others for other, others in found.items() if other != name and others]

        def fit(candidate: _Candidate, company: list[list[_Candidate]] = company) -> float:
            near = sum(max(_kinship(candidate, other) for other in others) for others in company)
            said = len(asked & candidate.words) / len(asked) if asked else 0.0
            return _FIT * said + near / max(1, len(company))

        if candidates:
            # Rounded, so that what is as good as equal leaves the lexicon's order to decide.
            chosen[name] = max(candidates, key=lambda candidate: round(fit(candidate), 6))
    return chosen


def _kinship(one: _Candidate, other: _Candidate) -> float:
    """How near two senses are in the taxonomy, 0 to 1: 1 / (1 + steps by the nearest common kind).

    Path similarity (Rada et al., 1989; Pedersen et al., 2004).
    """
    common = one.above.keys() & other.above.keys()
    steps = min((one.above[kind] + other.above[kind] for kind in common), default=None)
    return 0.0 if steps is None else 1.0 / (1.0 + steps)


def _open(lexicon: str | None) -> Any:
    wn = import_extra("wn", "crossalign describe --wordnet", "wordnet")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", wn.WnWarning)  # several in one language are welcome
            words = wn.Wordnet(lexicon) if lexicon else wn.Wordnet(lang=LANGUAGE)
        lexicons = words.lexicons()
    except wn.Error:
        lexicons = []
    if not lexicons:
        what = f"the wordnet {lexicon!r}" if lexicon else "an English wordnet"
        wanted = lexicon or "oewn:2025"
        raise WriterError(
            f"{what} is not installed. Fetch one, once: python -m wn download {wanted} (Open "
            'English WordNet is CC BY 4.0), or add a file that you have: python -c "import wn; '
            "wn.add('english-wordnet-2025.xml.gz')\"."
        )
    return words


def _candidates(words: Any, name: str) -> list[_Candidate]:
    for form in _forms(wordify(name).strip()):
        synsets = words.synsets(form, pos="n")
        if synsets:
            return [_candidate(synset) for synset in synsets]
    return []


def _forms(name: str) -> Iterable[str]:
    """Spellings to look up, the likeliest first."""
    lower = name.lower()
    spelled = [name, lower, lower.replace("-", " "), name.title()]
    return dict.fromkeys([*spelled, *singulars(lower)])


def _candidate(synset: Any) -> _Candidate:
    """Walk up the taxonomy; each kind with the least number of steps to it."""
    above: dict[str, int] = {}
    words: set[str] = set()
    level, steps = [synset], 0
    while level:
        for kind in level:
            above[kind.id] = steps
            words.update(word for lemma in kind.lemmas() for word in _content_words(lemma))
        level = [
            kind
            for kind in {kind.id: kind for below in level for kind in below.hypernyms()}.values()
            if kind.id not in above
        ]
        steps += 1
    return _Candidate(synset, above, frozenset(words | _content_words(synset.definition() or "")))


def _content_words(text: str) -> frozenset[str]:
    found = {word.lower() for word in _WORD.findall(text)}
    return frozenset(word.removesuffix("s") for word in found - _SMALL)


def _lemma(synset: Any) -> str:
    lemmas = synset.lemmas() if synset is not None else []
    return wordify(lemmas[0]) if lemmas else ""


def _texts(name: str, gloss: str, kind: str) -> list[str]:
    many = is_plural(name.lower())
    subject = (
        name[:1].upper() + name[1:] if many else f"{indefinite_article(name).capitalize()} {name}"
    )
    parts = [part.strip(" .") for part in re.split(r";\s*", gloss)]
    texts = [f"{subject}: {part}." for part in parts if part]
    if kind:
        texts.append(f"{subject}, which {'are' if many else 'is'} a kind of {kind}.")
    return list(dict.fromkeys(texts))
