"""Whether a command may be run: its words against its grammar, and what they mean against a grant.

    command = permitted(["grep", "-rn", "sales", "data"], grant, workspace)
    command.argv        ["grep", "-rn", "--", "sales", "data"], as it is run
    command.changes     False: the workspace is shown read-only

A command is a list of words that no shell reads. What is not in `commands.toml` is refused: a
command, an option, the short form of a long one, a word too many. It says what to write instead,
because a model reads it.

This is policy: it keeps a step to what it is for and gives early and clear refusals. That a
program can do no harm is the sandbox's part, which holds for any argv.
"""

import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path

import msgspec
from msgspec import Struct

from octoplex.agents.capability import Grant
from octoplex.agents.policy.kinds import KINDS, LONGEST, Meant
from octoplex.agents.words import Failed

MOST_WORDS = 1_000
_REPEATED = "*+?"


class Program(Struct, frozen=True, forbid_unknown_fields=True):
    """What a program is always given: words behind its name, and variables."""

    front: tuple[str, ...] = ()
    env: dict[str, str] = {}


class Grammar(Struct, frozen=True, forbid_unknown_fields=True):
    """The words that a command may have; `commands.toml` says what each member is."""

    flags: str = ""
    options: dict[str, str] = {}
    words: tuple[str, ...] = ()
    rest: str = ""
    instead: str = ""
    front: tuple[str, ...] = ()
    answers: tuple[int, ...] = (0,)
    numbered: bool = False
    whole: bool = False
    ends: bool = False
    changes: bool = False
    dashes: bool = True
    joins: bool = True


class Table(Struct, frozen=True, forbid_unknown_fields=True):
    """All of them, by name; a command's name may have several words."""

    programs: dict[str, Program]
    commands: dict[str, Grammar]


class Command(Struct, frozen=True):
    """What may be run. `name` is what people and evidence call it, `files` are handed in, `answers`
    its good ends; places lie below the workspace, which is shown read-only without `changes`."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = {}
    hosts: Sequence[str] = ()
    answers: Sequence[int] = (0,)
    changes: bool = True
    files: Mapping[str, bytes] = {}
    reads: Sequence[str] = ()
    writes: Sequence[str] = ()


@cache
def table() -> Table:
    """The commands that are known."""
    text = (files("octoplex.agents.policy") / "commands.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(text), Table)


def permitted(argv: Sequence[str], grant: Grant, workspace: Path) -> Command:
    """The command, as it is run.

    Raises:
        Failed: it is not allowed; says which word, and what to write.
    """
    words = _sane(argv)
    name, rest = _named(words)
    grant.need(f"run:{words[0]}")
    grammar = table().commands[name]
    meant = Meant(workspace)
    given = _Words(name, grammar, meant).read(rest)
    for place in meant.reads:
        grant.need(f"read:workspace/{place}")
    for place in meant.writes:
        grant.need(f"write:workspace/{place}")
    for host in meant.hosts:
        grant.need(f"net:{host}")
    program, *sub = name.split(" ")
    own = table().programs.get(program, Program())
    return Command(
        name=name,
        argv=(program, *own.front, *sub, *grammar.front, *given),
        env=own.env,
        hosts=tuple(meant.hosts),
        answers=grammar.answers,
        changes=grammar.changes,
        reads=tuple(meant.reads),
        writes=tuple(meant.writes),
    )


def _sane(argv: Sequence[str]) -> list[str]:
    words = list(argv)
    if isinstance(argv, str) or not words or not all(isinstance(word, str) for word in words):
        raise Failed("refused", "A command is a list of words, the program first.")
    if len(words) > MOST_WORDS or sum(map(len, words)) > LONGEST:
        raise Failed("refused", f"A command has at most {MOST_WORDS:,} words.")
    for word in words:
        if "\0" in word or any("\ud800" <= letter <= "\udfff" for letter in word):
            raise Failed("refused", f"{word[:80]!r} has a character that no word can have.")
    return words


def _named(words: Sequence[str]) -> tuple[str, list[str]]:
    """The longest name that the words begin with, and the words behind it."""
    for size in (4, 3, 2, 1):
        name = " ".join(words[:size])
        if len(words) >= size and name.count(" ") == size - 1 and name in table().commands:
            return name, list(words[size:])
    known = [name for name in table().commands if name.split(" ")[0] == words[0]]
    if known:
        begin = " ".join(words[:2])[:60]
        raise Failed("refused", f"{begin!r} may not be run; there is {', '.join(known)}.")
    raise Failed(
        "refused",
        f"{words[0][:60]!r} is not a command that may be run; there are "
        f"{', '.join(sorted({name.split(' ')[0] for name in table().commands}))}.",
    )


class _Words:
    """Reads the words of one command."""

    def __init__(self, name: str, grammar: Grammar, meant: Meant) -> None:
        self._name, self._grammar, self._meant = name, grammar, meant
        self._options: list[str] = []
        self._plain: list[str] = []
        self._behind: list[str] | None = None
        self._seen: set[str] = set()

    def read(self, words: list[str]) -> list[str]:
        """The words as the program is given them."""
        left = words[::-1]
        while left:
            word = left.pop()
            if word == "--":
                self._behind = left[::-1]
                break
            if word in self._grammar.options or (word.startswith("-") and word != "-"):
                self._option(word, left)
            else:
                self._plain.append(word)
                if self._grammar.ends:
                    self._plain += left[::-1]
                    break
        return self._joined()

    def _joined(self) -> list[str]:
        grammar = self._grammar
        behind = self._behind or []
        if behind and not grammar.rest:
            self._plain, behind = [*self._plain, *behind], []
        plain = self._matched(self._plain)
        rest = [KINDS[grammar.rest](word, self._meant) for word in behind]
        if grammar.whole:
            return [*plain, *self._options]
        if grammar.rest and not grammar.ends:
            return [*self._options, *plain, *(("--", *rest) if rest else ())]
        dashes = ("--",) if plain and grammar.dashes and not grammar.ends else ()
        for word in () if dashes or grammar.ends else plain:
            if word.startswith("-"):
                raise self._unknown(word)
        return [*self._options, *dashes, *plain, *rest]

    def _option(self, word: str, left: list[str]) -> None:
        grammar = self._grammar
        if word in grammar.options:
            self._with_value(word, grammar.options[word], left)
        elif grammar.numbered and word[1:].isdecimal() and word.isascii() and len(word) < 12:
            self._options.append(word)
        elif grammar.whole:
            raise self._unknown(word)
        elif word.startswith("--"):
            name, equals, value = word.partition("=")
            kind = grammar.options.get(name, "")
            if not equals or not kind or " " in kind:
                raise self._unknown(word)
            self._seen.add(name)
            self._options.append(f"{name}={KINDS[kind](value, self._meant)}")
        else:
            self._letters(word, left)

    def _with_value(self, name: str, kinds: str, left: list[str]) -> None:
        """An option with its values, which are the next words."""
        self._seen.add(name)
        values = []
        for kind in kinds.split():
            if not left:
                raise Failed("refused", f"{self._name}: {name} needs a value ({kind}).")
            values.append(KINDS[kind](left.pop(), self._meant))
        if len(values) == 1 and name.startswith("--") and self._grammar.joins:
            self._options.append(f"{name}={values[0]}")  # so that it cannot be an option itself
        else:
            self._options += [name, *values]

    def _letters(self, word: str, left: list[str]) -> None:
        """Short options that are joined; the last one may have a value, in the word or behind."""
        for at, letter in enumerate(word[1:], 1):
            name = f"-{letter}"
            if letter in self._grammar.flags or self._grammar.options.get(name) == "":
                self._seen.add(name)
                self._options.append(name)
                continue
            kind = self._grammar.options.get(name, "")
            if not kind or " " in kind:
                raise self._unknown(name if len(word) > 2 else word)
            if at + 1 < len(word):
                left.append(word[at + 1 :])
            self._with_value(name, kind, left)
            return

    def _matched(self, words: list[str]) -> list[str]:
        """Other words, each by its kind."""
        kinds = list(self._grammar.words)
        if self._grammar.instead in self._seen:
            kinds = kinds[1:]
        least = sum(kind[-1] not in "*?" for kind in kinds)
        many = next((at for at, kind in enumerate(kinds) if kind[-1] in "*+"), None)
        if len(words) < least or (many is None and len(words) > len(kinds)):
            wanted = " ".join(kinds) or "no other words"
            raise Failed("refused", f"{self._name} takes {wanted}; it was given {len(words)}.")
        if many is not None:
            spare = len(words) - (len(kinds) - 1)
            kinds[many : many + 1] = [kinds[many]] * max(spare, 0)
        return [
            KINDS[kind.rstrip(_REPEATED)](word, self._meant)
            for kind, word in zip(kinds, words, strict=False)
        ]

    def _unknown(self, word: str) -> Failed:
        known = [*(f"-{letter}" for letter in self._grammar.flags), *self._grammar.options]
        there = ", ".join(known) or "no options"
        return Failed(
            "refused", f"{self._name}: {word[:60]!r} may not be given; there are {there}."
        )
