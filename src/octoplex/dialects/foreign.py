"""Thinking is pinned to who made it: only there may it come back.

A provider gives thinking a proof (a signature, a cipher) and takes it back only with its
own. In our words the proof of Anthropic stands as it is; every other one is *pinned*: the
maker's dialect stands before it, `octoplex:openai-responses:...`. A pinned proof travels
through the clients of every face in the place that face has for proofs, and `made_by`
says at the end whose it is. Ciphers of Responses are another account's too: who cannot read one
says so with a code of its own, and is asked again without them (`without_ciphers`).

A conversation may change its target while it stays in its dialect. What Octoplex wrote
into the earlier replies for the old target is then not the new one's: signed thinking in
a Chat message (`reasoning_details`, which OpenAI does not know), thinking without a
signature in an Anthropic one (of a provider that signs nothing; it stays where the provider
wants it back and signs nothing either: the quirks `ECHOES`), or any that is pinned to
another dialect; in a Gemini one, a proof that Octoplex marked. The provider would answer
400, so these members are taken out and named, and so are Gemini's signatures in the ids of
tool calls (`signed_ids.py`); every other value keeps its bytes.

Callers look first whether `MARKS` occur at all (`dialects/*/head.py`), because a history
is long and this is rare.

Not promised: that a signature which is there is one that this provider made.
"""

from base64 import b64encode

import msgspec
from msgspec import Raw

from octoplex.dialects.members import UNREADABLE
from octoplex.dialects.signed_ids import BYTES_MARK, without_signatures
from octoplex.dialects.verbatim import join, split
from octoplex.wire.event import Thinking

_PIN = "octoplex:"
PIN_MARK = b'"octoplex:'
"""How a pinned proof begins in JSON."""
CHAT_MARK = b'"reasoning_details"'
CIPHER_MARK = b'"encrypted_content"'
NOT_READ = "invalid_encrypted_content"
"""The code of a 400 of Responses: a cipher was made elsewhere."""
ANTHROPIC_MARKS = (b'"signature":""', b'"signature": ""', PIN_MARK, BYTES_MARK)
GEMINI_MARK = b64encode(_PIN.encode())
"""How a proof of another provider begins in Gemini's JSON: nine bytes are twelve letters."""

_turns = msgspec.json.Decoder(list[dict[str, Raw]]).decode
_blocks = msgspec.json.Decoder(list[Raw]).decode
_json = msgspec.json.Encoder().encode
_OURS = ("reasoning_details", "reasoning_content")
ECHOES = frozenset({"echo_reasoning", "echo_tool_reasoning"})
"""Quirks of providers that take thinking back as bare text."""
HISTORY = {
    "openai-chat": "messages",
    "anthropic": "messages",
    "openai-responses": "input",
    "gemini": "contents",
}
"""Face -> the member of its requests that holds the earlier turns."""
THOUGHT = {
    "openai-chat": "reasoning_details",
    "anthropic": "thinking",
    "openai-responses": "reasoning",
    "gemini": "thought",
}
"""Face -> what its callers call proven thinking in them."""


class _Block(msgspec.Struct):
    type: str
    signature: str | None = None
    data: str | None = None


class _Item(msgspec.Struct):
    type: str | None = None
    encrypted_content: str | None = None


class _Part(msgspec.Struct):
    thoughtSignature: str | None = None  # noqa: N815 - the wire's name
    thought_signature: str | None = None


_block = msgspec.json.Decoder(_Block).decode
_part = msgspec.json.Decoder(_Part).decode
_item = msgspec.json.Decoder(_Item).decode


def pin(dialect: str, proof: str) -> str:
    """The proof with its maker's dialect before it; "" stands for one that signs nothing."""
    return f"{_PIN}{dialect}:{proof}"


def unpin(proof: str) -> tuple[str | None, str]:
    """The dialect a proof is pinned to, None where it is not, and the proof itself."""
    if not proof.startswith(_PIN):
        return None, proof
    dialect, _, bare = proof[len(_PIN) :].partition(":")
    return dialect, bare


def made_by(thinking: Thinking) -> str:
    """The dialect of the provider that can prove the thinking; "" where nothing proves it."""
    proof = thinking.signature or thinking.data
    dialect, _ = unpin(proof)
    return ("anthropic" if proof else "") if dialect is None else dialect


def without_foreign(face: str, messages: Raw, quirks: frozenset[str]) -> Raw | None:
    """The messages without thinking that this provider cannot read; None if there is none.

    `messages` is the face's own member for them (`HISTORY`).
    """
    text = bytes(messages)
    if BYTES_MARK not in text:
        return _without_thinking(face, messages, quirks)
    unsigned = Raw(without_signatures(text))
    return _without_thinking(face, unsigned, quirks) or unsigned


def _without_thinking(face: str, messages: Raw, quirks: frozenset[str]) -> Raw | None:
    text = bytes(messages)
    try:
        if face == "openai-chat" and CHAT_MARK in text:
            echoes = "echo_reasoning_details" in quirks
            return _echoed(messages) if echoes else _chat(messages, quirks)
        if face == "anthropic" and any(mark in text for mark in ANTHROPIC_MARKS):
            return _anthropic(messages, bare=bool(quirks & ECHOES))
        if face == "openai-responses" and PIN_MARK in text:
            return _items(messages)
        if face == "gemini" and GEMINI_MARK in text:
            return _contents(messages)
    except UNREADABLE:  # not what it should be: the provider's to judge
        return None
    return None


def _chat(messages: Raw, quirks: frozenset[str]) -> Raw | None:
    turns = _turns(messages)
    found = False
    for turn in turns:
        if "reasoning_details" in turn:
            found = True
            for name in _OURS[: 1 if quirks & ECHOES else 2]:
                turn.pop(name, None)
    return Raw(_json(turns)) if found else None


def _echoed(messages: Raw) -> Raw | None:
    """For a provider that takes details back: those that are pinned are another's."""
    if PIN_MARK not in bytes(messages):
        return None
    turns = _turns(messages)
    found = False
    for turn in turns:
        if "reasoning_details" in turn:
            details = _blocks(turn["reasoning_details"])
            own = [raw for raw in details if PIN_MARK not in bytes(raw)]
            found = found or len(own) < len(details)
            turn["reasoning_details"] = Raw(_json(own))
    return Raw(_json(turns)) if found else None


def _items(messages: Raw) -> Raw | None:
    items = _blocks(messages)
    own = [raw for raw in items if PIN_MARK not in bytes(raw) or not _is_pinned(raw)]
    return Raw(_json(own)) if len(own) < len(items) else None


def _contents(messages: Raw) -> Raw | None:
    """Gemini's turns without the parts of another's thinking; a turn of nothing else goes."""
    kept: list[dict[str, Raw]] = []
    found = False
    for turn in _turns(messages):
        parts = turn.get("parts", Raw(b"null"))
        if GEMINI_MARK not in bytes(parts) or bytes(parts)[:1] != b"[":
            kept.append(turn)
            continue
        blocks = _blocks(parts)
        own = [raw for raw in blocks if not _is_marked(raw)]
        found = found or len(own) < len(blocks)
        if own:
            kept.append({**turn, "parts": Raw(_json(own))})
    return Raw(_json(kept)) if found else None


def without_ciphers(body: bytes) -> bytes | None:
    """A Responses request without reasoning that is encrypted; None if it holds none.

    For a provider that says it cannot read it (`NOT_READ`): its dialect is the same, but another
    provider, or another account there, made it.
    """
    try:
        fields = split(body)
        items = _blocks(fields["input"])
        own = [raw for raw in items if CIPHER_MARK not in bytes(raw) or not _is_cipher(raw)]
    except (KeyError, *UNREADABLE):
        return None
    return join({**fields, "input": Raw(_json(own))}) if len(own) < len(items) else None


def _is_cipher(raw: Raw) -> bool:
    item = _item(raw)
    return item.type == "reasoning" and bool(item.encrypted_content)


def _is_marked(raw: Raw) -> bool:
    part = _part(raw)
    proof = part.thoughtSignature or part.thought_signature or ""
    return proof.startswith(GEMINI_MARK.decode())


def _is_pinned(raw: Raw) -> bool:
    item = _item(raw)
    return item.type == "reasoning" and (item.encrypted_content or "").startswith(_PIN)


def _anthropic(messages: Raw, *, bare: bool) -> Raw | None:
    kept: list[dict[str, Raw]] = []
    found = False
    for turn in _turns(messages):
        content = turn.get("content", Raw(b"null"))
        if bytes(content)[:1] != b"[":
            kept.append(turn)
            continue
        blocks = _blocks(content)
        signed = [raw for raw in blocks if not _is_foreign(raw, bare=bare)]
        if len(signed) == len(blocks):
            kept.append(turn)
            continue
        found = True
        if signed:  # a turn of nothing but such thinking goes whole: an empty one is refused
            kept.append({**turn, "content": Raw(_json(signed))})
    return Raw(_json(kept)) if found else None


def _is_foreign(raw: Raw, *, bare: bool) -> bool:
    block = _block(raw)
    if block.type == "redacted_thinking":
        return (block.data or "").startswith(_PIN)
    if block.type != "thinking":
        return False
    return block.signature.startswith(_PIN) if block.signature else not bare
