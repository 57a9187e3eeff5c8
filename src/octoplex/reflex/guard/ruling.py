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
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches

from msgspec import Struct

from octoplex.reflex.guard.body import glance, rewritten
from octoplex.reflex.guard.config import Action, Actions, Guard
from octoplex.reflex.guard.finding import Finding
from octoplex.reflex.guard.masks import Hash, Vault, mask
from octoplex.reflex.guard.scan import Detector, custom, patterns, word
from octoplex.wire.error import BadConfig, Blocked

WORDS = "words"
KINDS = {"pii": "pii", "secrets": "secret", "injection": "injection"}
ALTERING = frozenset({"mask", "partial", "hash", "token", "block"})
_SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPE = re.compile(r"\\[nrt]")


class Ruling(Struct, eq=False):
    """A compiled guard. `actions` are by type; a type that is not there is allowed."""

    actions: Mapping[str, Action]
    asked: Detector
    replied: Detector | None
    """None: nothing is looked for in replies."""
    keyed: Hash
    alters_replies: bool
    """A reply may be given otherwise than it came."""
    restores: bool
    """Requests may hold tokens, which replies turn back."""


def compile_ruling(guard: Guard, keyed: Hash, read: Callable[[str], str]) -> Ruling | None:
    """Compile a table; None when it lets everything pass. `read` gives the text of `file:PATH`.

    Raises:
        BadConfig: an unknown type, a pattern that RE2 refuses, a list of no words.
    """
    known = patterns()
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
        actions[name] = own.action
        wanted.append(custom(name, own.regex, own.longest))
    actions = {type_: action for type_, action in actions.items() if action != "allow"}
    if not actions:
        return None
    in_reply = [p for p in wanted if p.kind != "injection" and actions.get(p.type) != "token"]
    acts = {actions[p.type] for p in in_reply if p.type in actions}
    return Ruling(
        actions,
        Detector(wanted),
        Detector(in_reply) if in_reply else None,
        keyed,
        alters_replies=not ALTERING.isdisjoint(acts),
        restores="token" in actions.values(),
    )


def _by_type(given: Actions, types: Sequence[str], member: str) -> dict[str, Action]:
    if isinstance(given, str):
        return dict.fromkeys(types, given)
    for name in given.keys() - {"default", *types}:
        near = get_close_matches(name, types, 1)
        advice = f'did you mean "{near[0]}"?' if near else f"there are {', '.join(types)}."
        raise BadConfig(f'[guard] {member}: there is no type "{name}"; {advice}')
    return {type_: given.get(type_, given.get("default", "allow")) for type_ in types}


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

    def asked(self, body: bytes, *, system: bool = False) -> bytes:
        """A request's JSON, or a part of it, with what takes the place of findings."""
        return self._seen(body, self.ruling.asked, injection=not system)

    def replied(self, body: bytes) -> bytes:
        """A reply's JSON the same, with the originals of the request's tokens."""
        detector = self.ruling.replied
        if detector is not None:
            body = self._seen(body, detector, injection=False)
        return rewritten(body, self.vault.restored) if self.vault else body

    def _seen(self, body: bytes, detector: Detector, *, injection: bool) -> bytes:
        if not detector.find(sane(glance(body).decode("utf-8", "replace"))):
            return body

        def change(text: str) -> str:
            return self.changed(text, detector.find(sane(text)), injection=injection)

        return rewritten(body, change)

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
        """What takes the place of a finding in a text; it is counted."""
        action = self.ruling.actions[finding.type]
        self.count(finding.type, action)
        covered = text[finding.start : finding.end]
        return mask(action, finding, covered, self.vault, self.ruling.keyed)

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


def sane(text: str) -> str:
    """The text as it is looked through, of the same length.

    Halves of surrogate pairs are no text. The line ends of JSON or code in a text are written
    as letters, which would hide what stands after them.
    """
    if "\\" in text:
        text = _ESCAPE.sub("  ", text)
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)
