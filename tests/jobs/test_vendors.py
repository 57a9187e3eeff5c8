"""What providers say of batches, as their documentation shows it, and anything else.

https://developers.openai.com/api/reference/resources/batches,
https://developers.openai.com/api/docs/guides/batch,
https://platform.claude.com/docs/en/build-with-claude/batch-processing
"""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from octoplex.dialects.members import UNREADABLE
from octoplex.jobs.vendors import vendor_of

BATCH = b"""{
  "id": "batch_abc123",
  "object": "batch",
  "endpoint": "/v1/chat/completions",
  "errors": null,
  "input_file_id": "file-abc123",
  "completion_window": "24h",
  "status": "completed",
  "output_file_id": "file-cvaTdG",
  "error_file_id": "file-HOWS94",
  "created_at": 1711471533,
  "in_progress_at": 1711471538,
  "expires_at": 1711557933,
  "finalizing_at": 1711493133,
  "completed_at": 1711493163,
  "failed_at": null,
  "expired_at": null,
  "cancelling_at": null,
  "cancelled_at": null,
  "request_counts": {"total": 100, "completed": 95, "failed": 5},
  "metadata": {"customer_id": "user_123456789", "batch_description": "Nightly eval job"}
}"""
ANSWERED = b"""{"id": "batch_req_wnaDys", "custom_id": "request-2", "response": \
{"status_code": 200, "request_id": "req_c187b3", "body": {"id": "chatcmpl-9758Iw", \
"object": "chat.completion", \
"choices": [{"index": 0, "message": {"role": "assistant", "content": "2 + 2 equals 4."}, \
"finish_reason": "stop"}], "usage": {"prompt_tokens": 24, "completion_tokens": 15, \
"total_tokens": 39}}}, "error": null}"""
EXPIRED = b"""{"id": "batch_req_123", "custom_id": "request-3", "response": null, "error": \
{"code": "batch_expired", "message": "This request could not be executed before the completion \
window expired."}}"""
MESSAGES = b"""{
  "id": "msgbatch_01HkcTjaV5uDC8jWR4ZsDV8d",
  "type": "message_batch",
  "processing_status": "ended",
  "request_counts": {"processing": 0, "succeeded": 2, "errored": 1, "canceled": 0, "expired": 1},
  "ended_at": "2024-09-24T18:40:00.000000Z",
  "created_at": "2024-09-24T18:37:24.100435Z",
  "expires_at": "2024-09-25T18:37:24.100435Z",
  "cancel_initiated_at": null,
  "results_url": "https://api.anthropic.com/v1/messages/batches/msgbatch_01HkcTjaV5/results"
}"""
SUCCEEDED = b"""{"custom_id":"my-second-request","result":{"type":"succeeded","message":{\
"id":"msg_014VwiXbi91y3JMjcpyGBHX5","type":"message","role":"assistant",\
"model":"claude-opus-4-8","content":[{"type":"text","text":"Hello again!"}],\
"stop_reason":"end_turn","stop_sequence":null,\
"usage":{"input_tokens":11,"output_tokens":36}}}}"""
ERRORED = b"""{"custom_id":"x","result":{"type":"errored","error":{"type":"error","error":\
{"type":"invalid_request_error","message":"max_tokens: Field required"}}}}"""


def test_openai() -> None:
    vendor = vendor_of("openai", "/v1")
    stand = vendor.stand(BATCH)
    assert (stand.id, stand.running, stand.expired, stand.refused) == (
        "batch_abc123",
        False,
        False,
        "",
    )
    assert stand.counts == {"completed": 95, "failed": 5}
    assert stand.results == ("/v1/files/file-cvaTdG/content", "/v1/files/file-HOWS94/content")
    for status, running in (("validating", True), ("finalizing", True), ("cancelled", False)):
        changed = json.loads(BATCH) | {"status": status}
        assert vendor.stand(json.dumps(changed).encode()).running is running
    wrong = {"data": [{"code": "x", "line": 1, "message": "no such model"}], "object": "list"}
    failed = json.loads(BATCH) | {"status": "failed", "errors": wrong}
    assert vendor.stand(json.dumps(failed).encode()).refused == "no such model"
    answered = vendor.result(ANSWERED)
    assert (answered.custom_id, answered.status) == ("request-2", 200)
    ours = answered.line("req_ours")
    assert (ours.part, ours.count) == ("out", "completed")
    said = json.loads(ours.data)
    assert said["response"]["request_id"] == "req_ours"
    assert said["response"]["body"] == json.loads(ANSWERED)["response"]["body"]
    expired = vendor.result(EXPIRED)
    assert expired.reply is None
    ours = expired.line("req_ours")
    assert (ours.part, ours.count) == ("err", "failed")
    assert json.loads(ours.data)["error"]["code"] == "batch_expired"


def test_anthropic() -> None:
    vendor = vendor_of("anthropic", "/v1")
    stand = vendor.stand(MESSAGES)
    assert not stand.running
    # Never where the reply says: the key goes with it.
    assert stand.results == ("/v1/messages/batches/msgbatch_01HkcTjaV5uDC8jWR4ZsDV8d/results",)
    assert stand.counts == {"completed": 2, "failed": 1, "canceled": 0, "expired": 1}
    good = vendor.result(SUCCEEDED)
    assert good.reply is not None
    assert json.loads(bytes(good.reply))["usage"]["output_tokens"] == 36
    assert json.loads(good.line("x").data) == json.loads(SUCCEEDED)
    bad = vendor.result(ERRORED)
    assert (bad.reply, bad.status, bad.line("x").count) == (None, 400, "failed")
    assert json.loads(bad.line("x").data) == json.loads(ERRORED)


@pytest.mark.parametrize("style", ["openai", "anthropic"])
@given(
    data=st.binary()
    | st.dictionaries(
        st.sampled_from(["id", "status", "custom_id", "result", "response", "data", "error"]),
        st.none() | st.text() | st.integers() | st.dictionaries(st.text(), st.text()),
    ).map(msgspec.json.encode)
)
def test_nonsense_is_unreadable_and_nothing_worse(style: str, data: bytes) -> None:
    vendor = vendor_of(style, "/v1")  # type: ignore[arg-type]
    for read in (vendor.stand, vendor.result, lambda body: vendor.made(body, "x")):
        try:
            read(data)
        except UNREADABLE:
            continue
