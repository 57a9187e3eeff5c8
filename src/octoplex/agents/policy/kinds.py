"""Kinds of words: what a word of a command may be, and what it then means to the policy.

    KINDS["path"]("data/../../etc/passwd", place)      raises Failed("refused")

A kind looks at one word and gives what the program is given. Paths are collected, so that what a
step was granted decides about them, and are given as they were understood: relative, and never
like an option. None of them is the boundary, which is the sandbox.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType

from msgspec import Struct, field

from octoplex.agents.place import covers, place_of
from octoplex.agents.words import Failed
from octoplex.sandbox.bubblewrap import PROTECTED
from octoplex.transport.public import is_public_name

LONGEST = 100_000
_SHELL = re.compile(r"[;|&<>`\n]|\$[({A-Za-z_0-9]")
_GLOB = re.compile(r"[*?]")
_URL = re.compile(
    r"(https?)://([0-9a-z](?:[0-9a-z.\-]*[0-9a-z])?)(?::(\d{1,5}))?"
    r"(?:[/?][A-Za-z0-9._~!$&'()*+,;=:@%/?\-]*)?"
)
_PORTS = MappingProxyType({"http": 80, "https": 443})
_REGEX = r"(?:[^\\/\n]|\\.)*"
_SED = re.compile(
    rf"(?:(?:\d+|\$|/{_REGEX}/)(?:,(?:\d+|\$|/{_REGEX}/))?)?"
    rf"(?:[pd=]|s/{_REGEX}/{_REGEX}/[gIp0-9]*|s\|(?:[^\\|\n]|\\.)*\|(?:[^\\|\n]|\\.)*\|[gIp0-9]*)"
)
_SHAPES = MappingProxyType(
    {
        "number": (r"[+\-]?\d{1,12}", "a number"),
        "size": (r"[+\-]?\d{1,12}[bcwkMG]?", "a size, like 10k"),
        "list": (r"[0-9,+\-]{1,200}", "numbers, like 1,3-5"),
        "key": (r"[0-9.,bdfghinMrRV]{1,40}", "a key, like 2,2n"),
        "letter": (r"[^\0\n\\]|\\[tn0]", "one character"),
        "letters": (r"[A-Za-z_][A-Za-z0-9_\-]{0,63}", "one word of letters and digits"),
        "clock": (r"\+[A-Za-z0-9%:/_., \-]{0,80}", "a format that begins with +"),
        "header": (
            r"(?i:accept|accept-language|user-agent): [\x20-\x7e]{0,200}",
            "Accept, Accept-Language or User-Agent with a plain value",
        ),
        "revision": (
            r"(?!.*(?:/\.\.|\.\./))[A-Za-z0-9_@][A-Za-z0-9_./@~^{}+\-]{0,200}"
            r"(?::[A-Za-z0-9_./ \-]{1,300})?",
            "a commit, branch or range",
        ),
        "glob": (r"[^\0\n/\-][^\0\n]{0,300}", "a pattern for names"),
    }
)
"""Words of one shape, and what they must be."""


class Meant(Struct):
    """What the words of a command come down to."""

    workspace: Path
    reads: list[str] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)
    hosts: list[str] = field(default_factory=list)


Kind = Callable[[str, Meant], str]


def _path(word: str, meant: Meant) -> str:
    place = _placed(word, meant)
    meant.reads.append(place)
    return _given(place)


def _made(word: str, meant: Meant) -> str:
    place = _placed(word, meant)
    if not place:
        raise _refused(word, "the workspace itself stays")
    if any(covers(name, place) for name in (".git", *PROTECTED)):
        raise _refused(word, "tools of the host obey it")
    meant.writes.append(place)
    return _given(place)


def _placed(word: str, meant: Meant) -> str:
    if word in ("", "-"):
        raise _refused(word, "a file must be named; there is no input to read")
    if found := _SHELL.search(word) or _GLOB.search(word):
        raise _refused(word, f"no shell reads {found[0]!r} here; name files as they are")
    place = place_of(word)
    at, real = meant.workspace, os.path.realpath(meant.workspace)
    for part in place.split("/") if place else ():
        at = at / part
        if at.is_symlink() and not Path(os.path.realpath(at)).is_relative_to(real):
            raise _refused(word, "it is a link that leads out of the workspace")
    return place


def _given(place: str) -> str:
    """A path as a program is given it: what begins with a dash is no option."""
    return f"./{place}" if place.startswith("-") else place or "."


def _text(word: str, _: Meant) -> str:
    return word


def _plain(word: str, _: Meant) -> str:
    if found := _SHELL.search(word):
        raise _refused(word, f"no shell reads {found[0]!r}; make it two steps, or use Python")
    return word


def _pattern(word: str, _: Meant) -> str:
    if "\n" in word or len(word) > 1_000:
        raise _refused(word, "a pattern is one line of at most 1,000 characters")
    return word


def _sed(word: str, _: Meant) -> str:
    if not _SED.fullmatch(word):
        raise _refused(word, "of sed there are p, d, = and s/A/B/ with g, I, p and a number")
    return word


def _module(word: str, meant: Meant) -> str:
    """A dotted name, or a path of tests."""
    return word if re.fullmatch(r"[A-Za-z_][\w]*(\.[A-Za-z_]\w*)*", word) else _tests(word, meant)


def _tests(word: str, meant: Meant) -> str:
    path, colons, name = word.partition("::")
    if colons and not re.fullmatch(r"[\w:\[\]\-]{1,200}", name):
        raise _refused(word, "it is no name of a test")
    return _path(path, meant) + colons + name


def _url(word: str, meant: Meant) -> str:
    match = _URL.fullmatch(word)
    if match is None:
        raise _refused(word, "write a whole URL like https://api.example.com/path, in plain ASCII")
    scheme, host, port = match[1], match[2], int(match[3] or 0)
    if not is_public_name(host):
        raise _refused(word, f"{host} is no name of the public network")
    meant.hosts.append(host if port in (0, _PORTS[scheme]) else f"{host}:{port}")
    return word


def _shaped(pattern: str, needed: str) -> Kind:
    shape = re.compile(pattern)

    def look(word: str, _: Meant) -> str:
        if not shape.fullmatch(word):
            raise _refused(word, f"it must be {needed}")
        return word

    return look


KINDS: "MappingProxyType[str, Kind]" = MappingProxyType(
    {kind: _shaped(*said) for kind, said in _SHAPES.items()}
    | {
        "path": _path,
        "made": _made,
        "text": _text,
        "plain": _plain,
        "pattern": _pattern,
        "sed": _sed,
        "module": _module,
        "url": _url,
    }
)


def _refused(word: str, why: str) -> Failed:
    return Failed("refused", f"{word[:80]!r} may not stand there: {why}.")
