"""Hard facts of a text: what must be the same in two texts however alike they sound.

`5` and `6`, `with` and `without`, Mars and Venus stand for little in a vector and for everything
in an answer. So two texts are compared only if all of these are equal:

- in this order: numbers, words that hold signs or capitals (names, code, addresses), operators;
- how often something is denied, in ten languages;
- words that have an opposite (`before`, `enable`, `max`), in English;
- what stands in quotation marks, letter by letter.

A sentence's first word counts, whatever its case, unless many sentences begin with it; a word
that is written with a capital elsewhere counts as a name, in German each noun. Where
in doubt two texts differ: that costs a hit.

Not promised: that an opposite of which nobody thought, or one in another language, is found;
hits in languages that write no spaces, where a sentence is one word.
"""

import re
import unicodedata

_QUOTED = re.compile(r'"([^"]+)"|“([^”]+)”|„([^“”]+)[“”]|«([^»]+)»|`([^`]+)`')
_PIECE = re.compile(r"\S+")
_EDGES = ".,;:!?¿¡…'()[]\"“”„«»"
_ENDS = ".!?:…"
_WORD = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*")
_PLAIN = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_POLITE = re.compile(r"^\W*(?:please\W+|(?:can|could|would|will) you\W+)+")
_DENIED_IN = re.compile("[不没無无未]|ない|ません")
_NUMBERS = "two three four five six seven eight nine ten eleven twelve"


def _all(words: str) -> frozenset[str]:
    return frozenset(words.split())


FILLERS = _all(
    "a an the do does can could is are please explain der die das ein eine kann la le les"
)
"""Words that may be there or not, where only words are compared. Others say who, when or where."""
OPENERS = _all(
    """
    a an the i im ive my we our you your it its is are was were am be do does did can could would
    will shall should may might must has have had what whats which who whos whom whose when where
    wheres why how hows please tell give show explain describe write compose help suggest list
    summarise summarize translate convert if in on at for of to and or but so hi hello hey thanks
    there this that these those let make was wer wie wo wann warum welche welcher welches kann
    können ist sind ich der die das ein eine bitte qui que quoi quel quelle quels quelles où quand
    pourquoi comment est je le la les un une puis qué cómo dónde cuándo cuál por puedo el los las
    es che cosa come dove quando quali quale il lo gli o os as qual quais onde como
    """
)
"""First words of sentences that say nothing by themselves."""
DENIALS = _all(
    """
    not no never none nobody nothing neither nor without cannot nicht kein keine keinen keinem
    keiner nie niemals ohne ne pas jamais sans aucun aucune sin nunca nada ningún ninguna non
    senza mai nessun nessuno não nem sem niet geen zonder nooit не нет без никогда
    """
)
OPPOSED = _all(
    """
    after before first last second third min max minimum maximum increase decrease raise lower
    ascending descending left right up down off out add remove delete create open close enable
    disable activate deactivate import export encrypt decrypt upload download install uninstall
    upgrade downgrade more less fewer most least largest smallest biggest highest lowest longest
    shortest best worst high low advantages disadvantages pros cons legal illegal include exclude
    within from than yes true false always start stop begin end buy sell send receive win lose
    accept reject allow deny avoid freezing boiling hot cold inflation deflation above below over
    under inside outside earlier later older newer minute hour day week month year daily weekly
    monthly yearly morning evening monday tuesday wednesday thursday friday saturday sunday
    """
)
NUMBERS = {word: str(value) for value, word in enumerate(_NUMBERS.split(), 2)}


Facts = tuple[tuple[str, ...], int, tuple[str, ...], tuple[str, ...]]


def facts(text: str) -> Facts:
    """Everything that must be equal; two texts with other facts are never the same."""
    text = _normal(text)
    quoted = tuple(["".join(match.groups("")) for match in _QUOTED.finditer(text)])
    named: list[str] = []
    opposed: list[str] = []
    denied, starts = len(_DENIED_IN.findall(text)), True
    for piece in _PIECE.findall(_QUOTED.sub(" ", text)):
        bare = piece.strip(_EDGES)
        word = bare.casefold()
        known = word.replace("'", "")
        if word in DENIALS or word.endswith("n't"):
            denied += 1
        elif known in OPPOSED:
            opposed.append(known)
        elif _tells(bare, starts):
            named.append(NUMBERS.get(word, word if starts else bare))
        elif not bare:
            named.append(piece.strip(_ENDS))  # an operator; mostly nothing
        starts = piece[-1] in _ENDS or (starts and not bare)
    return tuple(filter(None, named)), denied, tuple(sorted(opposed)), quoted


def _tells(bare: str, starts: bool) -> bool:
    """Whether a word is a name, a number, code, or the first of its sentence that is unusual."""
    if not bare:
        return False
    known = bare.casefold().replace("'", "")
    if known in NUMBERS or not _WORD.fullmatch(bare):
        return True
    if starts:
        return known not in OPENERS
    return bare != bare.lower() and known not in ("i", "im", "ive")


def words(text: str) -> tuple[str, ...]:
    """The words that say something, in their order, whatever their case."""
    plain = _POLITE.sub("", _normal(text).casefold())
    found = (word.removesuffix("'s") for word in _PLAIN.findall(plain))
    return tuple([word for word in found if word.replace("'", "") not in FILLERS])


def _normal(text: str) -> str:
    return unicodedata.normalize("NFKC", text).replace("\u2019", "'")
