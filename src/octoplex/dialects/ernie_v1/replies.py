"""Replies of ERNIE's first dialect, read into the shapes of Chat.

    {"id", "result", "is_end", "is_truncated", "finish_reason", "function_call", "usage"}

One object is a whole reply or a piece of one, the last of which is `is_end`. Only the text
and the call are demanded: whatever else is misshapen costs itself alone. The thoughts before
a call are thinking.

`completion_tokens` of a piece may count that piece only, `total_tokens` counts all so far:
the last piece says how much it was, but for what a search of Baidu's own has read.

Reference: https://cloud.baidu.com/doc/WENXINWORKSHOP/s/Qlphtigbf and
https://cloud.baidu.com/doc/WENXINWORKSHOP/s/Fm3e8i4zy
"""

import msgspec
from msgspec import Struct, ValidationError

from octoplex.dialects.broken import cut
from octoplex.dialects.ernie_v1.verdict import judge_code
from octoplex.dialects.openai_chat.shapes import (
    Choice,
    FunctionPiece,
    Last,
    Said,
    ToolPiece,
    Wire,
    WireUsage,
)

_REASONS = {
    "normal": "stop",
    "stop": "stop",
    "length": "length",
    "content_filter": "content_filter",
    "function_call": "tool_calls",
}


class _Call(Struct):
    name: str = ""
    arguments: str = ""
    thoughts: str | None = None


class _Piece(Struct):
    id: object = None
    result: str | None = None
    is_end: object = None
    is_truncated: object = None
    need_clear_history: object = None
    finish_reason: object = None
    function_call: _Call | None = None
    usage: object = None
    error_code: object = None
    error_msg: object = None


class _Usage(WireUsage):
    tool_tokens: int | float | None = None


_read = msgspec.json.Decoder(_Piece).decode


def read_chunk(data: bytes) -> Wire:
    """A piece or a whole reply.

    Raises:
        UpstreamError: it is an error, or its text cannot be read.
        msgspec.DecodeError, UnicodeDecodeError, RecursionError: it is neither.
    """
    try:
        piece = _read(data)
    except ValidationError as error:
        if "$." in str(error):
            raise cut(f"The provider sent a piece that cannot be read: {error}.") from None
        raise
    if piece.error_code:
        raise judge_code(piece.error_code, piece.error_msg)
    id_ = piece.id if isinstance(piece.id, str) else None
    if piece.result is None and piece.function_call is None:
        return Wire(id_)
    said = Said(piece.result)
    call = piece.function_call
    if call is not None and call.name:
        said.reasoning_content = call.thoughts
        said.tool_calls = [ToolPiece(0, None, FunctionPiece(call.name, call.arguments))]
    if piece.is_end is False:
        return Wire(id_, choices=[Choice(message=said)], usage=_usage(piece))
    choice = Choice(message=said, finish_reason=_reason(piece))
    return Last(id_, choices=[choice], usage=_usage(piece))


def _reason(piece: _Piece) -> str:
    """Why it stopped, in Chat's words; older models say only whether it was cut."""
    if piece.need_clear_history is True:
        return "content_filter"
    if isinstance(piece.finish_reason, str):
        return _REASONS.get(piece.finish_reason, "stop")
    return "length" if piece.is_truncated is True else "stop"


def _usage(piece: _Piece) -> WireUsage | None:
    try:
        usage = msgspec.convert(piece.usage, _Usage)
    except ValidationError:
        return None
    if piece.is_end is True and usage.total_tokens:
        wrote = usage.total_tokens - (usage.prompt_tokens or 0) - (usage.tool_tokens or 0)
        usage.completion_tokens = max(usage.completion_tokens or 0, wrote)
    return usage
