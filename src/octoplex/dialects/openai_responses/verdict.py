"""What a failure inside a reply means: one of our `UpstreamError`s.

The envelope and the codes are those of the Chat dialect, whose tables judge them
(`openai_chat/verdict.py`); this dialect only has more places to put them: an `error`
event with its members side by side, or with an `error` object, and a failed response.

Reference: https://developers.openai.com/api/reference/resources/responses/streaming-events

Not promised: that an undocumented code is known; then it is a failure of the provider.
"""

import msgspec
from msgspec import Raw, Struct

from octoplex.dialects.members import UNREADABLE
from octoplex.dialects.openai_chat.verdict import judge_in_band
from octoplex.dialects.openai_responses.shapes import NOTHING, given
from octoplex.wire.error import UpstreamError


class _Response(Struct):
    error: Raw = NOTHING


class _Failure(Struct):
    error: Raw = NOTHING
    response: _Response | None = None
    message: Raw = NOTHING
    code: Raw = NOTHING
    param: Raw = NOTHING


_read = msgspec.json.Decoder(_Failure).decode
_json = msgspec.json.Encoder().encode


def judge_failure(data: bytes) -> UpstreamError:
    """Classify an `error` event, a failed response, or an error dressed as a 200."""
    try:
        failure = _read(data)
    except UNREADABLE:
        return judge_in_band(data)
    if given(failure.error):
        return judge_in_band(data)
    if failure.response is not None:
        return judge_in_band(bytes(failure.response.error))
    # The type of the event says nothing about the error.
    said = {"message": failure.message, "code": failure.code, "param": failure.param}
    return judge_in_band(_json({name: value for name, value in said.items() if given(value)}))
