"""`Chat` -> the body of Replicate's `POST /models/{owner}/{name}/predictions`.

A model takes one prompt. One turn of the user is the prompt as it is; a longer conversation is
told turn by turn where the maker takes `messages`, and elsewhere as a transcript that ends with
the name of who speaks next:

    User: Hi\\n\\nAssistant: Hello.\\n\\nUser: And you?\\n\\nAssistant:

Tools and forms of JSON have no word here. Stop sequences are one text with commas between
them. A model written `owner/name:version` is asked by that version. A plain call waits for its
prediction as long as the API lets it.

Reference: https://replicate.com/docs/reference/http#models.predictions.create

Not promised: that a model keeps to its side of a transcript.
"""

import msgspec

from octoplex.dialects.dialect import Encoded, Traits
from octoplex.dialects.effort import effort_of
from octoplex.dialects.expression import SPOKEN, Omissions, express
from octoplex.dialects.media import image_url, source_of
from octoplex.dialects.replicate.makers import Maker, maker_of
from octoplex.dialects.words import words_of
from octoplex.wire.chat import Chat, Media, Message, Part, TextPart, ThinkingAsk
from octoplex.wire.event import Refusal, Thinking

NAME = "replicate"
VERSIONED = ":"
"""What stands between the name of a model and its version."""

_WAIT = (("prefer", "wait=60"),)
_MOST_EFFORT = frozenset({"high", "xhigh", "max"})
_NAMES = {"user": "User", "assistant": "Assistant"}

_json = msgspec.json.Encoder().encode
Body = dict[str, object]


def write_request(chat: Chat, traits: Traits) -> Encoded:
    """Write the request.

    Raises:
        Unsupported: a field that changes the answer cannot be expressed.
    """
    omissions = Omissions(NAME, words_of(chat), drop_unsupported=traits.drop_unsupported)
    maker = maker_of(traits.model)
    chat = express(chat, SPOKEN[NAME] & maker.spoken, omissions)
    input_ = _conversation(chat.messages, maker, omissions)
    _put_limit(input_, chat, maker, omissions)
    for field, name in maker.fields.items():
        value = _value(field, chat, omissions)
        if value is not None:
            input_[name] = value
    input_.update({name: value for name, value in chat.extra.items() if name not in input_})
    body: Body = {"input": input_}
    if VERSIONED in traits.model:
        body["version"] = traits.model
    if chat.stream:
        body["stream"] = True
    return Encoded(_json(body), omissions.names(), () if chat.stream else _WAIT)


def _value(field: str, chat: Chat, omissions: Omissions) -> object:
    if field == "stop":
        if any("," in text for text in chat.stop):
            omissions.leave_out("stop", why="a comma stands between two sequences")
            return None
        return ",".join(chat.stop) or None
    if field == "thinking":
        return None if chat.thinking is None else _effort(chat.thinking, omissions)
    value: object = getattr(chat, field)
    return value


def _effort(ask: ThinkingAsk, omissions: Omissions) -> str | None:
    if ask.enabled is False or ask.effort == "none":
        omissions.leave_out("thinking")  # not every model can be asked not to
        return None
    effort = ask.effort or effort_of(ask.budget_tokens)
    return "high" if effort in _MOST_EFFORT else effort


def _put_limit(input_: Body, chat: Chat, maker: Maker, omissions: Omissions) -> None:
    if chat.max_tokens is None:
        return
    if chat.max_tokens < maker.least:
        omissions.leave_out("max_tokens")
    input_[maker.limit] = max(chat.max_tokens, maker.least)


def _conversation(messages: tuple[Message, ...], maker: Maker, omissions: Omissions) -> Body:
    """Prompt, system text and images."""
    system: list[str] = []
    turns: list[tuple[str, str]] = []
    images: list[str] = []
    for message in messages:
        if message.name is not None:
            omissions.leave_out("message.name")
        texts = [t for p in message.parts if (t := _said(p, maker, images, omissions))]
        text = "\n\n".join(texts)
        if message.role in ("system", "developer"):
            system += texts
        elif text:
            turns.append((message.role, text))
    input_: Body = {}
    if len(turns) < 2 and (not turns or turns[0][0] == "user"):
        input_["prompt"] = turns[0][1] if turns else ""
    elif maker.messages:
        said = [*(("system", text) for text in system), *turns]
        input_["messages"] = [{"role": role, "content": text} for role, text in said]
        system = []
    else:
        lines = [f"{_NAMES[role]}: {text}" for role, text in turns]
        if turns[-1][0] == "user":
            lines.append("Assistant:")
        input_["prompt"] = "\n\n".join(lines)
    if system:
        input_[maker.system] = "\n\n".join(system)
    if images:
        input_[maker.image] = images[0] if maker.images == 1 else images
    return input_


def _said(part: Part, maker: Maker, images: list[str], omissions: Omissions) -> str:
    """The text of a part; an image goes to the others."""
    if getattr(part, "cache", None) is not None:
        omissions.leave_out("cache_control")
    match part:
        case TextPart(text=text) | Refusal(text=text):
            return text
        case Media():
            source = source_of(part)
            if part.detail is not None:
                omissions.leave_out("image.detail")
            if part.kind != "image" or source == "file_id" or len(images) >= maker.images:
                why = f"it takes {maker.images} images" if part.kind == "image" else ""
                omissions.leave_out(f"{part.kind}.{source}", why=why)
            else:
                images.append(image_url(part))
        case Thinking():
            omissions.leave_out("thinking_history")
        case _:
            omissions.leave_out("tools")
    return ""
