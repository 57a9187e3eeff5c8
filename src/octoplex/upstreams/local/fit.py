"""What a call must become before a local engine is asked.

The engine leaves out in silence what its model cannot take, so tools and media that
would change the answer are refused here, or dropped and named where the route says so.

It is always asked for a stream. A plain reply has no sign of life before its end, and
the engine notices a caller who left a plain request only when it writes; the door folds
the stream into the plain reply. Choices and log probabilities have no events: a call
that wants them is asked plainly.

Not promised: that earlier tool calls and results in the conversation mean much to a
model whose template has no place for them.
"""

import msgspec
from msgspec import Raw

from octoplex.dialects.dialect import Dialect, Traits
from octoplex.dialects.expression import Omissions
from octoplex.dialects.verbatim import split
from octoplex.upstreams.local.launch import Address
from octoplex.wire.ask import Call
from octoplex.wire.chat import Chat, Media, Message, Part, ToolResult

STREAM, WITH_USAGE = Raw(b"true"), Raw(b'{"include_usage":true}')
NOTHING = frozenset({b"null", b"[]", b"false"})
FACE = "openai-chat"
"""The dialect in which the engine is asked."""


def fitted(call: Call, at: Address, traits: Traits, dialect: Dialect) -> Call:
    """The call without what this model cannot take.

    Raises:
        Unsupported: naming the field, unless the route drops such fields.
    """
    omissions = Omissions(f"octoplex/{traits.model}", drop_unsupported=traits.drop_unsupported)
    tools = not at.tools and _says(call, "tools")
    media = not at.images and call.may_hold_media
    if not tools and not media:
        return call
    chat = call.chat()
    if tools:
        omissions.leave_out("tools", why="this model has none")
        chat = msgspec.structs.replace(
            chat, tools=(), server_tools=(), tool_choice=None, parallel_tools=None
        )
    if media:
        chat = _without_media(chat, omissions)
    if not omissions.names():
        return call
    call.trail.dropped.extend(omissions.names())
    if call.face != FACE:
        return msgspec.structs.replace(call, _chat=chat, may_hold_media=False)
    fields = split(dialect.encode_chat(chat, traits).body)
    fields.pop("stream_options", None)
    if "stream_options" in call.fields:
        fields["stream_options"] = call.fields["stream_options"]
    return msgspec.structs.replace(call, fields=fields, _chat=chat, may_hold_media=False)


def streamed(call: Call) -> Call:
    """The call as a stream that reports its usage, where events can hold its answer."""
    if call.stream or call.n > 1 or (call.face == FACE and _says(call, "logprobs")):
        return call
    if call.face != FACE:
        chat = msgspec.structs.replace(call.chat(), stream=True)
        return msgspec.structs.replace(call, stream=True, _chat=chat)
    fields = {**call.fields, "stream": STREAM, "stream_options": WITH_USAGE}
    return msgspec.structs.replace(call, stream=True, fields=fields)


def _says(call: Call, name: str) -> bool:
    raw = call.fields.get(name)
    return raw is not None and bytes(raw).replace(b" ", b"") not in NOTHING


def _without_media(chat: Chat, omissions: Omissions) -> Chat:
    messages = []
    for message in chat.messages:
        parts = tuple(p for part in message.parts if (p := _text_only(part, omissions)) is not None)
        messages.append(Message(message.role, parts, message.name))
    return msgspec.structs.replace(chat, messages=tuple(messages))


def _text_only(part: Part, omissions: Omissions) -> Part | None:
    if isinstance(part, Media):
        source = "url" if part.url else "data" if part.data else "file_id"
        omissions.leave_out(f"{part.kind}.{source}", part.kind, "this model reads text only")
        return None
    if isinstance(part, ToolResult):
        inner = tuple(p for p in part.parts if _text_only(p, omissions) is not None)
        return msgspec.structs.replace(
            part, parts=tuple(p for p in inner if not isinstance(p, Media))
        )
    return part
