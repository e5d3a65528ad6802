"""Which language a text is in, told by the small words that every sentence of it needs.

Made for descriptions, which are short and full of names: it says nothing rather than something
wrong. For languages in Latin letters alone; others are told by their script.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

# Words that are frequent in a language and are no noun of another one. "s" is what is left of 's.
_WORDS = {
    "english": "the a an of and with in on its it is are that which by from at to as for or has "
    "have his her their this these like into over under between near behind no do so be not s",
    "german": "der die das den dem des ein eine einen einem einer eines und mit von vom zu zum zur "
    "auf im ist sind für nicht sich oder auch wie über unter aus bei nach durch seine seiner ihre "
    "ihren sehr an in am deren dessen welche hinter vor zwischen",
    "french": "le la les un une des du de et avec dans sur est sont qui que au aux ou ses ce cette "
    "très sous entre par sa leur a l d en à",
    "spanish": "el la los las un una unos unas de del con y en que es son por para su sus muy como "
    "se al o más sobre entre a",
    "italian": "il lo la i gli le un uno una di del della dei delle degli con e in che è sono su "
    "suo sua suoi molto al alla nel nella dal dalla o più l d a",
    "portuguese": "o a os as um uma uns umas de do da dos das com e em no na nos nas que é são por "
    "para seu sua seus suas muito como ao à ou mais",
    "dutch": "de het een en van met op in is zijn voor aan uit bij door naar over onder ook niet "
    "die dat wordt worden heeft hebben te om als of deze tussen",
    "danish": "en et den det de og i på med af til fra er som har for ved om eller ikke kan sine "
    "dens meget",
    "swedish": "en ett den det de och i på med av till från är som har för vid om eller inte kan "
    "sina dess mycket",
    "norwegian": "en ei et den det de og i på med av til fra er som har for ved om eller ikke kan "
    "sine dens veldig",
    "finnish": "ja on ei se joka jonka ovat kuin tai mutta sekä myös hyvin sen niiden",
    "polish": "i w z na do się jest są ze oraz od po przez dla lub jak który która które o a to "
    "nie jego jej",
    "czech": "a v s na do se je jsou ze od po pro nebo jako který která které o to není jeho její "
    "i k u",
    "slovak": "a v s na do sa je sú zo od po pre alebo ako ktorý ktorá ktoré o to nie jeho jej i k "
    "u",
    "hungarian": "a az és egy van nem hogy is vagy mint meg de nagyon annak",
    "romanian": "un o și de la cu în pe este sunt care din pentru sau al ale lui mai foarte cel "
    "cea",
    "turkish": "ve bir bu ile için olan çok gibi daha da de veya üzerinde olarak her",
    "indonesian": "dan yang di dengan dari untuk pada ini itu adalah atau seperti ke dalam sebuah "
    "memiliki",
    "vietnamese": "của và một có với là trong những các được cho trên màu con",
    "swahili": "na ya wa kwa ni la za cha katika yake wake yenye",
}
_SETS = {name: frozenset(words.split()) for name, words in _WORDS.items()}

LANGUAGES = tuple(_SETS)
"""English names of the languages that are known, in small letters."""

_WORD = re.compile(r"[^\W\d_]+")
_FEWEST, _TIMES = 2, 3


def main_language(texts: Iterable[str]) -> str:
    """Find the language that most of some texts are in.

    Args:
        texts: Any number of them.

    Returns:
        One of ``LANGUAGES``; empty where most of the texts do not tell, or tell of several.

    Example:
        >>> main_language(["The curled tail of a pug.", "A pug with a flat face and big eyes."])
        'english'
    """
    counts: dict[str, int] = {}
    for text in texts:
        found = _best(_words(text))
        counts[found] = counts.get(found, 0) + 1
    counts.pop("", None)
    best = max(counts, key=lambda name: counts[name], default="")
    return best if best and counts[best] > sum(counts.values()) / 2 else ""


def other_language(text: str, expected: str, name: str = "") -> str:
    """Find the language of a text that is not in the expected one.

    Args:
        text: A description.
        expected: One of ``LANGUAGES``; for any other the answer is always empty.
        name: The class, whose words may be of any language.

    Returns:
        One of ``LANGUAGES``; empty if the text is in the expected language, or does not tell.

    Example:
        >>> other_language("Un chat avec des oreilles pointues et un pelage roux.", "english")
        'french'
        >>> other_language("The bowl of a crème de la crème.", "english", "crème de la crème")
        ''
    """
    if expected not in _SETS:
        return ""
    words = _words(text) - _words(name)
    own = _SETS[expected]
    scores = {other: len(words & (_SETS[other] - own)) for other in LANGUAGES}
    best = max(scores, key=lambda other: scores[other])
    mine = len(words & (own - _SETS[best]))
    return best if scores[best] >= max(_FEWEST, _TIMES * mine + 1) else ""


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.casefold()))


def _best(words: set[str]) -> str:
    scores = sorted(((len(words & own), name) for name, own in _SETS.items()), reverse=True)
    (most, name), (second, _) = scores[:2]
    return name if most >= _FEWEST and most > second else ""
