"""Whole replies: read lightly, decoded, and written for a caller.

Texts that follow each other are one block, and so are thoughts. A prompt that the provider
refused has no candidate: it is an answer that ends in refusal and says why. A finish reason
that says that nothing came of it (`MALFORMED_FUNCTION_CALL`) is a failure.

Reference: https://ai.google.dev/api/generate-content

Not promised: images, code that the provider ran, citations and log probabilities.
"""

import msgspec
from msgspec import Raw, Struct

from octoplex.dialects.arguments import input_object, input_text
from octoplex.dialects.broken import named, unreadable
from octoplex.dialects.dialect import Seen
from octoplex.dialects.gemini import signatures
from octoplex.dialects.gemini.shapes import (
    BROKEN_STOPS,
    NOTHING,
    UNKNOWN_USAGE,
    UNREADABLE,
    Body,
    Call,
    Candidate,
    Feedback,
    PartWire,
    Wire,
    block_notice,
    given,
    read_part,
    read_wire,
    stop_of,
    usage_of,
)
from octoplex.dialects.gemini.verdict import broken_stop, judge_in_band
from octoplex.dialects.openai_chat.toolcalls import made_id
from octoplex.wire.event import (
    Block,
    Refusal,
    Reply,
    StopReason,
    Text,
    Thinking,
    ToolUse,
    Usage,
)

_json = msgspec.json.Encoder().encode

_WORDS: dict[StopReason, str] = {
    "length": "MAX_TOKENS",
    "context": "MAX_TOKENS",
    "refusal": "SAFETY",
}


class _LightCandidate(Struct, gc=False):
    index: int = 0
    finishReason: str | None = None  # noqa: N815 - the wire's name


class _Light(Struct):
    """What a reply that passes verbatim is asked for; its content is checked but not read."""

    candidates: list[_LightCandidate] | None = None
    promptFeedback: Feedback | None = None  # noqa: N815
    usageMetadata: Raw = NOTHING  # noqa: N815
    modelVersion: str | None = None  # noqa: N815
    error: Raw = NOTHING


_read_light = msgspec.json.Decoder(_Light).decode


def read_whole(body: bytes) -> Seen:
    """Scan a whole 200 reply lightly.

    Raises:
        UpstreamError: it is not a reply of this dialect, or an error dressed as one.
    """
    try:
        light = _read_light(body)
    except UNREADABLE:
        raise unreadable(body) from None
    reasons = [c.finishReason for c in light.candidates or ()]
    blocked = (light.promptFeedback and light.promptFeedback.blockReason) or ""
    _refuse_none(body, light.error, bool(light.candidates or blocked))
    for reason in reasons:
        if reason in BROKEN_STOPS:
            raise broken_stop(reason)
    usage = usage_of(light.usageMetadata)
    return Seen(light.modelVersion or "", usage, stop_of(reasons[0] if reasons else None, blocked))


def decode_reply(body: bytes) -> Reply:
    """Decode a whole 200 reply.

    Raises:
        UpstreamError: it is not a reply of this dialect, or an error dressed as one.
    """
    try:
        wire = read_wire(body)
    except UNREADABLE:
        raise unreadable(body) from None
    _refuse_none(body, wire.error, bool(wire.candidates or wire.blocked))
    candidate = _first(wire)
    reason = candidate.finishReason
    if reason in BROKEN_STOPS:
        raise broken_stop(reason or "")
    blocks = _blocks(candidate, wire.responseId or "")
    if wire.blocked and not blocks:
        blocks = (Refusal(block_notice(wire.blocked)),)
    return Reply(
        id=wire.responseId or "",
        model=wire.modelVersion or "",
        blocks=blocks,
        stop=settled_stop(
            stop_of(reason, wire.blocked) or "end",
            tools=any(isinstance(b, ToolUse) for b in blocks),
        ),
        usage=usage_of(wire.usageMetadata) or UNKNOWN_USAGE,
    )


def settled_stop(stop: StopReason, *, tools: bool) -> StopReason:
    """The stop reason in the light of what was said: a tool call ends with "STOP" too."""
    return "tool" if stop == "end" and tools else stop


def _first(wire: Wire) -> Candidate:
    candidates = wire.candidates or [Candidate()]
    return next((c for c in candidates if c.index == 0), candidates[0])


def _refuse_none(body: bytes, error: Raw, answers: bool) -> None:
    if given(error):
        raise judge_in_band(body)
    if not answers:
        raise unreadable(body)


def _blocks(candidate: Candidate, reply_id: str) -> tuple[Block, ...]:
    content = candidate.content
    blocks: list[Block] = []
    taken: set[str] = set()
    for raw in (content and content.parts) or ():
        part = read_part(raw)
        if part.functionCall is not None:
            id_ = made_id(part.functionCall.id, reply_id, len(taken), taken)
            blocks.append(_use(part.functionCall, id_, part.thoughtSignature or ""))
        elif part.text is not None:
            _add_text(part, blocks)
    return tuple(blocks)


def _use(call: Call, id_: str, signature: str) -> ToolUse:
    return ToolUse(id_, named(call.name), input_text(call.args), signatures.of_call(signature))


def _add_text(part: PartWire, blocks: list[Block]) -> None:
    text, signature, last = part.text or "", part.thoughtSignature, blocks[-1] if blocks else None
    if part.thought:
        thought = signatures.from_wire(signature, text) if signature else Thinking(text)
        whole = signatures.joined(last, thought)
        if whole is not None:
            blocks[-1] = whole
        elif signature or text:
            blocks.append(thought)
        return
    if isinstance(last, Text):
        blocks[-1] = Text(last.text + text)
    elif text:
        blocks.append(Text(text))
    if signature:
        blocks.append(signatures.from_wire(signature, ""))


def encode_reply(reply: Reply) -> bytes:
    """Write a whole reply for a caller."""
    parts: list[Body] = []
    for block in reply.blocks:
        _write(block, parts)
    return _json(write_reply(parts, reply.id, reply.model, ending(reply.stop, reply.usage)))


def _write(block: Block, parts: list[Body]) -> None:
    match block:
        case Text(text=text) | Refusal(text=text):
            if text:
                parts.append({"text": text})
        case Thinking():
            _write_thinking(block, parts)
        case ToolUse():
            signed = any("functionCall" in part for part in parts)
            parts.append(write_call(block, first=not signed))


def _write_thinking(thinking: Thinking, parts: list[Body]) -> None:
    last = parts[-1] if parts else {}
    if signatures.own(thinking) and not thinking.text and last.keys() == {"text"}:
        last["thoughtSignature"] = signatures.to_wire(thinking)
    else:
        parts.append(write_thought(thinking))


def write_thought(thinking: Thinking) -> Body:
    """A part for thinking: a thought, or the signature of a text before it."""
    signature = signatures.to_wire(thinking)
    if not thinking.text and signatures.own(thinking):
        return {"text": "", "thoughtSignature": signature}
    part: Body = {"text": thinking.text, "thought": True}
    return part | {"thoughtSignature": signature} if signature else part


def write_call(use: ToolUse, *, first: bool) -> Body:
    """A part for a tool call. The first of a step is always signed."""
    call = {"id": use.id, "name": use.name, "args": input_object(use.arguments)}
    part: Body = {"functionCall": call}
    signature = use.signature or (signatures.SUBSTITUTE if first else "")
    return part | {"thoughtSignature": signature} if signature else part


def write_reply(parts: list[Body], id_: str, model: str, end: tuple[str, Body] | None) -> Body:
    """A reply, or an event of a stream; `end` is the finish reason and the usage."""
    candidate: Body = {"content": {"parts": parts, "role": "model"}}
    reply: Body = {"candidates": [candidate]}
    if end is not None:
        candidate["finishReason"], reply["usageMetadata"] = end
    candidate["index"] = 0
    return reply | {"modelVersion": model, "responseId": id_}


def ending(stop: StopReason, usage: Usage) -> tuple[str, Body]:
    """The finish reason and the usage, in Gemini's words."""
    thought = min(usage.reasoning_tokens, usage.output_tokens)
    wire: Body = {
        "promptTokenCount": usage.input_tokens,
        "candidatesTokenCount": usage.output_tokens - thought,
        "totalTokenCount": usage.input_tokens + usage.output_tokens,
    }
    if thought:
        wire["thoughtsTokenCount"] = thought
    if usage.cached_tokens:
        wire["cachedContentTokenCount"] = usage.cached_tokens
    return _WORDS.get(stop, "STOP"), wire
