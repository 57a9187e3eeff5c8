"""The lines of a batch: what they ask, what is wrong with them, how their results are written.

    check(path, endpoint, longest) -> Checked         OpenAI's input file, all of it
    sheet_of(batch.face).read(line) -> Asked           of a file that was checked
    sheet_of(batch.face).answered(asked, reply)        -> where it goes, and the line
    sheet_of(batch.face).left(asked, why)              -> the same of one that was never asked

Results are whole JSON objects on lines of their own, in the order in which they ended, with
the answer's body as its caller would have had it from the door of the batch's endpoint.

References: https://developers.openai.com/api/docs/guides/batch,
https://platform.claude.com/docs/en/build-with-claude/batch-processing
"""

import re
from pathlib import Path
from typing import Literal, Protocol

import msgspec
from msgspec import Raw, Struct

from octoplex.dialects.members import UNREADABLE
from octoplex.ledger.batch import Complaint, Count, Part, new_id

MOST_LINES = 50_000
"""OpenAI's bound."""
MOST_BLANK = 50_000
MOST_REQUESTS = 100_000
"""Anthropic's."""
MOST_COMPLAINTS = 100
Why = Literal["expired", "canceled"]
_json = msgspec.json.Encoder().encode


class Asked(Struct, frozen=True):
    """One line: the body of a request, and its caller's name for it."""

    custom_id: str
    body: Raw


class Replied(Struct, frozen=True):
    """What a door answered a line. `again_s`: nothing yet; ask again in so many seconds.

    `busy` says that it was a provider who was, which is not waited out for ever.
    """

    status: int
    request_id: str
    body: bytes
    again_s: float | None = None
    busy: bool = False


class Written(Struct, frozen=True):
    """A line of results, where it goes and what it counts as."""

    part: Part
    count: Count
    data: bytes


class Sheet(Protocol):
    """How a dialect writes its batches."""

    def read(self, line: bytes) -> Asked:
        """What a line asks, of an input that was checked."""
        ...

    def answered(self, asked: Asked, reply: Replied) -> Written:
        """The line of an answer, whatever it was."""
        ...

    def left(self, asked: Asked, why: Why) -> Written | None:
        """The line of what was never asked; None where it has none."""
        ...


def sheet_of(face: str) -> Sheet:
    """The sheet of a batch by the dialect of its lines."""
    return _Messages() if face == "anthropic" else _OpenAI()


def on_one_line(body: bytes) -> Raw:
    """JSON without line ends."""
    return Raw(msgspec.json.format(body, indent=-1) if b"\n" in body or b"\r" in body else body)


# -- OpenAI -----------------------------------------------------------------------------------

LEFT = {
    "expired": (
        "batch_expired",
        "This request could not be executed before the completion window expired.",
    ),
}


_MARK = b"\xef\xbb\xbf"
"""How some editors begin a file in UTF-8."""


class _OpenAI:
    def read(self, line: bytes) -> Asked:
        return _asked(line.removeprefix(_MARK))

    def answered(self, asked: Asked, reply: Replied) -> Written:
        good = reply.status < 400
        response = {
            "status_code": reply.status,
            "request_id": reply.request_id,
            "body": on_one_line(reply.body),
        }
        data = _openai_line(asked, response, None)
        return Written("out" if good else "err", "completed" if good else "failed", data)

    def left(self, asked: Asked, why: Why) -> Written | None:
        if why not in LEFT:  # a cancelled batch has the results that came before, no more
            return None
        code, message = LEFT[why]
        return Written(
            "err", "failed", _openai_line(asked, None, {"code": code, "message": message})
        )


def _openai_line(asked: Asked, response: object, error: object) -> bytes:
    line = {
        "id": new_id("batch_req_")[:42],
        "custom_id": asked.custom_id,
        "response": response,
        "error": error,
    }
    return _json(line) + b"\n"


NOTHING = Raw(b"null")


class _Given(Struct):
    custom_id: str | None = None
    method: str | None = None
    url: str | None = None
    body: Raw = NOTHING


_asked = msgspec.json.Decoder(Asked).decode
_given = msgspec.json.Decoder(_Given).decode
_object = msgspec.json.Decoder(dict[str, Raw]).decode


class Checked(Struct):
    """What a file holds: how many requests, and what is wrong with them."""

    total: int = 0
    complaints: list[Complaint] = []


def check(path: Path, endpoint: str, longest: int) -> Checked:
    """Check every line of an input file. Blank ones are passed over.

    `longest` bounds a line in bytes; after a longer one nothing more is read.
    """
    checked, seen = Checked(), set[str]()
    with path.open("rb") as lines:
        number = 0
        while line := lines.readline(longest + 1):
            number += 1
            blank = not line.strip()
            checked.total += not blank
            wrong = _too_much(max(checked.total, number - MOST_BLANK), len(line), longest)
            if wrong is None and blank:
                continue
            if wrong is None:
                wrong = _wrong(line, endpoint, seen)
            if wrong is not None:
                checked.complaints.append(msgspec.structs.replace(wrong, line=number))
                stops = wrong.code in ("too_many_tasks", "line_too_large")
                if stops or len(checked.complaints) == MOST_COMPLAINTS:
                    return checked
    if not checked.total:
        checked.complaints.append(Complaint("empty_file", "The input file holds no request."))
    return checked


def _too_much(total: int, size: int, longest: int) -> Complaint | None:
    if total > MOST_LINES:
        return Complaint("too_many_tasks", f"A batch has at most {MOST_LINES:,} requests.")
    if size > longest:
        return Complaint("line_too_large", f"A line has at most {longest:,} bytes.")
    return None


def _wrong(line: bytes, endpoint: str, seen: set[str]) -> Complaint | None:
    """What is wrong with a line; None when nothing is."""
    line = line.removeprefix(_MARK)
    try:
        given = _given(line)
        body = None if given.body == NOTHING else _object(given.body)
    except msgspec.ValidationError as error:
        found = re.search(r"`\$\.(\w+)", str(error))
        param = found[1] if found else "body" if _is_object(line) else None
        code = "invalid_type" if param else "invalid_json_line"
        says = f"`{param}` is of a wrong type." if param else "This line is no JSON object."
        return Complaint(code, says, param=param)
    except UNREADABLE:
        return Complaint("invalid_json_line", "This line is not parseable as valid JSON.")
    for name in ("custom_id", "method", "url"):
        if not getattr(given, name):
            return _missing(name)
    if body is None:
        return _missing("body")
    assert given.custom_id is not None
    if given.custom_id in seen:
        says = f"The custom_id {given.custom_id[:100]!r} is that of an earlier line."
        return Complaint("duplicate_custom_id", says, param="custom_id")
    seen.add(given.custom_id)
    if given.method != "POST":
        return Complaint("invalid_method", "`method` must be POST.", param="method")
    if given.url != endpoint:
        says = f"`url` is not the endpoint of this batch, which is {endpoint}."
        return Complaint("invalid_url", says, param="url")
    return None


def _is_object(line: bytes) -> bool:
    return line.lstrip().startswith(b"{")


def _missing(name: str) -> Complaint:
    return Complaint("missing_required_parameter", f"`{name}` is missing.", param=name)


# -- Anthropic --------------------------------------------------------------------------------

CUSTOM_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")


class _Request(Struct):
    custom_id: str
    params: Raw


_request = msgspec.json.Decoder(_Request).decode


class _Messages:
    def read(self, line: bytes) -> Asked:
        request = _request(line)
        return Asked(request.custom_id, request.params)

    def answered(self, asked: Asked, reply: Replied) -> Written:
        good = reply.status < 400
        what = {"type": "succeeded", "message": on_one_line(reply.body)}
        if not good:
            what = {"type": "errored", "error": on_one_line(reply.body)}
        return Written("out", "completed" if good else "failed", _message_line(asked, what))

    def left(self, asked: Asked, why: Why) -> Written | None:
        return Written("out", why, _message_line(asked, {"type": why}))


def _message_line(asked: Asked, result: object) -> bytes:
    return _json({"custom_id": asked.custom_id, "result": result}) + b"\n"


def message_requests(requests: list[Raw]) -> tuple[bytes, str]:
    """The lines of a message batch; or "", and what is wrong with it."""
    seen, lines = set[str](), []
    if not 1 <= len(requests) <= MOST_REQUESTS:
        return b"", f"requests: must hold 1 to {MOST_REQUESTS:,} requests"
    for number, raw in enumerate(requests):
        where = f"requests.{number}"
        try:
            request = _request(raw)
            _object(request.params)
        except UNREADABLE as error:
            found = re.search(r"field `(\w+)`|`\$\.(\w+)", str(error))
            name = (found[1] or found[2]) if found else "params"
            return b"", f"{where}.{name}: is missing or of a wrong type"
        if not CUSTOM_ID.fullmatch(request.custom_id):
            return b"", f"{where}.custom_id: must match ^[a-zA-Z0-9_-]{{1,64}}$"
        if request.custom_id in seen:
            return b"", f"{where}.custom_id: {request.custom_id!r} is that of an earlier request"
        seen.add(request.custom_id)
        lines.append(bytes(on_one_line(bytes(raw))))
    return b"\n".join(lines) + b"\n", ""
