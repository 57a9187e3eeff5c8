"""A request as it would be with another prompt or other parameters, in its caller's own words.

    varied("anthropic", fields, Variation(prompt="Be short.", temperature=0.2))   -> other members

Members that nothing is said of keep their bytes. The prompt stands before whatever the caller told
the model: as a first system turn, or in front of the system text.
"""

from collections.abc import Mapping

import msgspec
from msgspec import Raw, Struct

from octoplex.dialects.gemini.names import camel
from octoplex.dialects.members import UNREADABLE
from octoplex.wire.chat import Effort
from octoplex.wire.error import InvalidCall

Fields = dict[str, Raw]
_json = msgspec.json.Encoder().encode
_members = msgspec.json.Decoder(dict[str, Raw]).decode
_list = msgspec.json.Decoder(list[Raw]).decode
_system = msgspec.json.Decoder(str | list[Raw]).decode
_text = msgspec.json.Decoder(str).decode


class _Turn(Struct):
    role: str = ""


_role = msgspec.json.Decoder(_Turn).decode


class Variation(Struct, frozen=True):
    """What is different; None and "" are as the caller has it."""

    prompt: str = ""
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    effort: Effort | None = None


def varied(face: str, fields: Mapping[str, Raw], change: Variation) -> Fields:
    """The members of a chat request of this face, changed.

    Raises:
        InvalidCall: what has to be changed is not what its dialect says.
    """
    try:
        return _FACES[face]({**fields}, change)
    except (KeyError, *UNREADABLE) as error:
        raise InvalidCall(f"The request cannot be varied: {error}.") from None


def _put(fields: Fields, **members: object) -> Fields:
    told = {name: Raw(_json(value)) for name, value in members.items() if value is not None}
    return {**fields, **told}


def _within(fields: Fields, name: str, **members: object) -> Fields:
    """The same, in an object among the members."""
    old = _inner(fields, name)
    new = _put(old, **members)
    return fields if new == old else {**fields, name: Raw(_json(new))}


def _inner(fields: Fields, name: str) -> Fields:
    inner = fields.get(name)
    return {} if inner is None or bytes(inner) == b"null" else _members(inner)


def _chat(fields: Fields, change: Variation) -> Fields:
    if change.prompt:
        turns = _list(fields["messages"])
        role = _role(turns[0]).role if turns else ""  # one request may not have both
        said = {"role": "developer" if role == "developer" else "system", "content": change.prompt}
        fields["messages"] = Raw(_json([said, *turns]))
    newer = "max_completion_tokens" in fields
    limit = {"max_completion_tokens" if newer else "max_tokens": change.max_tokens}
    effort = change.effort
    return _put(
        fields, temperature=change.temperature, top_p=change.top_p, reasoning_effort=effort, **limit
    )


def _responses(fields: Fields, change: Variation) -> Fields:
    if change.prompt:
        old = fields.get("instructions")
        said = "" if old is None or bytes(old) == b"null" else _text(old)
        fields["instructions"] = Raw(_json(_joined(change.prompt, said)))
    fields = _within(fields, "reasoning", effort=change.effort)
    limit = change.max_tokens
    return _put(fields, temperature=change.temperature, top_p=change.top_p, max_output_tokens=limit)


def _anthropic(fields: Fields, change: Variation) -> Fields:
    if change.prompt:
        old = fields.get("system")
        system = "" if old is None else _system(old)
        if isinstance(system, str):
            fields["system"] = Raw(_json(_joined(change.prompt, system)))
        else:
            fields["system"] = Raw(_json([{"type": "text", "text": change.prompt}, *system]))
    if change.effort == "none":
        fields = _put(fields, thinking={"type": "disabled"})
    else:
        fields = _within(fields, "output_config", effort=change.effort)
    return _put(
        fields,
        temperature=change.temperature,
        top_p=change.top_p,
        max_tokens=change.max_tokens,
    )


def _gemini(fields: Fields, change: Variation) -> Fields:
    if change.prompt:
        name = "system_instruction" if "system_instruction" in fields else "systemInstruction"
        old = _inner(fields, name)
        parts = [{"text": change.prompt}, *(_list(old["parts"]) if "parts" in old else [])]
        fields[name] = Raw(_json({**old, "parts": parts}))
    name = "generation_config" if "generation_config" in fields else "generationConfig"
    old = {camel(key): value for key, value in _inner(fields, name).items()}
    new = _put(
        old,
        temperature=change.temperature,
        topP=change.top_p,
        maxOutputTokens=change.max_tokens,
        thinkingConfig=None if change.effort is None else _thinking(old, change.effort),
    )
    return fields if new == old else {**fields, name: Raw(_json(new))}


def _thinking(config: Fields, effort: Effort) -> Mapping[str, object]:
    if effort == "none":
        return {"thinkingBudget": 0}
    old = {camel(key): value for key, value in _inner(config, "thinkingConfig").items()}
    old.pop("thinkingBudget", None)  # one request may not have both
    return {**old, "thinkingLevel": _LEVELS[effort]}


_LEVELS = {"minimal": "minimal", "low": "low", "medium": "medium"} | dict.fromkeys(
    ("high", "xhigh", "max"), "high"
)


def _joined(prompt: str, said: str) -> str:
    return f"{prompt}\n\n{said}" if said else prompt


_FACES = {
    "openai-chat": _chat,
    "openai-responses": _responses,
    "anthropic": _anthropic,
    "gemini": _gemini,
}
