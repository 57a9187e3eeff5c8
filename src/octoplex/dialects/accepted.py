"""What a target refuses of a request that its dialect could carry.

A dialect has a word for `temperature`, and OpenAI's reasoning models answer 400 to it; it has
images, and a model for text alone has no eyes. The catalogue says so of families and of
providers (`refuses`, `refuses_thinking`, `tools`, `vision`, `prefill`). Weights are those of
`expression.py`: what changes the answer is refused here, before it is paid for, unless the route
drops it; a hint is dropped and named. A field that says what is so anyhow is left out. A last turn
of the assistant, to go on from, is refused only where the route has another target for it.

Not promised: that the model takes each value of what it takes.
"""

import contextlib

import msgspec

from octoplex.dialects.dialect import Traits
from octoplex.dialects.effort import is_off
from octoplex.dialects.expression import MEMBERS, Omissions
from octoplex.dialects.media import source_of
from octoplex.dialects.words import words_of
from octoplex.wire.ask import Call
from octoplex.wire.chat import Chat, Media, Message, Native, Part, ToolResult
from octoplex.wire.error import InvalidCall, Unsupported

SAME_ANYHOW: dict[str, object] = {
    "temperature": 1,
    "top_p": 1,
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "logprobs": False,
}
"""Values that every provider has when nothing is said."""
NOTHING = Chat(model="", messages=())
BLIND = "this model is not shown images"
_ASSISTANT, _USER = b'"assistant"', b'"user"'


def accepted(chat: Chat, traits: Traits, omissions: Omissions) -> Chat:
    """The request without what the target refuses.

    Raises:
        Unsupported: it changes the answer, and the route does not drop such fields.
    """
    if not traits.alone and _is_refused_prefill(chat, traits):
        turns = omissions.word("messages")
        raise Unsupported(
            f"{traits.model} does not go on from a last turn of the assistant"
            f"{' when it is to think' if traits.prefill else ''}. End `{turns}` with a turn of"
            " the user, or choose another model.",
            param=turns,
        )
    gone: dict[str, object] = {}
    for field in sorted(_refused(chat, traits)):
        member = MEMBERS[field]
        value, none = getattr(chat, member), getattr(NOTHING, member)
        if value == none:
            continue
        if field not in SAME_ANYHOW or value != SAME_ANYHOW[field]:
            omissions.leave_out(field, why=f"{traits.model} refuses it")
        gone[member] = none
    if chat.thinking is not None and traits.thinking == "none" and is_off(chat.thinking):
        gone["thinking"] = None  # so it is anyhow
    if traits.tools is False and (chat.tools or chat.server_tools):
        omissions.leave_out("tools", why=f"{traits.model} has none")
        gone |= {"tools": (), "server_tools": (), "tool_choice": None, "parallel_tools": None}
    if traits.vision is False:
        messages = tuple(_without_images(turn, omissions) for turn in chat.messages)
        if messages != chat.messages:
            gone["messages"] = messages
    return msgspec.structs.replace(chat, **gone) if gone else chat


def is_looked_into(traits: Traits) -> bool:
    """Whether verbatim calls must be looked into, because others can take what this one cannot."""
    lacking = traits.tools is False or traits.vision is False
    lacking = lacking and not traits.drop_unsupported
    return not traits.alone and (lacking or traits.prefill is not None)


def look_into(call: Call, dialect: str, traits: Traits) -> None:
    """Refuse a verbatim call with tools, images or a turn to go on from that the model cannot take.

    Raises:
        Unsupported: it does.
    """
    lacks = not traits.drop_unsupported
    only = Traits(
        model=traits.model,
        tools=traits.tools if lacks else None,
        vision=traits.vision if lacks else None,
        prefill=traits.prefill,
        thinking=traits.thinking,
        alone=False,
    )
    offers = lacks and (call.may_hold_media or (only.tools is False and "tools" in call.fields))
    if offers or (only.prefill is not None and _may_prefill(call)):
        with contextlib.suppress(InvalidCall):  # the provider's to judge
            chat = call.chat()
            accepted(chat, only, Omissions(dialect, words_of(chat), drop_unsupported=False))


def _is_refused_prefill(chat: Chat, traits: Traits) -> bool:
    if traits.prefill is None or not chat.messages or chat.messages[-1].role != "assistant":
        return False
    ask = chat.thinking
    thinks = ask is not None and not is_off(ask) and traits.thinking not in (None, "none")
    return thinks or not traits.prefill


def _may_prefill(call: Call) -> bool:
    """Whether the last role may be the assistant's: a look at the bytes, from behind."""
    turns = bytes(call.fields.get("messages", b""))
    return turns.rfind(_ASSISTANT) > turns.rfind(_USER)


def _refused(chat: Chat, traits: Traits) -> frozenset[str]:
    """The fields, some of them only beside thinking."""
    if chat.thinking is None or is_off(chat.thinking):
        return traits.refuses
    return traits.refuses | traits.refuses_thinking


def _without_images(turn: Message, omissions: Omissions) -> Message:
    parts: list[Part] = []
    for part in turn.parts:
        if isinstance(part, ToolResult):
            held = tuple(p for p in part.parts if not _is_image(p, omissions))
            parts.append(msgspec.structs.replace(part, parts=held))
        elif isinstance(part, Native):
            means = tuple(p for p in part.means if not _is_image(p, omissions))
            parts.append(msgspec.structs.replace(part, means=means))
        elif not _is_image(part, omissions):
            parts.append(part)
    return msgspec.structs.replace(turn, parts=tuple(parts))


def _is_image(part: object, omissions: Omissions) -> bool:
    """Whether it is one, which then is left out."""
    if not isinstance(part, Media) or part.kind != "image":
        return False
    omissions.leave_out(f"image.{source_of(part)}", why=BLIND)
    return True
