"""Every form of "wait" of fault F30."""

import pytest

from octoplex.dialects.retry_after import LONGEST_S, retry_after

NOW = 1_741_569_952.0  # Mon, 10 Mar 2025 01:25:52 GMT

CASES: list[tuple[dict[str, str], float | None]] = [
    ({}, None),
    ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
    ({"retry-after": "7"}, 7.0),
    ({"retry-after": "1.5"}, 1.5),
    ({"retry-after": " 3 "}, 3.0),
    ({"retry-after": "0"}, 0.0),
    ({"retry-after": "-5"}, 0.0),
    ({"retry-after": "1e9"}, LONGEST_S),
    ({"retry-after": "inf"}, LONGEST_S),
    ({"retry-after": "nan"}, None),
    ({"retry-after": "soon"}, None),
    ({"retry-after": ""}, None),
    ({"retry-after": "Mon, 10 Mar 2025 01:26:22 GMT"}, 30.0),
    ({"retry-after": "Mon, 10 Mar 2025 01:20:00 GMT"}, 0.0),
    ({"retry-after": "Mon, 99 Mar 2025 01:20:00 GMT"}, None),
    ({"retry-after": "soon", "x-ratelimit-reset": "2"}, 2.0),
    ({"x-ratelimit-reset-requests": "6m0s"}, 360.0),
    ({"x-ratelimit-reset-tokens": "120ms"}, 0.12),
    ({"x-ratelimit-reset-tokens": "1h2m3.5s"}, 3723.5),
    ({"x-ratelimit-reset": str(int(NOW) + 40)}, 40.0),
    ({"x-ratelimit-reset": str((int(NOW) + 40) * 1000)}, 40.0),
    ({"x-ratelimit-reset": "never"}, None),
    ({"x-ratelimit-reset-requests": "9s", "x-ratelimit-reset-tokens": "4s"}, 4.0),
    (
        {
            "x-ratelimit-reset-requests": "9s",
            "x-ratelimit-remaining-requests": "0",
            "x-ratelimit-reset-tokens": "4s",
            "x-ratelimit-remaining-tokens": "10",
        },
        9.0,
    ),
    ({"anthropic-ratelimit-requests-reset": "2025-03-10T01:26:02Z"}, 10.0),
    ({"anthropic-ratelimit-input-tokens-reset": "2025-03-10T02:26:02+01:00"}, 10.0),
    (
        {
            "anthropic-ratelimit-tokens-reset": "2025-03-10T01:26:52Z",
            "anthropic-ratelimit-tokens-remaining": "0",
            "anthropic-ratelimit-requests-reset": "2025-03-10T01:25:53Z",
            "anthropic-ratelimit-requests-remaining": "3",
        },
        60.0,
    ),
    ({"x-ratelimit-limit-requests": "60"}, None),
]


@pytest.mark.parametrize(("headers", "expected"), CASES)
def test_retry_after(headers: dict[str, str], expected: float | None) -> None:
    assert retry_after(headers, NOW) == (expected if expected is None else pytest.approx(expected))
