"""A caller's request: understood, or refused as the caller's fault; then sent to everyone.

What passes verbatim keeps its meaning. A face whose URL names the model finds path and query
in the first line of the input.
"""

import contextlib
from collections.abc import Callable, Iterator

from msgspec import Raw

from octoplex.assembly.arrival import Arrival, read_call
from octoplex.dialects.dialect import Counter, Dialect, Face, PathFace, Traits
from octoplex.dialects.foreign import HISTORY, without_foreign
from octoplex.dialects.sieve import is_utf8
from octoplex.dialects.verbatim import join, split
from octoplex.wire.ask import Call, fallback_models
from octoplex.wire.error import CallerError
from tests.fuzz.parts import Given, strictly
from tests.fuzz.speakers import DIALECTS, PATH, PATIENCE, asked

QUIRKS = (frozenset[str](), frozenset({"echo_reasoning", "echo_reasoning_details"}))


def request_target(face: Face) -> Callable[[Given], None]:
    """The target of one face. The choice: a count, what the targets cannot say dropped."""

    def attempt(one: Given) -> None:
        path, body = (
            one.wire.partition(b"\n")[::2] if isinstance(face, PathFace) else (b"", one.wire)
        )
        with refusals():
            if is_utf8(body):  # else the provider's to judge
                same(body)
            call = asked(face, body, path.decode("latin-1") or PATH)
            passes(call, one.choice)
            call.worst_case()
            fallback_models(call)
            for dialect in DIALECTS.values():
                send(dialect, call, drop=bool(one.choice & 2))
        with refusals():
            counted = Arrival("req-1", face, 0.0, PATIENCE)
            chat = read_call(counted, body, "count_tokens").chat()
            for dialect in DIALECTS.values():
                if isinstance(dialect, Counter):
                    with refusals():
                        strictly(dialect.encode_count(chat, Traits(model="m")).body)

    return attempt


@contextlib.contextmanager
def refusals() -> Iterator[None]:
    """A refusal is what a caller may expect; it is written for every face elsewhere."""
    with contextlib.suppress(CallerError):
        yield


def same(body: bytes) -> None:
    """Members that pass verbatim mean what they meant."""
    assert strictly(join(split(body))) == strictly(body)


def passes(call: Call, choice: int) -> None:
    """Taking out another's thinking leaves JSON, and nothing to take out."""
    history = call.fields.get(HISTORY[call.face])
    for quirks in QUIRKS if history is not None else ():
        left = without_foreign(call.face, history, quirks)
        if left is not None and is_utf8(call.raw):
            strictly(bytes(left))
            assert without_foreign(call.face, Raw(bytes(left)), quirks) is None


def send(dialect: Dialect, call: Call, *, drop: bool) -> None:
    """Write the request for a provider."""
    for model in ("m", "claude-sonnet-4-5", "gemini-2.5-pro", "gpt-5"):
        with refusals():
            traits = Traits(model=model, drop_unsupported=drop)
            strictly(dialect.encode_chat(call.chat(), traits).body)
