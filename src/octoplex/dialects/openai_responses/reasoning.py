"""Reasoning items and our `Thinking`, pinned to who made it (`dialects/foreign.py`).

A reasoning item carries its proof in `encrypted_content`. To our words, and so to the
clients of other faces, it goes as `octoplex:openai-responses:ID:CIPHER`, and comes back
as the item with that id and that cipher. The other way, thinking of another provider
goes to a client of this face as an item whose `encrypted_content` is
`octoplex:MAKER:BASE64` of `[text, signature, data]`: the text too, because clients drop
or cut summaries, and a signature is worth nothing without every letter it signs. Thinking
that nothing proves is marked `octoplex::`, so that it never reaches a provider of this
dialect, which would look for an item of that id.

Summaries of several parts are one text here, with a blank line between the parts.

Reference: https://developers.openai.com/api/docs/guides/reasoning#encrypted-reasoning-items

Not promised: that a cipher is accepted outside the organisation it was made for.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode

import msgspec

from octoplex.dialects.foreign import made_by, pin, unpin
from octoplex.dialects.members import UNREADABLE
from octoplex.dialects.openai_responses.shapes import NAME, ItemWire
from octoplex.wire.event import Thinking

Body = dict[str, object]
BETWEEN_PARTS = "\n\n"

_json = msgspec.json.Encoder().encode
_read_packed = msgspec.json.Decoder(tuple[str, str, str]).decode


def proof_of(item: ItemWire) -> str:
    """The cipher of an item as our words have it; "" where it has none."""
    return pin(NAME, f"{item.id or ''}:{item.encrypted_content}") if item.encrypted_content else ""


def read_reasoning(item: ItemWire) -> Thinking | None:
    """The thinking an item stands for; None when it is empty."""
    text = BETWEEN_PARTS.join(p.text or "" for p in item.summary or item.content or ())
    maker, packed = unpin(item.encrypted_content or "")
    if maker is not None:
        return _unpacked(packed) or (Thinking(text) if text else None)
    proof = proof_of(item)
    if text:
        return Thinking(text, proof)
    return Thinking(data=proof) if proof else None


def _unpacked(packed: str) -> Thinking | None:
    try:
        return Thinking(*_read_packed(urlsafe_b64decode(packed)))
    except (ValueError, *UNREADABLE):
        return None  # what a client spoilt proves nothing


def own_item(thinking: Thinking) -> Body | None:
    """The item a provider of this dialect made; None when it was another's."""
    if made_by(thinking) != NAME:
        return None
    id_, _, cipher = unpin(thinking.signature or thinking.data)[1].partition(":")
    item: Body = {"type": "reasoning", "summary": _summary(thinking.text)}
    if id_:
        item["id"] = id_
    return item | {"encrypted_content": cipher}


def write_reasoning(thinking: Thinking, id_: str) -> Body:
    """The item for a client; it keeps the id its maker gave, if there is one."""
    own = own_item(thinking)
    if own is not None:
        return {"id": id_, **own}
    proof = ""
    if maker := made_by(thinking):
        packed = _json((thinking.text, thinking.signature, thinking.data))
        proof = urlsafe_b64encode(packed).decode()
    return {
        "id": id_,
        "type": "reasoning",
        "summary": _summary(thinking.text),
        "encrypted_content": pin(maker, proof),
    }


def _summary(text: str) -> list[Body]:
    return [{"type": "summary_text", "text": text}] if text else []
