"""What a guard does: which patterns it looks for, and what becomes of what it finds.

    ruling = compile_ruling(guard, hash, words)         None when it lets everything pass
    verdict = Verdict(ruling)
    verdict.asked(body)       a request's JSON with its masks; `verdict.check()` raises what blocks
    verdict.replied(body)     a reply's, with the tokens of the request turned back

A request is looked through for everything, a reply for all but injection and what requests
send as tokens. The text of system
prompts is the operator's or the caller's own, so no injection is looked for in it. What is
remembered of a finding is its type and what was done, never its text.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache
from itertools import accumulate

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from octoplex.reflex.guard.body import MUTE, glance, is_plain, rejoined, rewritten, timeless
from octoplex.reflex.guard.config import Action, Actions, Guard
from octoplex.reflex.guard.finding import Finding, Pattern
from octoplex.reflex.guard.leash import Leash
from octoplex.reflex.guard.masks import Hash, Vault, mask
from octoplex.reflex.guard.normal import pieces
from octoplex.reflex.guard.patterns import UNNAMED
from octoplex.reflex.guard.referee import Referee
from octoplex.reflex.guard.scan import Detector, custom, patterns, word
from octoplex.wire.error import BadConfig, Blocked

WORDS = "words"
KINDS = {"pii": "pii", "secrets": "secret", "injection": "injection"}
ALTERING = frozenset({"mask", "partial", "hash", "token", "block"})
_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|([nrt/]))")
_MEMBER = re.compile(r'(\\?)"\s*:\s*\Z').search
MEANT = {"n": "\n", "r": "\r", "t": "\t", "/": "/"}


class Ruling(Struct, eq=False):
    """A compiled guard. `actions` are by type; a type that is not there is allowed."""

    actions: Mapping[str, Action]
    asked: Detector | None
    """None: nothing is looked for in requests."""
    replied: Detector | None
    """None: nothing is looked for in replies."""
    keyed: Hash
    alters_replies: bool
    """A reply may be given otherwise than it came."""
    restores: bool
    """Requests may hold tokens, which replies turn back."""
    leash: Leash | None = None
    referee: Referee | None = None


def compile_ruling(
    guard: Guard, keyed: Hash, read: Callable[[str], str], referee: Referee | None = None
) -> Ruling | None:
    """Compile a table; None when it lets everything pass. `read` gives the text of `file:PATH`.

    Raises:
        BadConfig: an unknown type, a pattern that RE2 refuses, a list of no words.
    """
    known = patterns(unnamed=True)
    actions: dict[str, Action] = {}
    for member, kind in KINDS.items():
        given: Actions | None = getattr(guard, member)
        types = sorted({p.type for p in known if p.kind == kind})
        actions |= _by_type(given or "allow", types, member)
    wanted = [p for p in known if actions.get(p.type, "allow") != "allow"]
    if guard.words:
        actions[WORDS] = guard.words_action or "block"
        wanted.append(word(WORDS, _words(guard.words, read)))
    for name, own in (guard.patterns or {}).items():
        if name in actions:
            raise BadConfig(f"[guard.patterns.{name}]: the name is taken; choose another.")
        if not _NAME.fullmatch(name):
            raise BadConfig(
                f"[guard.patterns.{name}]: write its name in lower case letters, digits and _."
            )
        actions[name] = own.action
        wanted.append(custom(name, own.regex, own.longest))
    actions = {type_: action for type_, action in actions.items() if action != "allow"}
    leash = _leash(guard, keyed)
    if not actions and leash is None and referee is None:
        return None
    in_reply = [p for p in wanted if p.kind != "injection" and actions.get(p.type) != "token"]
    asked, replied = _prepared(wanted, streams=False), _prepared(in_reply, streams=True)
    acts = {actions[p.type] for p in in_reply if p.type in actions}
    return Ruling(
        actions,
        asked,
        replied,
        keyed,
        alters_replies=not ALTERING.isdisjoint(acts),
        restores="token" in actions.values(),
        leash=leash,
        referee=referee,
    )


def _prepared(wanted: Sequence[Pattern], *, streams: bool) -> Detector | None:
    if not wanted:
        return None
    detector = _detector(tuple(wanted))
    detector.prepare(streams=streams)
    return detector


@lru_cache(maxsize=8)
def _detector(wanted: tuple[Pattern, ...]) -> Detector:
    """One for all routes that look for the same, and for the file as it is after a reload.

    Making one takes up to 0.4 s and 10 MB, and other threads wait for it.
    """
    return Detector(wanted)


def _leash(guard: Guard, keyed: Hash) -> Leash | None:
    consequence = guard.untrusted or "allow"
    if consequence == "allow":
        return None
    return Leash(consequence, guard.reads or (), keyed)


def _by_type(given: Actions, types: Sequence[str], member: str) -> dict[str, Action]:
    if isinstance(given, str):
        given = {"default": given}
    for name in given.keys() - {"default", *types}:
        near = get_close_matches(name, types, 1)
        advice = f'did you mean "{near[0]}"?' if near else f"there are {', '.join(types)}."
        raise BadConfig(f'[guard] {member}: there is no type "{name}"; {advice}')
    usual = given.get("default", "allow")
    return {type_: given.get(type_, "allow" if type_ in UNNAMED else usual) for type_ in types}


def _words(given: Sequence[str], read: Callable[[str], str]) -> list[str]:
    found: list[str] = []
    for entry in given:
        lines = read(entry).splitlines() if entry.startswith("file:") else [entry]
        found += [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    if not found:
        raise BadConfig("[guard] words: there is no word in it.")
    return found


class Verdict:
    """What was found in one ask and its reply, and what was done about it."""

    __slots__ = ("counts", "ruling", "vault")

    def __init__(self, ruling: Ruling) -> None:
        self.ruling, self.vault = ruling, Vault()
        self.counts: dict[tuple[str, str], int] = {}

    def asked(self, body: bytes, name: str = "", *, system: bool = False) -> bytes:
        """A request's JSON, or that of a member, with what takes the place of findings."""
        return self._seen(body, name, self.ruling.asked, injection=not system)

    def replied(self, body: bytes) -> bytes:
        """A reply's JSON the same, with the originals of the request's tokens."""
        detector = self.ruling.replied
        if detector is not None:
            seen = self._seen(body, "", detector, injection=False)
            body = body if seen is body else without_logprobs(seen)
        return rewritten(body, lambda text, _: self.vault.restored(text)) if self.vault else body

    def arguments(self, text: str) -> str:
        """The arguments of a tool call in a reply, which stay JSON where they are."""
        said = self.replied(b'{"arguments":%b}' % msgspec.json.encode(text))
        return str(msgspec.json.decode(said)["arguments"])

    def named(self, name: str) -> str:
        """The name of the tool that a reply calls."""
        detector = self.ruling.replied
        return name if detector is None else self.told(name, "", detector)

    def _seen(self, body: bytes, name: str, detector: Detector | None, *, injection: bool) -> bytes:
        member = name.encode()
        if detector is None or (
            not member and is_plain(body) and detector.is_silent(timeless(body))
        ):
            return body
        if not find(detector, glance(body, member).decode("utf-8", "replace")):
            return body

        def change(text: str, name: str) -> str:
            return self.told(text, name, detector, injection=injection)

        body = rejoined(body, lambda texts: self._across(texts, detector, injection=injection))
        return rewritten(body, change, member)

    def across(self, texts: list[str]) -> list[str]:
        """Blocks of text of a reply that stand behind each other: see `_across`."""
        detector = self.ruling.replied
        return texts if detector is None else self._across(texts, detector, injection=False)

    def _across(self, texts: list[str], detector: Detector, *, injection: bool) -> list[str]:
        """Texts behind each other, with what takes the place of what begins in one and ends in
        another.
        """
        ends = list(accumulate(map(len, texts)))
        new = list(texts)
        for finding in reversed(find(detector, "".join(texts))):
            first, last = bisect_right(ends, finding.start), bisect_left(ends, finding.end)
            if first == last or (finding.kind == "injection" and not injection):
                continue
            action = self.ruling.actions.get(finding.type, "allow")
            if action not in ALTERING:
                self.count(finding.type, action)
                continue
            start, end = finding.start - ends[first] + len(texts[first]), finding.end
            mask = self.put(finding, "".join(texts))
            new[last] = new[last][end - ends[last] + len(texts[last]) :]
            new[first + 1 : last] = [""] * (last - first - 1)
            new[first] = new[first][:start] + mask
        return new

    def told(self, text: str, name: str, detector: Detector, *, injection: bool = True) -> str:
        """A text with what takes the place of findings.

        What its member is called counts as said before it: `password`, `date_of_birth`.
        """
        before = "" if name.encode() in MUTE else f"{name}: "
        size = len(before)
        found = [f for f in find(detector, before + text) if f.start >= size]
        moved = [replace(f, start=f.start - size, end=f.end - size) for f in found]
        return self.changed(text, moved, injection=injection)

    def changed(self, text: str, findings: Sequence[Finding], *, injection: bool = True) -> str:
        """The text with what takes the place of these findings, which are counted."""
        pieces: list[str] = []
        at = 0
        for finding in findings:
            action = self.ruling.actions.get(finding.type, "allow")
            if action == "allow" or (finding.kind == "injection" and not injection):
                continue
            if action in ALTERING:
                pieces += (text[at : finding.start], self.put(finding, text))
                at = finding.end
            else:
                self.count(finding.type, action)
        return "".join((*pieces, text[at:])) if pieces else text

    def put(self, finding: Finding, text: str) -> str:
        """What takes the place of a finding in a text; it is counted.

        A number that is a value in JSON becomes a string, so that it stays JSON.
        """
        action = self.ruling.actions[finding.type]
        self.count(finding.type, action)
        covered = text[finding.start : finding.end]
        made = mask(action, finding, covered, self.vault, self.ruling.keyed)
        value = _MEMBER(text, max(0, finding.start - 8), finding.start)
        return f'{value[1]}"{made}{value[1]}"' if value and covered.isdigit() else made

    def count(self, type_: str, action: Action) -> None:
        """One more finding."""
        self.counts[(type_, action)] = self.counts.get((type_, action), 0) + 1

    def check(self, where: str) -> None:
        """Refuse what is blocked.

        Raises:
            Blocked: naming the types.
        """
        types = sorted(type_ for type_, action in self.counts if action == "block")
        if types:
            raise Blocked(
                f"The guard does not let {where} pass, because of {', '.join(types)} in it.",
                types=",".join(types),
            )


def find(detector: Detector, text: str) -> list[Finding]:
    """What is found in a text, also behind the escapes of JSON or code in it."""
    looked, starts = meant(text)
    return [replace(f, start=starts[f.start], end=starts[f.end]) for f in detector.find(looked)]


def meant(text: str) -> tuple[str, Sequence[int]]:
    """What a text says behind the escapes of JSON or code in it, and where in the text each
    character of that begins.

    Halves of surrogate pairs are no text.
    """
    if "\\" not in text:
        return _sane(text), range(len(text) + 1)
    pieces: list[str] = []
    starts: list[int] = []
    at = 0
    for match in _ESCAPE.finditer(text):
        pieces += (text[at : match.start()], _meant(match))
        starts += range(at, match.start() + 1)
        at = match.end()
    pieces.append(text[at:])
    starts += range(at, len(text) + 1)
    return _sane("".join(pieces)), starts


def _meant(match: re.Match[str]) -> str:
    """The one character that an escape stands for."""
    return chr(int(match[1], 16)) if match[1] else MEANT[match[2]]


def _sane(text: str) -> str:
    if text.isascii():
        return text
    return "".join([SURROGATE.sub("\ufffd", piece) for piece in pieces(text)])


def without_logprobs(body: bytes) -> bytes:
    """A reply that was changed, without the tokens that spell out what it said before."""
    if b'"logprobs' not in body:
        return body
    try:
        reply = msgspec.json.decode(body)
        for choice in reply.get("choices", ()):
            choice["logprobs"] = None
        for candidate in reply.get("candidates", ()):
            candidate.pop("logprobsResult", None)
        for item in reply.get("output", ()):
            for part in item.get("content") or ():
                if "logprobs" in part:
                    part["logprobs"] = []
    except (msgspec.DecodeError, AttributeError, TypeError):  # no chat's
        return body
    return bytes(msgspec.json.encode(reply))
