"""What is said to a provider that runs a batch, and what it says of it.

    vendor_of("openai", prefix).create(...)    requests as (method, path, body, headers)

References: https://developers.openai.com/api/reference/resources/batches,
https://platform.claude.com/docs/en/api/messages/batches

Not promised: results in any order, nor a result for every line.
"""

from collections.abc import Callable, Mapping
from secrets import token_hex
from typing import Any, Protocol

import msgspec
from msgspec import Raw, Struct

from octoplex.catalog.provider import Batches
from octoplex.dialects.verbatim import join
from octoplex.jobs.lines import Asked, Written, on_one_line
from octoplex.ledger.batch import Count, new_id

Members = Mapping[str, Raw]
Headers = Mapping[str, str]
JSON = {"content-type": "application/json"}
LABEL = "octoplex_batch"
WINDOW = "24h"
_json = msgspec.json.Encoder().encode


class Send(Struct, frozen=True):
    """One request, its path below the provider's base URL."""

    method: str
    path: str
    body: bytes = b""
    headers: Headers = {}
    in_pieces: bool = False
    """Its reply may have any size."""


class Stand(Struct, frozen=True):
    """How a batch stands at its provider. `results` are the paths of what came of it."""

    id: str = ""
    running: bool = True
    expired: bool = False
    refused: str = ""
    """The provider did not take it after all, and why."""
    counts: dict[Count, int] = {}
    results: tuple[str, ...] = ()
    complete: bool = False
    """Every line of it was answered: one that has no result was lost there."""


class Result(Struct, frozen=True):
    """A line of results. `reply` is the body of an answer, None where there was none."""

    custom_id: str
    status: int
    reply: Raw | bytes | None
    line: Callable[[str], Written]
    """The line as we give it out, with our id of the request."""


class Vendor(Protocol):
    """One API of batches."""

    def line(self, asked: Asked, body: Members, endpoint: str) -> bytes:
        """A line as the provider takes it."""
        ...

    def upload(self, lines: bytes) -> Send | None:
        """What comes before the batch; None: nothing. Its reply has an `id`."""
        ...

    def create(self, lines: bytes, file: str, label: str, endpoint: str, headers: Headers) -> Send:
        """Make the batch. `label` is our name for it, where the provider keeps one."""
        ...

    def look(self, id_: str) -> Send:
        """Ask how it stands."""
        ...

    def mine(self) -> Send:
        """List the newest batches."""
        ...

    def cancel(self, id_: str) -> Send:
        """Ask for its end."""
        ...

    def stand(self, body: bytes) -> Stand:
        """How it stands."""
        ...

    def made(self, body: bytes, label: str) -> str:
        """Out of a list: the id of the batch with our label, "" when there is none."""
        ...

    def result(self, line: bytes) -> Result:
        """Read a line of results."""
        ...


def vendor_of(style: Batches, prefix: str) -> Vendor:
    """The API that a provider has."""
    return Messages(prefix) if style == "anthropic" else OpenAI(prefix)


# -- OpenAI -----------------------------------------------------------------------------------


class _Counts(Struct):
    completed: int = 0
    failed: int = 0


class _Wrong(Struct):
    message: str | None = None


class _Wrongs(Struct):
    data: list[_Wrong] | None = None


class _Batch(Struct):
    id: str
    status: str
    request_counts: _Counts | None = None
    output_file_id: str | None = None
    error_file_id: str | None = None
    errors: _Wrongs | None = None
    metadata: Any = None


class _List(Struct):
    data: list[_Batch]


class _Response(Struct):
    status_code: int
    body: Raw = Raw(b"null")


class _Line(Struct):
    custom_id: str
    response: _Response | None = None
    error: Any = None


_batch = msgspec.json.Decoder(_Batch).decode
_list = msgspec.json.Decoder(_List).decode
_line = msgspec.json.Decoder(_Line).decode
ENDED = frozenset({"completed", "expired", "cancelled"})


class OpenAI:
    """Batches of files."""

    def __init__(self, prefix: str) -> None:
        self._batches, self._files = f"{prefix}/batches", f"{prefix}/files"

    def line(self, asked: Asked, body: Members, endpoint: str) -> bytes:
        whole = {"custom_id": asked.custom_id, "method": "POST", "url": endpoint}
        return _json(whole | {"body": on_one_line(join(dict(body)))}) + b"\n"

    def upload(self, lines: bytes) -> Send | None:
        boundary = token_hex(16)
        start = b"--" + boundary.encode() + b"\r\ncontent-disposition: form-data; name="
        body = (
            start + b'"purpose"\r\n\r\nbatch\r\n' + start + b'"file"; filename="batch.jsonl"\r\n'
            b"content-type: application/jsonl\r\n\r\n%b\r\n--%b--\r\n" % (lines, boundary.encode())
        )
        kind = {"content-type": f"multipart/form-data; boundary={boundary}"}
        return Send("POST", self._files, body, kind)

    def create(self, lines: bytes, file: str, label: str, endpoint: str, headers: Headers) -> Send:
        asked = {"input_file_id": file, "endpoint": endpoint, "completion_window": WINDOW}
        return Send("POST", self._batches, _json(asked | {"metadata": {LABEL: label}}), JSON)

    def look(self, id_: str) -> Send:
        return Send("GET", f"{self._batches}/{id_}")

    def mine(self) -> Send:
        return Send("GET", f"{self._batches}?limit=100")

    def cancel(self, id_: str) -> Send:
        return Send("POST", f"{self._batches}/{id_}/cancel")

    def stand(self, body: bytes) -> Stand:
        found = _batch(body)
        counts = found.request_counts or _Counts()
        wrong = found.errors.data if found.errors and found.errors.data else []
        says = "; ".join(w.message or "" for w in wrong[:3]) or "it failed"
        files = [f for f in (found.output_file_id, found.error_file_id) if f]
        return Stand(
            found.id,
            found.status not in ENDED and found.status != "failed",
            found.status == "expired",
            says if found.status == "failed" else "",
            {"completed": counts.completed, "failed": counts.failed},
            tuple(f"{self._files}/{id_}/content" for id_ in files),
            found.status == "completed",
        )

    def made(self, body: bytes, label: str) -> str:
        rows = _list(body).data
        labelled = (r for r in rows if isinstance(r.metadata, dict))
        return next((r.id for r in labelled if r.metadata.get(LABEL) == label), "")

    def result(self, line: bytes) -> Result:
        found = _line(line)
        response = found.response
        status = response.status_code if response else 0
        good = response is not None and status < 400

        def ours(request_id: str) -> Written:
            shown = None
            if response is not None:
                body = on_one_line(bytes(response.body))
                shown = {"status_code": status, "request_id": request_id, "body": body}
            whole = {"id": new_id("batch_req_")[:42], "custom_id": found.custom_id}
            data = _json(whole | {"response": shown, "error": found.error}) + b"\n"
            return Written("out" if good else "err", "completed" if good else "failed", data)

        return Result(found.custom_id, status, response.body if response else None, ours)


# -- Anthropic --------------------------------------------------------------------------------


class _Tally(Struct):
    succeeded: int = 0
    errored: int = 0
    canceled: int = 0
    expired: int = 0


class _MessageBatch(Struct):
    id: str
    processing_status: str
    request_counts: _Tally | None = None


class _Outcome(Struct):
    type: str
    message: Raw = Raw(b"null")


class _Of(Struct):
    custom_id: str
    result: _Outcome


class _Same(Struct):
    custom_id: str
    result: Raw


_message_batch = msgspec.json.Decoder(_MessageBatch).decode
_of = msgspec.json.Decoder(_Of).decode
_same = msgspec.json.Decoder(_Same).decode
COUNTS: Mapping[str, Count] = {
    "succeeded": "completed",
    "canceled": "canceled",
    "expired": "expired",
}


class Messages:
    """Batches of messages, made in one request. The provider keeps no label of ours."""

    def __init__(self, prefix: str) -> None:
        self._batches = f"{prefix}/messages/batches"

    def line(self, asked: Asked, body: Members, endpoint: str) -> bytes:
        params = on_one_line(join(dict(body)))
        return _json({"custom_id": asked.custom_id, "params": params}) + b"\n"

    def upload(self, lines: bytes) -> Send | None:
        return None

    def create(self, lines: bytes, file: str, label: str, endpoint: str, headers: Headers) -> Send:
        requests = b",".join(lines.splitlines())
        betas = {n: v for n, v in headers.items() if n == "anthropic-beta"}
        return Send("POST", self._batches, b'{"requests":[%b]}' % requests, {**JSON, **betas})

    def look(self, id_: str) -> Send:
        return Send("GET", f"{self._batches}/{id_}")

    def mine(self) -> Send:
        return Send("GET", f"{self._batches}?limit=1")

    def cancel(self, id_: str) -> Send:
        return Send("POST", f"{self._batches}/{id_}/cancel")

    def stand(self, body: bytes) -> Stand:
        found = _message_batch(body)
        tally = found.request_counts or _Tally()
        counts: dict[Count, int] = {
            "completed": tally.succeeded,
            "failed": tally.errored,
            "canceled": tally.canceled,
            "expired": tally.expired,
        }
        over = found.processing_status == "ended"
        results = (f"{self._batches}/{found.id}/results",) if over else ()
        return Stand(found.id, not over, counts=counts, results=results, complete=over)

    def made(self, body: bytes, label: str) -> str:
        return ""

    def result(self, line: bytes) -> Result:
        found, same = _of(line), _same(line)
        kind = found.result.type
        status = 200 if kind == "succeeded" else 400 if kind == "errored" else 0
        count = COUNTS.get(kind, "failed")

        def ours(request_id: str) -> Written:
            result = on_one_line(bytes(same.result))
            return Written(
                "out", count, _json({"custom_id": same.custom_id, "result": result}) + b"\n"
            )

        reply = found.result.message if status == 200 else None
        return Result(found.custom_id, status, reply, ours)
