"""The guard as a layer: what may not pass, in a request or its reply, does not.

    answerer = guarded(inner, ruling_of)

A request is changed before anybody below sees it: routing, cache and provider. A whole reply is
changed in its bytes. A stream that may have to be changed is read, and written again from its
events; where its findings are only flagged it passes as it came.

Not looked at: media, embeddings, and the streams of operations that nobody here reads, which are
refused where a reply would have to be changed.
"""

import asyncio
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any
from urllib.parse import unquote_plus

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from octoplex.reflex.guard.body import SNIFFED, glance, is_plain, is_text, timeless
from octoplex.reflex.guard.late import Late
from octoplex.reflex.guard.ruling import Ruling, Verdict, find
from octoplex.reflex.guard.scan import Detector
from octoplex.reflex.guard.stream import Flows
from octoplex.wire.answer import Answer, Answerer, Ended, Frame, Outcome, Whole
from octoplex.wire.ask import Ask, Call, Passed, Single
from octoplex.wire.beside import beside, understood
from octoplex.wire.error import Blocked, CallerError, GatewayError, InvalidCall
from octoplex.wire.event import Block, Refusal, Reply, Text, Thinking, ToolUse

RulingOf = Callable[[Ask], Ruling | None]
MUCH = 16_000
"""Bytes from which a body is looked through beside the event loop: findings take 40 us each."""
UNREAD = frozenset({"complete", "pass"})
"""Operations whose streams nobody here reads."""
UNREADABLE_STREAM = (
    "The guard of this model changes replies, and cannot do so in a stream of this operation; ask "
    "without `stream`."
)
STREAMS = re.compile(rb'"stream"\s*:\s*true').search
CUSTOM = re.compile(rb'"type"\s*:\s*"custom"').search
ELSEWHERE = frozenset({"previous_response_id", "conversation"})
_BOUNDARY = re.compile(r"(?i:multipart/[^;]*;.*\bboundary)=\"?([^\";]+)")
BOM = b"\xef\xbb\xbf"
NO_TEXT = frozenset({"embed", "count_tokens"})
"""Operations whose replies hold none."""
NAMES = frozenset({"model", "models"})
SYSTEM = frozenset({"system", "instructions", "systemInstruction", "system_instruction"})
TURNS = frozenset({"messages", "input", "contents"})
SYSTEM_ROLES = frozenset({"system", "developer"})


class _Turn(msgspec.Struct):
    role: str | None = None


_list = msgspec.json.Decoder(list[Raw]).decode
_turn = msgspec.json.Decoder(_Turn).decode
_encode = msgspec.json.Encoder().encode


def guarded(inner: Answerer, ruling_of: RulingOf) -> Answerer:
    """Keep from the inner Answerer, and from its caller, what the ruling of an ask forbids.

    Raises (the answerer):
        Blocked: the request, or the whole reply, holds what is blocked.
    """

    async def guard(ask: Ask) -> Answer:
        ruling = ruling_of(ask)
        if ruling is None:
            return await inner(ask)
        leash = ruling.leash
        if leash is None or not isinstance(ask, Call) or ask.op != "chat":
            return await looked_through(ask, ruling)
        await understood(ask)
        tied = leash.tied(ask)
        answer = await looked_through(ask, ruling)
        return leash.held(ask, answer) if tied else answer

    async def looked_through(ask: Ask, ruling: Ruling) -> Answer:
        _check_form(ask, ruling)
        verdict = Verdict(ruling)
        ask.trail.findings = verdict.counts
        if len(ask.raw) < MUCH:
            safe = _asked(ask, verdict)
        else:
            safe = await asyncio.to_thread(_asked, ask, verdict)
            if isinstance(safe, Call) and safe.may_hold_media:
                await beside(len(safe.raw), safe.worst_case)
        if ruling.referee is not None and isinstance(safe, Call) and safe.op == "chat":
            await ruling.referee.check(inner, safe, verdict.counts)
        answer = await inner(safe)
        if ask.op in NO_TEXT or (ruling.replied is None and not verdict.vault):
            return answer
        if len(answer.body or b"") < MUCH:
            return _answered(ask, answer, verdict)
        return await asyncio.to_thread(_answered, ask, answer, verdict)

    return guard


def _asked(ask: Ask, verdict: Verdict) -> Ask:
    """The ask without what may not pass; the same object where nothing was found."""
    detector = verdict.ruling.asked
    if detector is None:
        return ask
    if isinstance(ask, Call | Single):
        fields = {name: raw for name, raw in ask.fields.items() if name not in NAMES}
        turns = TURNS if isinstance(ask, Call) else frozenset()  # to embed is a list of anything
        if all(is_clean(piece, name, detector) for name, piece in _pieces(fields, turns)):
            return ask
        safe = {
            name if name in NAMES else verdict.told(name, "", detector):
            raw if name in NAMES else _member(name, bytes(raw), verdict)
            for name, raw in ask.fields.items()
        }  # fmt: skip
        verdict.check("this request")
        return _with(ask, safe)
    assert isinstance(ask, Passed)
    return _passed(ask, verdict, detector)


def _pieces(fields: Mapping[str, Raw], turns: Collection[str]) -> Iterator[tuple[bytes, bytes]]:
    """Each turn on its own, with its member's name, and all that is no turn as one."""
    rest: list[bytes] = []
    for name, raw in fields.items():
        told = _turns(raw) if name in turns else None
        if told is None:
            rest.append(b'"%b":%b' % (name.encode(), bytes(raw)))
        else:
            for turn in told:
                yield name.encode(), turn
    yield b"", b"{%b}" % b",".join(rest)


def is_clean(piece: bytes, name: bytes, detector: Detector) -> bool:
    """Whether nothing is found in it. A conversation says again what it said, so that is known."""
    mark = detector.known.mark(name, piece)
    if mark in detector.known:
        return True
    if not (is_plain(piece) and detector.is_silent(timeless(piece))) and find(
        detector, glance(piece, name).decode("utf-8", "replace")
    ):
        return False
    detector.known.add(mark)
    return True


def _passed(ask: Passed, verdict: Verdict, detector: Detector) -> Ask:
    """A request that goes on as it came: JSON and text are looked through, and its URL."""

    def change(text: str) -> str:
        return verdict.told(text, "", detector)

    sent = dict(ask.sent)
    named = f"{unquote_plus(ask.path)}\n{sent.get('x-goog-upload-file-name', '')}"
    if change(named) != named:
        raise Blocked("The guard does not let this request pass, because of what its URL holds.")
    kind = sent.get("content-type", "")
    body = ask.raw.removeprefix(BOM)
    boundary = _BOUNDARY.search(kind)
    if body.lstrip()[:1] in (b"{", b"[") or "json" in kind.lower():
        if b"\0" in body:
            raise InvalidCall("Under a guard JSON must be UTF-8.")
        body = verdict.asked(body)
    elif boundary:
        edge = b"--" + boundary[1].encode()
        body = edge.join([_part(part, change) for part in body.split(edge)])
    else:
        body = _text_of(body, change, odd=kind.lower().startswith("text/"))
    verdict.check("this request")
    return ask if body == ask.raw else replace(ask, raw=body)


def _part(part: bytes, change: Callable[[str], str]) -> bytes:
    """A part of a form: its names, and its content where that is text."""
    head, gap, content = part.partition(b"\r\n\r\n")
    return gap.join([_text_of(head, change), _text_of(content, change)]) if gap else part


def _text_of(body: bytes, change: Callable[[str], str], *, odd: bool = False) -> bytes:
    """A body with its text changed; as it came where it is none. `odd`: it is, though no UTF-8."""
    try:
        if not odd and not is_text(body[:SNIFFED]):
            return body
        text = body.decode("utf-8", "replace" if odd else "strict")
    except UnicodeDecodeError:
        return body
    told = change(text)
    return body if told == text else told.encode()


def _check_form(ask: Ask, ruling: Ruling) -> None:
    """Refuse before it is paid for what could not be given as the guard wants it.

    Raises:
        InvalidCall: naming the member to send otherwise.
    """
    if ruling.alters_replies or ruling.restores:
        streamed = STREAMS(ask.raw) if isinstance(ask, Passed) else ask.stream
        if streamed and ask.op in UNREAD:
            raise InvalidCall(UNREADABLE_STREAM, param="stream")
        if isinstance(ask, Call) and ask.stream:
            _check_stream(ask)
    if ruling.restores and isinstance(ask, Call):
        for name in ELSEWHERE & ask.fields.keys():
            raise InvalidCall(
                f"The guard of this model gives tokens for texts, and those of a `{name}` that "
                "its provider keeps are not known here.",
                param=name,
            )


def _check_stream(ask: Call) -> None:
    if ask.n > 1:
        raise InvalidCall(
            "The guard of this model changes replies, and reads one choice of a stream; ask "
            "for one (`n`), or without `stream`.",
            param="n",
        )
    if ask.face == "openai-chat" and CUSTOM(bytes(ask.fields.get("tools", b""))):
        raise InvalidCall(
            "The guard of this model changes replies, and cannot write calls of custom tools into "
            "a stream; ask without `stream`.",
            param="tools",
        )


def _member(name: str, raw: bytes, verdict: Verdict) -> Raw:
    turns = _turns(raw) if name in TURNS else None
    if turns is not None:
        made = [verdict.asked(turn, system=_is_system(turn)) for turn in turns]
        return Raw(raw) if made == turns else Raw(b"[" + b",".join(made) + b"]")
    return Raw(verdict.asked(raw, name, system=name in SYSTEM))


def _turns(raw: Raw | bytes) -> list[bytes] | None:
    """The turns of a conversation; None where it is no list, or holds half a surrogate pair."""
    try:
        return [bytes(turn) for turn in _list(raw)]
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _is_system(turn: bytes) -> bool:
    try:
        return _turn(turn).role in SYSTEM_ROLES
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False


def _with(ask: Call | Single, fields: Mapping[str, Raw]) -> Ask:
    new: dict[str, Any] = {"fields": dict(fields), "raw": _encode(fields)}
    if isinstance(ask, Call):
        new |= {"_chat": None, "_worst": None}
    return replace(ask, **new)


def _answered(ask: Ask, answer: Answer, verdict: Verdict) -> Answer:
    """The answer without what may not pass.

    Raises:
        Blocked: it holds what is blocked.
        InvalidCall: it is a stream that cannot be changed, and may have to be.
    """
    ruling = verdict.ruling
    if answer.body is None:
        if ask.op not in UNREAD:
            return Watched(answer, verdict)
        if not ruling.alters_replies and not verdict.vault:
            return answer
        answer.close()
        raise InvalidCall(UNREADABLE_STREAM, param="stream")
    assert isinstance(answer, Whole)
    if answer.decode is not None and answer.dialect != ask.face:  # it will be written anew
        reply = _reply(answer.reply(), verdict)
        verdict.check("this reply")
        return Whole(answer.head, "", b"", answer.usage, lambda _: reply)
    body = _said(answer, verdict) if ask.op == "pass" else verdict.replied(answer.body)
    verdict.check("this reply")
    if body is answer.body:
        return answer
    return Whole(answer.head, answer.dialect, body, answer.usage, answer.decode)


def _said(answer: Whole, verdict: Verdict) -> bytes:
    """The body of a passed reply: JSON and text are looked through."""
    body, kind, detector = answer.body or b"", answer.head.content_type, verdict.ruling.replied
    if "json" in kind:
        return verdict.replied(body)

    def change(text: str) -> str:
        told = text if detector is None else verdict.told(text, "", detector)
        return verdict.vault.restored(told)

    return _text_of(body, change, odd=kind.startswith("text/"))


def _reply(reply: Reply, verdict: Verdict) -> Reply:
    blocks: list[Block] = []
    for block in _joined(reply.blocks, verdict):
        if isinstance(block, ToolUse):
            arguments = verdict.arguments(block.arguments)
            blocks.append(replace(block, name=verdict.named(block.name), arguments=arguments))
        else:
            blocks.append(replace(block, text=_text(block, verdict)))
    return replace(reply, blocks=tuple(blocks))


def _joined(blocks: Sequence[Block], verdict: Verdict) -> Iterator[Block]:
    """The blocks, without what is cut over texts directly behind each other."""
    for are_texts, run in groupby(blocks, lambda block: isinstance(block, Text)):
        told = list(run)
        if are_texts and len(told) > 1:
            texts = verdict.across([block.text for block in told if isinstance(block, Text)])
            yield from map(Text, texts)
        else:
            yield from told


def _text(block: Text | Refusal | Thinking, verdict: Verdict) -> str:
    return str(msgspec.json.decode(verdict.replied(_encode(block.text))))


class Watched:
    """A stream that is looked through, and changed where the ruling says so."""

    __slots__ = (
        "_alters", "_broke", "_flows", "_inner", "_late", "_reads", "_verdict", "body", "dialect",
        "head",
    )  # fmt: skip

    def __init__(self, inner: Answer, verdict: Verdict) -> None:
        self._inner, self._verdict, self._flows = inner, verdict, Flows(verdict)
        self._alters = verdict.ruling.alters_replies or bool(verdict.vault)
        self._broke: GatewayError | None = None
        self._reads = True
        self._late = Late(inner)
        self.head = inner.head
        self.body: bytes | None = None
        self.dialect = "" if self._alters else inner.dialect

    def reply(self) -> Reply:
        """A stream has no whole body."""
        return self._inner.reply()

    def __aiter__(self) -> "Watched":
        return self

    async def __anext__(self) -> Frame:
        """The next frame of what may be given.

        Raises:
            Blocked: it came to something that is blocked.
        """
        self._late.looking = True
        try:
            frame = await self._next()
        except BaseException:
            self._late.looked(cut=isinstance(self._broke, CallerError))
            raise
        if self._broke is None:  # else it has ended when that has been raised, after this frame
            self._late.looked()
        return frame

    async def _next(self) -> Frame:
        while self._broke is None:
            try:
                frame = await self._inner.__anext__()
            except GatewayError as error:
                self._broke = error  # after what came before it
                events = self._flows.end()
            else:
                if not self._alters:
                    self._look(frame)
                    return frame
                events = self._flows.feed(frame.events())
            self._check()
            if events and self._alters:
                return Frame(None, events=events)
        raise self._broke

    def _look(self, frame: Frame) -> None:
        """Count what is found; what cannot be read passes as it would without a guard."""
        if self._reads:
            try:
                self._flows.feed(frame.events())
            except GatewayError:
                self._reads = False

    def _check(self) -> None:
        try:
            self._verdict.check("this reply")
        except Blocked as error:
            self._broke = error
            self._inner.close()  # as one who leaves: its provider has done nothing wrong
            raise

    def close(self, outcome: Outcome = "left") -> None:
        """Stop caring."""
        self._inner.close(outcome)
        self._late.looked(cut=outcome == "cut")

    def on_end(self, told: Ended) -> None:
        """Be told how it ended."""
        self._late.on_end(told)
