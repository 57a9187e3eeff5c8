"""How each vendor fails, typed from the pages that the transcripts name, for scripted upstreams."""

import json

from tests.dialects.frames import told
from tests.sdk import near, others
from tests.sdk import vendors as v
from tests.sdk.house import SPEAKERS
from tests.sdk.others import OTHERS, RESPONSE, named
from tests.sdk.vendors import Json, sse
from tests.upstream_server import Play, says, streams

STATUSES = {"own key": 401, "busy": 429, "failed": 500, "overloaded": 503}
SECRET = "sk-vendor-1"
_GPT = {
    "own key": ("invalid_request_error", "invalid_api_key"),
    "busy": ("requests", "rate_limit_exceeded"),
    "failed": ("server_error", None),
    "overloaded": ("server_error", None),
}
_CLAUDE = {
    "own key": (401, "authentication_error"),
    "busy": (429, "rate_limit_error"),
    "failed": (500, "api_error"),
    "overloaded": (529, "overloaded_error"),
}
_GOOGLE = {
    "own key": "UNAUTHENTICATED",
    "busy": "RESOURCE_EXHAUSTED",
    "failed": "INTERNAL",
    "overloaded": "UNAVAILABLE",
}
_AMAZON = {
    "own key": (403, "UnrecognizedClientException"),
    "busy": (429, "ThrottlingException"),
    "failed": (500, "InternalServerException"),
    "overloaded": (503, "ServiceUnavailableException"),
}
_ORACLE = {
    "own key": "NotAuthenticated",
    "busy": "TooManyRequests",
    "failed": "InternalServerError",
    "overloaded": "ServiceUnavailable",
}


def refuses(target: str, name: str) -> Play:
    """A reply with an error status before any content."""
    status, words = STATUSES[name], f"No, says the account of {SECRET}."
    wait = {"retry_after": "7"} if name == "busy" else {}
    lines = [("content-type", "application/json"), *(("retry-after", w) for w in wait.values())]
    if target == "vex":  # Google's gate has its own words, what stands behind it Anthropic's
        target = "gem" if name in ("own key", "busy") else "claude"
    match target:
        case "oai" | "resp":
            return v.openai_error(status, *_GPT[name], words, **wait)
        case "claude":
            return v.claude_error(*_CLAUDE[name], words, **wait)
        case "gem" | "vert":
            body: Json = {"error": {"code": status, "message": words, "status": _GOOGLE[name]}}
        case "rock" | "inv" | "sage":
            status, kind = _AMAZON[name]
            lines.append(("x-amzn-errortype", f"{kind}:http://internal.amazon.com/coral/"))
            body = {"message": words}
        case "oci":
            body = {"code": _ORACLE[name], "message": words}
        case "coh":
            body = {"id": "5a50480a-cf52-46f0-af01-53d18539bd31", "message": words}
        case "wat" | "giga" | "qian":
            status, body = near.refusal(target, name, status, words)
        case _:
            body = {"error": words}
    return says(json.dumps(body).encode(), status, lines)


def begun(target: str, *blocks: Json) -> list[bytes]:
    """The events of a stream that says this much, and not why it would stop."""
    if target == "oai":
        words = "".join(b["text"] for b in blocks)
        return v.chat_events([{"content": p} for p in others.halves(words)], None)
    if target == "claude":
        return v.message_events(list(blocks), "end_turn")[:-2]
    events = OTHERS[SPEAKERS[target][0]][1](blocks, "end_turn")
    return events[: -LAST.get(target, 1)]


LAST = {"rock": 2, "inv": 2, "vex": 2, "sage": 3, "oci": 3, "wat": 3, "giga": 2}
"""How many events come with the reason to stop or after it, where that is not one."""


def kind_of(target: str) -> str:
    """The content type of a stream."""
    return (
        OTHERS[SPEAKERS[target][0]][2] if target not in ("oai", "claude") else "text/event-stream"
    )


def sorry(target: str) -> bytes:
    """An error inside a stream."""
    words = "Something went wrong."
    match target:
        case "oai":
            return sse({"error": {"message": words, "type": "server_error", "code": None}})
        case "claude" | "vex":
            return named([{"type": "error", "error": {"type": "api_error", "message": words}}])[0]
        case "resp":
            error = {"code": "server_error", "message": words}
            failed = {**RESPONSE, "status": "failed", "error": error}
            flat = {"type": "error", "code": "server_error", "message": words, "param": None}
            ended = {"type": "response.failed", "response": failed, "sequence_number": 100}
            return b"".join(named([{**flat, "sequence_number": 99}, ended]))
        case "gem" | "vert":
            return sse({"error": {"code": 500, "message": words, "status": "INTERNAL"}})
        case "rock" | "inv":
            return told({"exception": "internalServerException", "payload": {"message": words}})
        case "sage":
            said = {"Message": words, "ErrorCode": "StreamBroken"}
            return told({"exception": "ModelStreamError", "payload": said})
        case "oci":
            return sse({"code": "InternalServerError", "message": words})
        case "coh":
            return sse({"id": "x", "message": words})
        case "wat" | "giga" | "qian":
            named_error = b"id: 9\nevent: error\n" if target == "wat" else b""
            return named_error + sse(near.refusal(target, "failed", 500, words)[1])
        case _:
            return json.dumps({"error": words}).encode() + b"\n"


def breaks(target: str, how: str, *blocks: Json) -> Play:
    """A stream that fails after content: `error` in-band, `polite` or `reset` without an end."""
    wire = begun(target, *blocks)
    if how == "error":
        return v.breaking([*wire, sorry(target)], kind_of(target))
    return streams(wire, end="done" if how == "polite" else "reset", content_type=kind_of(target))


def empty(target: str, *, errs: bool) -> Play:
    """A stream that ends, or fails, before it has said anything."""
    return streams([sorry(target)] if errs else [], content_type=kind_of(target))
