"""Lines of batches: any bytes are checked without harm, any answer becomes one line."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Raw

from octoplex.jobs.lines import (
    MOST_BLANK,
    MOST_LINES,
    Asked,
    Replied,
    check,
    message_requests,
    sheet_of,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
ENDPOINT = "/v1/chat/completions"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(data=st.binary(max_size=400) | st.lists(JSON).map(lambda v: json.dumps(v).encode()))
def test_any_file_is_checked(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "in"
    path.write_bytes(data)
    checked = check(path, ENDPOINT, 100)
    assert checked.complaints
    assert all(c.line is None or c.line >= 1 for c in checked.complaints)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.text(min_size=1), st.dictionaries(st.text(), JSON)), min_size=1))
def test_what_is_right_is_read_as_it_is(
    tmp_path: Path, lines: list[tuple[str, dict[str, object]]]
) -> None:
    lines = list({name: (name, body) for name, body in lines}.values())
    path = tmp_path / "in"
    asked = [
        {"custom_id": name, "method": "POST", "url": ENDPOINT, "body": body} for name, body in lines
    ]
    path.write_text("\n\n".join(json.dumps(line) for line in asked))
    checked = check(path, ENDPOINT, 1_000_000)
    assert (checked.total, checked.complaints) == (len(lines), [])
    read = [sheet_of("openai-chat").read(json.dumps(line).encode()) for line in asked]
    assert [(a.custom_id, json.loads(bytes(a.body))) for a in read] == lines


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "in"
    asked = {"custom_id": "a", "method": "POST", "url": ENDPOINT, "body": {"n": 1}}
    path.write_text(json.dumps(asked), encoding="utf-8-sig")
    checked = check(path, ENDPOINT, 1_000)
    assert (checked.total, checked.complaints) == (1, [])
    read = sheet_of("openai-chat").read(path.read_bytes())
    assert (read.custom_id, bytes(read.body)) == ("a", b'{"n": 1}')


@pytest.mark.parametrize("face", ["openai-chat", "anthropic"])
@given(custom_id=st.text(), body=JSON, status=st.sampled_from([200, 400, 529]))
def test_any_answer_is_one_line(face: str, custom_id: str, body: object, status: int) -> None:
    sheet, asked = sheet_of(face), Asked(custom_id, Raw(b"{}"))
    pretty = json.dumps(body, indent=1).encode()
    written = sheet.answered(asked, Replied(status, "req_1", pretty)).data
    assert written.endswith(b"\n")
    assert written.count(b"\n") == 1
    found = json.loads(written)
    assert found["custom_id"] == custom_id
    inner = found.get("response") or found["result"]
    assert body in (inner.get("body"), inner.get("message"), inner.get("error"))


def test_what_was_never_asked_has_its_vendors_line() -> None:
    asked = Asked("a", Raw(b"{}"))
    openai, anthropic = sheet_of("openai-chat"), sheet_of("anthropic")
    expired = openai.left(asked, "expired")
    assert expired is not None
    assert json.loads(expired.data)["error"]["code"] == "batch_expired"
    assert openai.left(asked, "canceled") is None
    for why in ("expired", "canceled"):
        line = anthropic.left(asked, why)  # type: ignore[arg-type]
        assert line is not None
        assert json.loads(line.data) == {"custom_id": "a", "result": {"type": why}}


@given(st.lists(JSON, max_size=5))
def test_any_list_is_message_requests_or_says_what_is_wrong(requests: list[object]) -> None:
    lines, wrong = message_requests([Raw(json.dumps(r).encode()) for r in requests])
    assert bool(lines) != bool(wrong)
    if wrong:
        assert wrong.startswith("requests")


def test_blank_lines_are_bounded_like_others(tmp_path: Path) -> None:
    path = tmp_path / "in"
    line = json.dumps({"custom_id": "1", "method": "POST", "url": ENDPOINT, "body": {}}).encode()
    path.write_bytes(b"\n" * MOST_BLANK + line)
    assert check(path, ENDPOINT, 1_000).complaints == []
    path.write_bytes(b"\n" * (MOST_BLANK + MOST_LINES) + line)
    assert [c.code for c in check(path, ENDPOINT, 1_000).complaints] == ["too_many_tasks"]
    path.write_bytes(b" " * 1_001 + b"\n" + line)
    assert [c.code for c in check(path, ENDPOINT, 1_000).complaints] == ["line_too_large"]
