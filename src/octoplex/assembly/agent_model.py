"""An agent's answer to a chat: `agent/NAME` on any face runs one.

The caller's last message is the goal and those before it are context; `metadata.workspace` names a
folder, as a task's `workspace` does. A stream tells as thinking
what happens, then the answer; a caller that leaves ends the task, as it ends any request. The
record has the cost of all that the task asked of models, each of which has its own record too.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Protocol

import msgspec
from msgspec import Raw

from octoplex.agents.journal import TaskRow
from octoplex.agents.lines import line_of
from octoplex.agents.task import Event as Happening
from octoplex.agents.task import Task
from octoplex.agents.view import View
from octoplex.assembly.agent_route import AGENT
from octoplex.dialects.dialect import Face
from octoplex.wire.answer import Answer, Ended, Ending, Frame, Head, Outcome, Whole
from octoplex.wire.ask import Ask, Call
from octoplex.wire.chat import Message, TextPart, ToolResult
from octoplex.wire.error import DeadlinePassed, InvalidCall, TaskFailed, Unsupported
from octoplex.wire.event import (
    Event,
    Finished,
    Reply,
    Started,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    Usage,
)

LONGEST_GOAL, LONGEST_CONTEXT = 10_000, 50_000


class Going(Protocol):
    """A task that was taken on."""

    row: TaskRow

    def happenings(self) -> AsyncIterator[Happening]:
        """What happens to it, up to its end."""
        ...

    async def view(self) -> View:
        """How it stands."""
        ...

    def usage(self) -> Usage:
        """What it has asked of models, in tokens."""
        ...

    def stop(self) -> None:
        """Nobody waits for it any more."""
        ...


def task_of(name: str, ask: Ask) -> Task:
    """The task in a chat.

    Raises:
        InvalidCall: there is no goal in it.
        Unsupported: it asks for what an agent does not do.
    """
    if not isinstance(ask, Call) or ask.op != "chat":
        raise InvalidCall(f"{AGENT}/{name} answers chats, not {ask.op}.", param="model")
    chat = ask.chat()
    asked = {"tools": chat.tools, "response_format": chat.format, "n": chat.n > 1}
    for field, value in asked.items():
        if value:
            raise Unsupported(
                f"{AGENT}/{name} is an agent with tools of its own; leave `{field}` out.",
                param=field,
            )
    *before, last = chat.messages
    goal = _text(last).strip()
    if last.role != "user" or not goal:
        raise InvalidCall("The last message must be a user's, and say the goal.", param="messages")
    context = "\n\n".join(f"{m.role}: {_text(m)}" for m in before if _text(m))
    if len(goal) > LONGEST_GOAL or len(context) > LONGEST_CONTEXT:
        raise InvalidCall(
            f"An agent takes a goal of {LONGEST_GOAL:,} characters and {LONGEST_CONTEXT:,} before "
            "it; send less, or put it into files of a workspace.",
            param="messages",
        )
    labels = _labels(chat.metadata)
    folder = labels.pop("workspace", "")
    return Task(goal=goal, agent=name, context=context, workspace=folder, metadata=labels)


def _labels(metadata: Raw | None) -> dict[str, str]:
    """A caller's own labels; what is none of a text is none."""
    if metadata is None:
        return {}
    with suppress(msgspec.DecodeError):
        return msgspec.json.decode(metadata, type=dict[str, str])
    return {}


def _text(message: Message) -> str:
    pieces = []
    for part in message.parts:
        inner = part.parts if isinstance(part, ToolResult) else (part,)
        pieces += [one.text for one in inner if isinstance(one, TextPart)]
    return "\n".join(pieces)


async def opened(going: Going, ask: Ask, face: Face) -> Answer:
    """Answer with a task: whole at its end, or a stream of what happens.

    Raises:
        TaskFailed: it did not reach its goal, and nothing was streamed yet.
    """
    answer = Streamed(going, ask)
    if ask.stream:
        return answer
    events: list[Event] = []
    try:
        async for frame in answer:
            events += frame.events()
    except BaseException:
        answer.close()
        raise
    reply = _reply(events)
    return Whole(
        answer.head, face.name, face.encode_reply(reply), reply.usage, lambda _: reply, reply
    )


def _reply(events: list[Event]) -> Reply:
    started, end = events[0], events[-1]
    assert isinstance(started, Started)
    assert isinstance(end, Finished)
    thought = "".join(e.text for e in events if isinstance(e, ThinkingDelta))
    text = "".join(e.text for e in events if isinstance(e, TextDelta))
    blocks = (Thinking(thought), Text(text)) if thought else (Text(text),)
    return Reply(id=started.id, model=started.model, blocks=blocks, stop=end.stop, usage=end.usage)


class Streamed:
    """The stream of one task. Implements `Answer`."""

    dialect = ""
    body: bytes | None = None

    def __init__(self, going: Going, ask: Ask) -> None:
        self._going, self._ask = going, ask
        self._happenings = going.happenings()
        self._ending = Ending()
        model = f"{AGENT}/{going.row.task.agent}"
        self.head = Head(AGENT, model)
        self._ready = deque([Frame(None, events=[Started(going.row.id, model)])])

    def reply(self) -> Reply:
        """It is a stream."""
        raise AssertionError("a stream has no whole reply")

    def on_end(self, told: Ended) -> None:
        """Be told once how it ended."""
        self._ending.on_end(told)

    def close(self, outcome: Outcome = "left") -> None:
        """End the task, unless it has ended."""
        if self._ending.outcome is None:
            self._end(outcome)
            self._going.stop()

    def __aiter__(self) -> "Streamed":
        return self

    async def __anext__(self) -> Frame:
        if self._ready:
            return self._ready.popleft()
        if self._ending.outcome is not None:
            raise StopAsyncIteration
        try:
            async with asyncio.timeout_at(self._ask.deadline_at):
                return await self._next()
        except TimeoutError:
            self.close("late")
            raise DeadlinePassed(
                f"The task was not done in time; see it: octoplex runs show {self._going.row.id}."
            ) from None

    async def _next(self) -> Frame:
        async for event in self._happenings:
            if line := line_of(event):
                return Frame(None, events=[ThinkingDelta(f"{line}\n")])
        view = await self._going.view()
        usage = self._going.usage()
        self.head.nano = self._ask.trail.nano = view.nanos
        self.head.usage = usage
        if view.status != "done":
            self._end("cut")
            raise TaskFailed(
                f"The task {view.status}: {view.why or view.failure}. "
                f"See it: octoplex runs show {self._going.row.id}.",
                task_id=self._going.row.id,
                task_status=view.status,
            )
        self._end("done")
        return Frame(None, events=[TextDelta(said(view), 1), Finished(stop="end", usage=usage)])

    def _end(self, outcome: Outcome) -> None:
        self._ending.fire(outcome, self._going.usage())


def said(view: View) -> str:
    """What a task answers, with the files that it made and what it did not keep to."""
    answer = view.text or (view.answer if isinstance(view.answer, str) else _json(view.answer))
    files = [one.path for one in view.artifacts]
    unmet = [one for one in view.criteria if not one.passed and not one.step]
    more = [f"Files: {', '.join(files)}"] if files else []
    more += [f"Not met: {one.what} ({one.why})" for one in unmet]
    return "\n\n".join([answer, *more])


def _json(value: object) -> str:
    return "" if value is None else msgspec.json.encode(value).decode()
