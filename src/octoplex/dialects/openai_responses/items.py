"""Output items, as the face writes them.

Neighbouring texts and refusals are the parts of one message, everything else is an item of
its own. Ids are made of the reply's id and the item's number, so that the same reply has
the same ids, whole or streamed: `msg_<reply>_0`. A reasoning item keeps the id that its
maker gave it, since its cipher belongs to it.

Reference: https://developers.openai.com/api/reference/resources/responses/methods/create

Not promised: annotations and log probabilities; no other dialect's reply holds them.
"""

import re

from octoplex.dialects.openai_chat.toolcalls import made_id
from octoplex.dialects.openai_responses.calls import CUSTOM, PREFIX, Forms, in_kind
from octoplex.dialects.openai_responses.reasoning import write_reasoning
from octoplex.dialects.signed_ids import sign
from octoplex.wire.event import Block, Refusal, Text, Thinking, ToolUse

Body = dict[str, object]
Status = str

_NOT_IN_ID = re.compile(r"[^A-Za-z0-9]")
_LONGEST_STEM = 32
"""The API takes ids of up to 64 characters back."""


class Ids:
    """The ids of one reply's items and tool calls: none missing, none twice."""

    __slots__ = ("_reply", "_stem", "_taken")

    def __init__(self, reply_id: str) -> None:
        self._reply = reply_id
        self._stem = _NOT_IN_ID.sub("", reply_id.partition("_")[2] or reply_id)[-_LONGEST_STEM:]
        self._taken: set[str] = set()

    def item(self, kind: str, number: int) -> str:
        """The id of the item with this number; `kind` is `msg`, `rs` or `prefix_of`."""
        return f"{kind}_{self._stem}_{number}"

    def call(self, id_: str, signature: str) -> str:
        """The `call_id` of the next tool call, which its provider called `id_`."""
        return sign(made_id(id_, self._reply, len(self._taken), self._taken), signature)


def text_part(text: str) -> Body:
    """A part of a message: text."""
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


def refusal_part(text: str) -> Body:
    """A part of a message: a refusal in the model's own words."""
    return {"type": "refusal", "refusal": text}


def message_item(id_: str, parts: list[Body], status: Status) -> Body:
    """A message of the assistant."""
    return {
        "type": "message",
        "id": id_,
        "status": status,
        "role": "assistant",
        "content": parts,
    }


def tool_of_call(name: str, forms: Forms) -> Body:
    """How a call names its tool: taken apart where the request had it in a namespace, in its own
    kind where it is no function.
    """
    return forms.get(name) or {"name": name}


def prefix_of(tool: Body) -> str:
    """What the id of a call's item begins with."""
    return PREFIX.get(str(tool.get("type")), "fc")


def call_item(id_: str, call_id: str, tool: Body, arguments: str, status: Status) -> Body:
    """A tool call; `tool` is `tool_of_call`."""
    kind = tool.get("type")
    ids = {"id": id_, "call_id": call_id}
    if not isinstance(kind, str):
        return {"type": "function_call", **ids, **tool, "arguments": arguments, "status": status}
    ended = {} if kind == CUSTOM else {"status": status}
    return {**tool, **ids, **in_kind(kind, arguments), **ended}


def write_items(blocks: tuple[Block, ...], reply_id: str, last: Status, forms: Forms) -> list[Body]:
    """Write every item of a whole reply; `last` is the status of the last one."""
    ids = Ids(reply_id)
    items: list[Body] = []
    parts: list[Body] | None = None
    for block in blocks:
        if isinstance(block, Text | Refusal):
            if not block.text:
                continue
            if parts is None:
                parts = []
                items.append(message_item(ids.item("msg", len(items)), parts, "completed"))
            is_text = isinstance(block, Text)
            parts.append(text_part(block.text) if is_text else refusal_part(block.text))
            continue
        parts = None
        items.append(_item(block, ids, len(items), forms))
    if items and "status" in items[-1]:
        items[-1]["status"] = last
    return items


def _item(block: Thinking | ToolUse, ids: Ids, number: int, forms: Forms) -> Body:
    if isinstance(block, Thinking):
        return write_reasoning(block, ids.item("rs", number))
    call_id = ids.call(block.id, block.signature)
    arguments = block.arguments or "{}"
    tool = tool_of_call(block.name, forms)
    return call_item(ids.item(prefix_of(tool), number), call_id, tool, arguments, "completed")
