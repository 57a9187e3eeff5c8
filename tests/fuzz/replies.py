"""A provider's whole reply, or refusal: read, or an upstream's error; then told to every face."""

import contextlib
from collections.abc import Callable

from octoplex.assembly.arrival import written
from octoplex.dialects.dialect import Counter, Dialect
from octoplex.wire.error import UpstreamBroken, UpstreamError
from octoplex.wire.event import Reply, unfold
from tests.fuzz.parts import Given, strictly
from tests.fuzz.speakers import ASKS, CHECKS, DIALECTS, FACES, asked, words_of

STATUSES = (200, 302, 400, 401, 403, 404, 408, 413, 429, 500, 503, 529, 599, 600, 999, 99)


def reply_target(dialect: Dialect) -> Callable[[Given], None]:
    """The target of one dialect. The choice is the status of a refusal."""

    def attempt(one: Given) -> None:
        judged(dialect, one)
        reply = decoded(dialect, one.wire)
        if reply is None:
            return
        for name, face in FACES.items():
            if name == words_of(dialect):  # it gets the reply as it came
                continue
            ask = asked(face, ASKS[one.choice & 1])
            body = written(face, ask, reply)
            strictly(body)
            assert isinstance(face.encode_reply(reply), bytes)
            DIALECTS[name].decode_reply(body)
            CHECKS[name](face.encoder(ask).feed(unfold(reply)), arguments_valid=False)

    return attempt


def decoded(dialect: Dialect, body: bytes) -> Reply | None:
    """The reply, None where it is none; the scan and the decoder agree on what it cost."""
    try:
        seen = dialect.read_whole(body)
        reply = dialect.decode_reply(body)
    except UpstreamError:
        return None
    assert seen.usage is None or seen.usage == reply.usage
    return reply


def judged(dialect: Dialect, one: Given) -> None:
    """A refusal, told to every face; and a count."""
    status = STATUSES[one.choice % len(STATUSES)]
    headers = {"retry-after": one.wire[:12].decode("latin-1")}
    error = dialect.decode_error(status, headers, one.wire)
    assert isinstance(error, UpstreamError)
    assert str(error), "it says nothing"
    for face in FACES.values():
        assert strictly(face.encode_error(error, "req-1"))
        assert 400 <= face.status(error) < 600
        assert face.fail_event(error, "req-1").endswith(b"\n\n")
    if isinstance(dialect, Counter):
        with contextlib.suppress(UpstreamBroken):
            assert dialect.decode_count(one.wire) >= 0
