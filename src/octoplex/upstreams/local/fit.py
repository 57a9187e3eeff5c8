"""What a call must become before a local engine is asked.

The engine leaves out in silence what its model cannot take, so tools and media that
would change the answer are refused here, or dropped and named where the route says so. So
are further choices (`n`): the engine counts the tokens of one of them only.

It is always asked for a stream. A plain reply has no sign of life before its end, and
the engine notices a caller who left a plain request only when it writes; the door folds
the stream into the plain reply. Log probabilities have no events: a call that wants them
is asked plainly.

Not promised: that earlier tool calls and results in the conversation mean much to a
model whose template has no place for them.
"""

import msgspec
from msgspec import Raw

from octoplex.dialects.dialect import Dialect, Traits
from octoplex.dialects.media import source_of
from octoplex.dialects.verbatim import split
from octoplex.dialects.words import Words, words_of
from octoplex.upstreams.local.launch import Address
from octoplex.wire.ask import Call
from octoplex.wire.chat import Chat, Media, Message, Part, ToolResult
from octoplex.wire.error import Unsupported

STREAM, WITH_USAGE = Raw(b"true"), Raw(b'{"include_usage":true}')
NOTHING = frozenset({b"null", b"[]", b"false"})
FACE = "openai-chat"
"""The dialect in which the engine is asked."""


def fitted(call: Call, at: Address, traits: Traits, dialect: Dialect) -> Call:
    """The call without what this model cannot take.

    Raises:
        Unsupported: naming the field, unless the route drops such fields.
    """
    tools = not at.tools and _says(call, "tools")
    media = not at.images and call.may_hold_media
    several = call.n > 1
    if not (tools or media or several):
        return call
    chat = call.chat()
    left_out = _LeftOut(traits, words_of(chat))
    if tools:
        left_out.add("tools")
        chat = msgspec.structs.replace(
            chat, tools=(), server_tools=(), tool_choice=None, parallel_tools=None
        )
    if media:
        chat = _without_media(chat, left_out)
    if several:
        left_out.add("n")
        chat = msgspec.structs.replace(chat, n=1)
    if not left_out.names:
        return call
    call.trail.drop(f"octoplex/{traits.model}", left_out.names)
    if call.face != FACE:
        return msgspec.structs.replace(call, _chat=chat, may_hold_media=False, n=1)
    fields = split(dialect.encode_chat(chat, traits).body)
    fields.pop("stream_options", None)
    if "stream_options" in call.fields:
        fields["stream_options"] = call.fields["stream_options"]
    return msgspec.structs.replace(call, fields=fields, _chat=chat, may_hold_media=False, n=1)


def streamed(call: Call) -> Call:
    """The call as a stream that reports its usage, where events can hold its answer."""
    if call.stream or (call.face == FACE and _says(call, "logprobs")):
        return call
    if call.face != FACE:
        chat = msgspec.structs.replace(call.chat(), stream=True)
        return msgspec.structs.replace(call, stream=True, _chat=chat)
    fields = {**call.fields, "stream": STREAM, "stream_options": WITH_USAGE}
    return msgspec.structs.replace(call, stream=True, fields=fields)


def _says(call: Call, name: str) -> bool:
    raw = call.fields.get(name)
    return raw is not None and bytes(raw).replace(b" ", b"") not in NOTHING


class _LeftOut:
    """What is dropped, each name once; refuses where the route does not allow it."""

    def __init__(self, traits: Traits, words: Words) -> None:
        self._traits, self._words = traits, words
        self.names: dict[str, None] = {}

    def add(self, field: str) -> None:
        name = self._words.get(field, field)
        if not self._traits.drop_unsupported:
            raise Unsupported(
                f"The model octoplex/{self._traits.model} takes no `{name}`. Leave it out, choose "
                "another model, or set `drop_unsupported = true` on a route to it.",
                param=name,
            )
        self.names[name] = None


def _without_media(chat: Chat, left_out: _LeftOut) -> Chat:
    messages = [Message(m.role, _texts(m.parts, left_out), m.name) for m in chat.messages]
    return msgspec.structs.replace(chat, messages=tuple(messages))


def _texts(parts: tuple[Part, ...], left_out: _LeftOut) -> tuple[Part, ...]:
    kept: list[Part] = []
    for part in parts:
        if isinstance(part, Media):
            left_out.add(f"{part.kind}.{source_of(part)}")
        elif isinstance(part, ToolResult):
            for media in (p for p in part.parts if isinstance(p, Media)):
                left_out.add(f"{media.kind}.{source_of(media)}")
            texts = tuple(p for p in part.parts if not isinstance(p, Media))
            kept.append(msgspec.structs.replace(part, parts=texts))
        else:
            kept.append(part)
    return tuple(kept)
