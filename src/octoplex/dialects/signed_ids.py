"""The proof of a tool call's thought, carried in the id of the call.

Gemini signs the first call of each step (`thoughtSignature`) and from its third generation
on answers 400 when the history brings the call back without it. Other dialects have no
place for such a proof beside a tool call, and stock clients keep nothing of a call but its
id, name and arguments. So on every face but Gemini's the id is

    <the call's own id>__gemini_sig__<the signature in the alphabet of base64url>

Only faces write and read this: in our words id and signature stand apart, so no other
provider is ever sent it. Within a dialect, where a history passes verbatim, `foreign.py`
takes the signature out. The form is deterministic and its alphabet is `[A-Za-z0-9_-]`.

Reference: https://ai.google.dev/gemini-api/docs/thought-signatures

Not promised: a signature longer than `LONGEST`; it is left out, and Google's documented
substitute stands in when the call comes back (`gemini/signatures.py`).
"""

import re

MARK = "__gemini_sig__"
BYTES_MARK = MARK.encode()
LONGEST = 16_384
"""Characters of a signature. Ids travel twice a turn, in the call and in its result."""

_SIGNATURE = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_CODE = re.compile(r"[A-Za-z0-9_-]+")
_TO_CODE, _FROM_CODE = str.maketrans("+/", "-_"), str.maketrans("-_", "+/")
_SIGNED = re.compile(
    rb'("(?:id|call_id|tool_call_id|tool_use_id)"\s*:\s*"[^"\\]*?)%b[A-Za-z0-9_-]+(?=")'
    % BYTES_MARK
)


def sign(id_: str, signature: str) -> str:
    """The id for a client that knows nothing of signatures."""
    if not signature or len(signature) > LONGEST or not _SIGNATURE.fullmatch(signature):
        return id_
    return id_ + MARK + signature.rstrip("=").translate(_TO_CODE)


def unsign(id_: str) -> tuple[str, str]:
    """The call's own id and its signature, "" where there is none."""
    own, mark, code = id_.partition(MARK)
    if not mark or not _CODE.fullmatch(code):
        return id_, ""
    signature = code.translate(_FROM_CODE) + "=" * (-len(code) % 4)
    return (own, signature) if sign(own, signature) == id_ else (id_, "")


def without_signatures(history: bytes) -> bytes:
    """JSON of a history, its ids without signatures; every other byte as it was."""
    return _SIGNED.sub(rb"\1", history)
