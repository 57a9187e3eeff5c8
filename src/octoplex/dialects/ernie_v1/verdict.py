"""What Baidu's errors mean: `{"error_code", "error_msg"}`, nearly always with a status of 200.

Each code of the list stands for the status that says as much elsewhere; what it says is then
judged as in Chat. A token that is not accepted is a 401, so that another one is fetched.

Reference: https://cloud.baidu.com/doc/WENXINWORKSHOP/s/tlmyncueh
"""

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from octoplex.dialects.members import UNREADABLE
from octoplex.dialects.openai_chat.verdict import Problem, judge
from octoplex.dialects.retry_after import retry_after
from octoplex.wire.error import ContextTooLong, UpstreamError
from octoplex.wire.redact import redact, snippet

_LONGEST_MESSAGE = 2_000
_STATUSES = {
    2: 503,
    3: 404,
    4: 503,
    6: 403,
    13: 401,
    14: 401,
    17: 402,
    18: 429,
    19: 402,
    100: 400,
    110: 401,
    111: 401,
    336001: 400,
    336002: 400,
    336003: 400,
    336004: 403,
    336005: 404,
    336006: 400,
    336100: 503,
    336101: 400,
    336104: 400,
    336105: 400,
    336501: 429,
    336502: 429,
}
"""Any other code is a failure of theirs."""
_TOO_LONG = frozenset({336007, 336103})
"""https://cloud.baidu.com/doc/WENXINWORKSHOP/s/Ultiovtgu"""


class _Body(Struct):
    error_code: int | None = None
    error_msg: str | None = None


_read = msgspec.json.Decoder(_Body).decode


def judge_code(code: object, message: object, wait: float | None = None) -> UpstreamError:
    """Classify an error by its code. `wait` is in seconds."""
    status = _STATUSES.get(code, 500) if isinstance(code, int) else 500
    said = redact(message if isinstance(message, str) else "")[:_LONGEST_MESSAGE] or "no message"
    shown = redact(str(code))[:200]
    if isinstance(code, int) and code in _TOO_LONG:
        return ContextTooLong(said, provider_code=shown)
    return judge(status, Problem(message=said, code=shown), wait)


def judge_status(status: int, headers: Mapping[str, str], body: bytes, now: float) -> UpstreamError:
    """Classify a reply whose status is not 2xx. `now` is Unix time in seconds."""
    wait = retry_after(headers, now)
    try:
        told = _read(body)
    except UNREADABLE:
        told = _Body()
    if told.error_code:
        return judge_code(told.error_code, told.error_msg, wait)
    return judge(status, Problem(message=snippet(body)), wait)
