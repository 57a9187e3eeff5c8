"""Which model a request to `/providers/{id}/...` names, and what that is held to.

    named(path, method, body) -> "MODEL"            in its path or its JSON; "" where in neither
    budgeted(path, body, content_type) -> Named     a POST that names none there, of a caller with
                                                    a dollar budget

Under a budget a form's `model` counts too, and a batch's `requests[].params.model` with all the
output that its lines allow: its results come later, when nobody can bill them. What names no
model is refused unless nobody is billed for it (`is_free`).

Not promised: what a model costs beside its tokens (a fine-tuning, minutes of a video).
"""

import re

import msgspec
from msgspec import Struct

from octoplex.dialects.members import UNREADABLE
from octoplex.server.multipart import FormValues
from octoplex.upstreams.metered import OUTPUT_WHEN_UNKNOWN
from octoplex.wire.error import Forbidden, InvalidCall

_IN_PATH = re.compile(r"/(?:models|model|deployments)/([^/]+?)(?::[A-Za-z]+)?(?:/|$)")
_FREE = re.compile(
    r"(?:^|/)files(?:/[^/]*)?$|(?:^|/)uploads(?:/[^/]+(?:/(?:parts|complete))?)?$"
    r"|[/:](?:cancel|count_tokens|countTokens|input_tokens)$"
)
_BATCH = re.compile(r"(?:^|/)(?:batches|batch/jobs|batchPredictionJobs)/?$|:(?:batchG|asyncB)\w+$")
_NATIVE = "/v1/batches, /v1/messages/batches"


class Named(Struct, frozen=True):
    """A model, and the most output that can follow; None: as much as one reply has."""

    model: str
    output_tokens: int | None = None


class _Body(Struct):
    model: str | None = None


class _Params(Struct):
    model: str
    max_tokens: int | None = None


class _Line(Struct):
    params: _Params


class _Batch(Struct):
    requests: list[_Line]


_body = msgspec.json.Decoder(_Body).decode
_batch = msgspec.json.Decoder(_Batch).decode


def named(path: str, method: str, body: bytes) -> str:
    """The model that the path of a POST names, as Google's, Amazon's and Azure's older ones do,
    else a JSON body; "" where neither does."""
    # The path's word comes first: who reads it there may not look at a body's at all.
    found = _IN_PATH.search("/" + path) if method == "POST" else None
    if found is not None:
        return found[1]
    try:
        return _body(body).model or ""
    except UNREADABLE:
        return ""


def is_free(path: str, method: str) -> bool:
    """Whether no vendor bills it: all but POST, uploads, cancelling, counting."""
    return method != "POST" or _FREE.search(path) is not None


def budgeted(path: str, body: bytes, content_type: bytes) -> Named:
    """What a POST, which a dollar budget must hold, names.

    Raises:
        Forbidden: no model, or several.
    """
    if _BATCH.search(path):
        return _of_batch(path, body)
    if found := named(path, "POST", body):
        return Named(found)
    models = _of_form(content_type, body)
    if not models:
        raise _nameless(
            path, "name `model` in its body, ask at /v1/... where there is a door for it"
        )
    return Named(_one(models))


def _of_form(content_type: bytes, body: bytes) -> set[str]:
    try:
        form = FormValues(content_type, "model")
        form.feed(body)
    except InvalidCall:
        return set()
    return set(form.values) - {""}


def _of_batch(path: str, body: bytes) -> Named:
    try:
        lines = [line.params for line in _batch(body).requests]
    except UNREADABLE:
        lines = []
    if not lines:
        raise _nameless(path, f"hand the batch in at {_NATIVE}, where each line is paid for")
    model = _one({line.model for line in lines})
    limits = [line.max_tokens for line in lines]
    most = sum(OUTPUT_WHEN_UNKNOWN if m is None else max(m, 0) for m in limits)
    return Named(model, most)


def _one(models: set[str]) -> str:
    if len(models) > 1:
        shown = ", ".join(sorted(models)[:3])
        raise Forbidden(
            f"This key has a dollar budget, which holds one model at a time here, not {shown}: "
            "send a request for each."
        )
    return models.pop()


def _nameless(path: str, advice: str) -> Forbidden:
    return Forbidden(
        f"This key has a dollar budget, and what a POST to {path.partition('?')[0]} costs cannot "
        f"be known without its model: {advice}, or use a key without a budget in dollars."
    )
