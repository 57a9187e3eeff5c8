"""Proofs of thoughts: Gemini's in our words, and other providers' in Gemini's.

    on Gemini's wire           part                    in our words
    thoughtSignature           functionCall            `ToolUse.signature`, as it is
    thoughtSignature           text, thought           `Thinking.signature`, pinned to gemini

A text that is signed is followed by thinking that holds nothing but the signature; it goes
back to the text before it, or stands in an empty text as it does in a stream.

On Gemini's face a proof of another provider must be bytes in base64, so it is marked:
`octoplex:s:` before a signature, `octoplex:d:` before a cipher. Clients may change the
alphabet of base64; both are read. A tool call that another provider made gets Google's
documented substitute, so that the history can go on at a Gemini model; it is also sent
where a signature was lost on the way. Only the first call of a step needs one.

Reference: https://ai.google.dev/gemini-api/docs/thought-signatures

Not promised: that a signature is valid for another Gemini model; Google does not say.
"""

from base64 import b64encode, urlsafe_b64decode

from octoplex.dialects.foreign import pin, unpin
from octoplex.wire.event import Thinking

NAME = "gemini"
SUBSTITUTE = "skip_thought_signature_validator"
"""Documented for history "from a different model that does not include thought signatures"."""
OURS = b"octoplex:"
"""Nine bytes, so that they are the same twelve letters of base64 before any proof."""
_ALPHABET = str.maketrans("+/", "-_")


def pinned(signature: str) -> str:
    """Gemini's signature of a text or thought, in our words."""
    return pin(NAME, signature) if signature else ""


def own(thinking: Thinking) -> str | None:
    """Gemini's signature of the thinking; None where another provider proves it."""
    maker, proof = unpin(thinking.signature or thinking.data)
    return proof if maker == NAME else None


def to_wire(thinking: Thinking) -> str:
    """The proof as `thoughtSignature`, "" where there is none."""
    signature = own(thinking)
    if signature is not None:
        return signature
    if thinking.data:
        return _marked(b"d:", thinking.data)
    return _marked(b"s:", thinking.signature) if thinking.signature else ""


def _marked(kind: bytes, proof: str) -> str:
    return b64encode(OURS + kind + proof.encode("utf-8", "replace")).decode()


def from_wire(signature: str, text: str) -> Thinking:
    """The thinking of a part with this text and `thoughtSignature`."""
    try:
        code = signature.translate(_ALPHABET).rstrip("=")
        found = urlsafe_b64decode(code + "=" * (-len(code) % 4))
    except ValueError:
        found = b""
    if not found.startswith(OURS):
        return Thinking(text, pinned(signature))
    proof = found[len(OURS) :].decode("utf-8", "replace")
    if proof.startswith("d:"):
        return Thinking(data=proof[2:])
    return Thinking(text, proof.removeprefix("s:"))


def of_call(signature: str) -> str:
    """The signature of a tool call, "" for the substitute: it proves nothing."""
    return "" if signature.translate(_ALPHABET) == SUBSTITUTE else signature


def joined(last: object, thought: Thinking) -> Thinking | None:
    """Two thoughts as one, where the first waits for its proof: it came in pieces."""
    if isinstance(last, Thinking) and not (last.signature or last.data or thought.data):
        return Thinking(last.text + thought.text, thought.signature)
    return None
