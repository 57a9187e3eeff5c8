"""Replies of GigaChat, read into the shapes of Chat.

- A call has no id. The reply has one of its functions (`functions_state_id`), which is
  wanted back with the call: it is the call's id here, marked so that `request.py` knows it.
- `precached_prompt_tokens` are not part of `prompt_tokens` and cost nothing.
- What a function of Sber's own says of its progress is no text of the answer.

Reference: https://developers.sber.ru/docs/ru/gigachat/api/reference/rest/post-chat and
https://developers.sber.ru/docs/ru/gigachat/guides/counting-tokens
"""

import msgspec
from msgspec import Raw

from octoplex.dialects.openai_chat.shapes import Choice, Count, Said, ToolPiece, Wire, WireUsage

MARK = "giga_"
"""Before the id of a call that is GigaChat's own."""
_REASONS = {"blacklist": "content_filter"}


class _Said(Said):
    role: str | None = None
    functions_state_id: str | None = None


class _Choice(Choice):
    delta: _Said | None = None
    message: _Said | None = None


class _Usage(WireUsage):
    precached_prompt_tokens: Count = None


class _Chunk(Wire):
    """An error fits it too: it has a message and no choices."""

    choices: list[_Choice] | None = None  # type: ignore[assignment]
    usage: _Usage | None = None
    created: Raw = Raw()
    message: str | None = None


_read = msgspec.json.Decoder(_Chunk).decode


def read_chunk(data: bytes) -> Wire:
    """A chunk or a whole reply.

    Raises:
        msgspec.DecodeError, UnicodeDecodeError, RecursionError: it is none.
    """
    chunk = _read(data)
    stamp = bytes(chunk.created).decode("ascii", "replace")
    if chunk.id is None and stamp.isdecimal():
        chunk.id = f"gigachat-{stamp}"
    if chunk.choices is None and chunk.message:
        chunk.error = chunk.message
    for choice in chunk.choices or ():
        choice.finish_reason = _REASONS.get(choice.finish_reason or "", choice.finish_reason)
        for said in (choice.delta, choice.message):
            if said is not None:
                _regular(said)
    if chunk.usage is not None and chunk.usage.precached_prompt_tokens:
        cached = chunk.usage.precached_prompt_tokens
        chunk.usage.prompt_tokens = (chunk.usage.prompt_tokens or 0) + cached
        chunk.usage.cached_tokens = cached
    return chunk


def _regular(said: _Said) -> None:
    """A function's progress taken out, its call as Chat has calls."""
    if said.role == "function_in_progress":
        said.content = None
    if said.function_call is not None:
        id_ = said.functions_state_id and MARK + said.functions_state_id
        said.tool_calls = [ToolPiece(0, id_, said.function_call)]
