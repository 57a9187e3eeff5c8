"""Thinking of another provider in a history that otherwise passes verbatim.

A conversation may change its target while it stays in its dialect. What Octoplex wrote
into the earlier replies for the old target is then not the new one's: signed thinking in
a Chat message (`reasoning_details`, which OpenAI does not know), or thinking without a
signature in an Anthropic one (of a provider that signs nothing). The provider would
answer 400, so these members are taken out and named; every other value keeps its bytes.

Callers look first whether `MARKS` occur at all (`dialects/*/head.py`), because a history
is long and this is rare.

Not promised: that a signature which is there is one that this provider made.
"""

import msgspec
from msgspec import Raw

CHAT_MARK = b'"reasoning_details"'
ANTHROPIC_MARKS = (b'"signature":""', b'"signature": ""')

_turns = msgspec.json.Decoder(list[dict[str, Raw]]).decode
_blocks = msgspec.json.Decoder(list[Raw]).decode
_json = msgspec.json.Encoder().encode
_OURS = ("reasoning_details", "reasoning_content")


class _Block(msgspec.Struct):
    type: str
    signature: str | None = None


_block = msgspec.json.Decoder(_Block).decode


def without_foreign(face: str, messages: Raw, quirks: frozenset[str]) -> Raw | None:
    """The messages without thinking that this provider cannot read; None if there is none."""
    text = bytes(messages)
    try:
        if face == "openai-chat" and CHAT_MARK in text:
            return None if "echo_reasoning_details" in quirks else _chat(messages, quirks)
        if face == "anthropic" and any(mark in text for mark in ANTHROPIC_MARKS):
            return _anthropic(messages)
    except msgspec.MsgspecError:  # not what it should be: the provider's to judge
        return None
    return None


def _chat(messages: Raw, quirks: frozenset[str]) -> Raw | None:
    turns = _turns(messages)
    found = False
    for turn in turns:
        if "reasoning_details" in turn:
            found = True
            for name in _OURS[: 1 if "echo_reasoning" in quirks else 2]:
                turn.pop(name, None)
    return Raw(_json(turns)) if found else None


def _anthropic(messages: Raw) -> Raw | None:
    kept: list[dict[str, Raw]] = []
    found = False
    for turn in _turns(messages):
        content = turn.get("content", Raw(b"null"))
        if bytes(content)[:1] != b"[":
            kept.append(turn)
            continue
        blocks = _blocks(content)
        signed = [raw for raw in blocks if not _is_unsigned(raw)]
        if len(signed) == len(blocks):
            kept.append(turn)
            continue
        found = True
        if signed:  # a turn of nothing but such thinking goes whole: an empty one is refused
            kept.append({**turn, "content": Raw(_json(signed))})
    return Raw(_json(kept)) if found else None


def _is_unsigned(raw: Raw) -> bool:
    block = _block(raw)
    return block.type == "thinking" and not block.signature
