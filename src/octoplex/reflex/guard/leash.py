"""What a reply may call after something was read that nobody vouches for.

    leash = Leash("approve", reads=("search*",), keyed=hash)
    leash.tied(ask)                    whether its conversation holds such text
    leash.held(ask, answer)            the answer, without calls that nobody approved

Results of tools are untrusted, and so is what a provider's own tools bring, and every conversation
that cannot be read here. A model that has read it may do what it says, whatever a pattern finds in
it; so a call of a tool that is not named harmless (`reads`) is flagged, blocked, or waits for an
approval. Text passes as it comes; from the first such call on the stream is held until the call is
whole.

An approval is a keyed hash of caller, conversation, tool and arguments, with its end in front. The
caller gets it in the error, shows the call to somebody, and asks the same again with it in
`x-octoplex-approve`. Nothing is stored. The model is asked again: where it then calls something
else, that waits for an approval of its own.

Not promised: text that a caller puts into a user's turn is the user's.
"""

import contextlib
import re
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from time import time
from typing import Literal

import msgspec
from msgspec import Struct

from octoplex.reflex.cache.fingerprint import RUN_THERE
from octoplex.reflex.guard.late import Late
from octoplex.reflex.guard.masks import Hash
from octoplex.wire.answer import Answer, Ended, Frame, Outcome
from octoplex.wire.ask import Call
from octoplex.wire.chat import Chat, Native, ToolResult
from octoplex.wire.error import ApprovalNeeded, Blocked, GatewayError, InvalidCall
from octoplex.wire.event import Event, Finished, Reply, ToolDelta, ToolStart, ToolUse

Consequence = Literal["allow", "flag", "block", "approve"]
TYPE = "untrusted_tool"
"""Its name in records and metrics."""
HEADER = "x-octoplex-approve"
APPROVED_S = 3_600
KEPT_THERE = frozenset({"previous_response_id", "conversation"})
TURNS = ("messages", "input", "contents")
LONGEST_SHOWN = 4_000
"""Characters of the calls in an error; longer ones are shown in part."""
_APPROVAL = re.compile(r"[0-9a-f]{8}\.[0-9a-f]{48}")
_RUN_HERE = re.compile(
    r"(?:custom|local_shell|apply_patch|computer|computer_use_preview)\Z"
    r"|(?:bash|text_editor|computer|memory)_[0-9]{8}\Z"
).match
"""Types of tools of a vendor's own that the caller runs: a reply calls them like any other."""
OFF = (b"null", b"false", b"[]", b"{}")
_sorted = msgspec.json.Encoder(order="sorted").encode


class _Named(Struct):
    type: str = ""
    name: str = ""


class Leash(Struct, frozen=True, eq=False):
    """What becomes of calls after untrusted text; `reads` are globs of tools that only read."""

    consequence: Consequence
    reads: tuple[str, ...]
    keyed: Hash
    now: Callable[[], float] = time

    def tied(self, call: Call) -> bool:
        """Whether the conversation holds what nobody vouches for.

        Raises:
            Blocked: and it offers a tool that its provider would run unasked, or nobody knows.
            InvalidCall: and it asks for several replies, of which one would be looked at.
        """
        chat: Chat | None = None
        with contextlib.suppress(GatewayError):  # the provider may understand it
            chat = call.chat()
        kept = not KEPT_THERE.isdisjoint(call.fields)
        there = _run_there(call, chat)
        if not kept and not there and chat is not None and not _is_untrusted(chat):
            return False
        if self.consequence != "flag":
            self._check_form(call, chat, there)
        return True

    def _check_form(self, call: Call, chat: Chat | None, there: Sequence[Sequence[str]]) -> None:
        if call.n > 1:
            raise InvalidCall(
                "After untrusted text the guard of this model looks at one reply; ask for one "
                "(`n`).",
                param="n",
            )
        if chat is None and "tools" in call.fields:
            raise Blocked(
                "The guard of this model cannot read this request, and so not say who would run "
                "its tools.",
                types=TYPE,
            )
        for names in there:
            if not any(self.is_harmless(name) for name in names):
                raise Blocked(
                    f"The provider would run the tool {names[0]!r} after untrusted text was read, "
                    "which nobody could approve. Leave it out, or name it in `reads`.",
                    types=TYPE,
                )

    def is_harmless(self, name: str) -> bool:
        """Whether a tool only reads."""
        return any(fnmatchcase(name, glob) for glob in self.reads)

    def check(self, call: Call, uses: Sequence[ToolUse]) -> None:
        """Count the calls that a leash is for, and refuse those without an approval.

        Raises:
            Blocked: none may be called.
            ApprovalNeeded: with what approves those that were not.
        """
        uses = [use for use in uses if not self.is_harmless(use.name)]
        if not uses:
            return
        counts = call.trail.findings
        if counts is None:
            counts = call.trail.findings = {}
        waiting = uses if self.consequence != "approve" else self._unapproved(call, uses)
        approved = len(uses) - len(waiting)
        if approved:
            counts[(TYPE, "approved")] = counts.get((TYPE, "approved"), 0) + approved
        if not waiting:
            return
        counts[(TYPE, self.consequence)] = counts.get((TYPE, self.consequence), 0) + len(waiting)
        names = ", ".join(dict.fromkeys(use.name for use in waiting))
        if self.consequence == "block":
            raise Blocked(
                f"The guard lets no reply call {names} after untrusted text was read.", types=TYPE
            )
        if self.consequence == "approve":
            raise self._needed(call, waiting, names)

    def _needed(self, call: Call, waiting: Sequence[ToolUse], names: str) -> ApprovalNeeded:
        ends_at = int(self.now()) + APPROVED_S
        approve = ",".join([self._approval(call, use, ends_at) for use in waiting])
        shown = msgspec.json.encode(
            [{"tool": use.name, "arguments": use.arguments[:LONGEST_SHOWN]} for use in waiting]
        )
        return ApprovalNeeded(
            f"The reply calls {names} after untrusted text was read, which somebody must approve: "
            f"ask the same again with the header {HEADER} and the value of `approve`.",
            approve=approve,
            calls=shown.decode(),
        )

    def _unapproved(self, call: Call, uses: Sequence[ToolUse]) -> list[ToolUse]:
        said = _APPROVAL.findall(call.headers.get(HEADER, ""))
        now = self.now()
        ends = {one: int(one[:8], 16) for one in said if now < int(one[:8], 16) <= now + APPROVED_S}
        return [
            use
            for use in uses
            if not any(one == self._approval(call, use, end) for one, end in ends.items())
        ]

    def _approval(self, call: Call, use: ToolUse, ends_at: int) -> str:
        turns = [bytes(call.fields[name]) for name in TURNS if name in call.fields]
        what = (
            call.caller.id,
            call.trail.route,
            turns,
            use.name,
            _canonical(use.arguments),
            ends_at,
        )
        return f"{ends_at:08x}.{self.keyed(b'approve' + msgspec.msgpack.encode(what)).hex()[:48]}"

    def held(self, call: Call, answer: Answer) -> Answer:
        """The answer, whose calls are let go or refused when they are whole.

        Raises:
            Blocked: as `check`, of an answer that is whole.
            ApprovalNeeded: the same.
        """
        if answer.body is None:
            return Held(self, call, answer)
        self.check(call, answer.reply().tool_calls)
        return answer


class Held:
    """A stream from whose first call on frames are kept back until it may be made."""

    __slots__ = (
        "_broke",
        "_call",
        "_frames",
        "_inner",
        "_late",
        "_leash",
        "_uses",
        "body",
        "dialect",
        "head",
    )

    def __init__(self, leash: Leash, call: Call, inner: Answer) -> None:
        self._leash, self._call, self._inner = leash, call, inner
        self._frames: list[Frame] = []
        self._uses: dict[int, ToolUse] = {}
        self._broke: GatewayError | None = None
        self._late = Late(inner)
        self.head, self.dialect = inner.head, inner.dialect
        self.body: bytes | None = None

    def reply(self) -> Reply:
        """A stream has no whole body."""
        return self._inner.reply()

    def __aiter__(self) -> "Held":
        return self

    async def __anext__(self) -> Frame:
        """The next frame of what may be given.

        Raises:
            Blocked: it calls what it may not.
            ApprovalNeeded: it calls what somebody must approve.
        """
        if self._broke is not None:
            raise self._broke
        self._late.looking = True
        try:
            return await self._next()
        finally:
            self._late.looked(cut=self._broke is not None)

    async def _next(self) -> Frame:
        while True:
            try:
                frame = await self._inner.__anext__()
            except StopAsyncIteration:
                if not self._frames:
                    raise
                return self._judged()
            ended = self._look(frame.events())
            if not self._uses or self._leash.consequence == "flag":
                if ended and self._uses:
                    self._leash.check(self._call, list(self._uses.values()))
                return frame
            self._frames.append(frame)
            if ended:
                return self._judged()

    def _look(self, events: Sequence[Event]) -> bool:
        """Note the calls; whether these are the last events."""
        for event in events:
            if isinstance(event, ToolStart) and not self._leash.is_harmless(event.name):
                self._uses[event.index] = ToolUse(event.id, event.name, "")
            elif isinstance(event, ToolDelta) and event.index in self._uses:
                use = self._uses[event.index]
                arguments = use.arguments + event.arguments
                self._uses[event.index] = ToolUse(use.id, use.name, arguments)
        return any(isinstance(event, Finished) for event in events)

    def _judged(self) -> Frame:
        """All that was kept back, as one."""
        try:
            self._leash.check(self._call, list(self._uses.values()))
        except GatewayError as error:
            self._broke, self._frames = error, []
            self._inner.close()  # as one who leaves: its provider has done nothing wrong
            raise
        self._uses = {}
        frames, self._frames = self._frames, []
        events = [event for frame in frames for event in frame.events()]
        wires = [frame.wire for frame in frames if frame.wire is not None]
        return Frame(b"".join(wires) if len(wires) == len(frames) else None, events=events)

    def close(self, outcome: Outcome = "left") -> None:
        """Stop caring."""
        self._inner.close(outcome)
        self._late.looked(cut=outcome == "cut")

    def on_end(self, told: Ended) -> None:
        """Be told how it ended."""
        self._late.on_end(told)


def _is_untrusted(chat: Chat) -> bool:
    """Whether it holds results of tools, or parts of a vendor's own."""
    parts = (part for message in chat.messages for part in message.parts)
    return any(isinstance(part, ToolResult | Native) for part in parts)


def _run_there(call: Call, chat: Chat | None) -> list[list[str]]:
    """The tools that a provider runs unasked, each by the names that it goes by."""
    members = [name for name in RUN_THERE if bytes(call.fields.get(name, b"null")) not in OFF]
    tools = map(_names, chat.server_tools if chat is not None else ())
    return [[name] for name in members] + [names for names in tools if not _RUN_HERE(names[-1])]


def _names(raw: msgspec.Raw) -> list[str]:
    """A tool's own name, then its type; Gemini's type is the name of a member."""
    try:
        named = msgspec.json.decode(raw, type=_Named)
        names = [named.name, named.type] if named.type else [*msgspec.json.decode(raw)]
    except msgspec.DecodeError:
        return ["?"]
    return [name for name in names if name] or ["?"]


def _canonical(arguments: str) -> bytes:
    """Arguments that say the same, as the same bytes."""
    try:
        return bytes(_sorted(msgspec.json.decode(arguments)))
    except (msgspec.DecodeError, UnicodeEncodeError):
        return arguments.encode("utf-8", "replace")
