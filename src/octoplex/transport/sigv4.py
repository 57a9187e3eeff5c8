"""AWS Signature Version 4 of one request, in its headers.

    canonical request -> its hash, the time and the scope -> HMAC with a key of that scope

`sign` gives the headers that a request needs besides its own; the clock is an argument. The
path is the one of the request line, and it is encoded once more here, as every service but
S3 wants it: a model `a.b-v1:0` is `/model/a.b-v1%3A0/converse` on the line and
`%253A` in what is signed.

Reference: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html

Not promised: paths with `.` and `..` segments, S3, signatures in the query, chunked bodies.
"""

import hmac
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from urllib.parse import quote, unquote

from msgspec import Struct

_ALGORITHM = "AWS4-HMAC-SHA256"

Headers = Sequence[tuple[str, str]]


class Credentials(Struct, frozen=True):
    """Whose signature; `session_token` comes with temporary keys."""

    access_key: str
    secret_key: str
    session_token: str = ""

    def __repr__(self) -> str:
        return f"Credentials({self.access_key!r})"


class Scope(Struct, frozen=True):
    """What the signature is good for, such as `us-east-1` and `bedrock`."""

    region: str
    service: str


class Unsigned(Struct, frozen=True, kw_only=True):
    """A request as it will go out: `path` and `query` as on the request line, `host` with port.

    Every header in `headers` is signed; those of a hop (connection, user-agent) are left out.
    """

    method: str
    host: str
    path: str
    query: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


def sign(
    request: Unsigned, credentials: Credentials, scope: Scope, now: float
) -> tuple[tuple[str, str], ...]:
    """The headers to add. `now` is Unix time in seconds."""
    moment = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    added = [("x-amz-date", moment)]
    if credentials.session_token:
        added.append(("x-amz-security-token", credentials.session_token))
    headers = [("host", request.host), *request.headers, *added]
    canonical, signed = _canonical(request, headers)
    day = f"{moment[:8]}/{scope.region}/{scope.service}/aws4_request"
    digest = sha256(canonical.encode()).hexdigest()
    text = f"{_ALGORITHM}\n{moment}\n{day}\n{digest}"
    key = f"AWS4{credentials.secret_key}".encode()
    for part in day.split("/"):
        key = _mac(key, part)
    added.append(
        (
            "authorization",
            f"{_ALGORITHM} Credential={credentials.access_key}/{day}, "
            f"SignedHeaders={signed}, Signature={_mac(key, text).hex()}",
        )
    )
    return tuple(added)


def _mac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")


def _canonical(request: Unsigned, headers: Headers) -> tuple[str, str]:
    """The canonical request, and the names of its headers."""
    found: dict[str, list[str]] = {}
    for name, value in headers:
        found.setdefault(name.lower(), []).append(" ".join(value.split()))
    names = sorted(found)
    lines = "".join(f"{name}:{','.join(found[name])}\n" for name in names)
    signed = ";".join(names)
    path = quote(request.path or "/", safe="/-_.~")
    digest = sha256(request.body).hexdigest()
    query = _query(request.query)
    return f"{request.method}\n{path}\n{query}\n{lines}\n{signed}\n{digest}", signed


def _query(query: str) -> str:
    """The parameters encoded strictly and in order."""
    pairs = [part.partition("=") for part in query.split("&") if part]
    written = [(_strictly(name), _strictly(value)) for name, _, value in pairs]
    return "&".join(f"{name}={value}" for name, value in sorted(written))


def _strictly(text: str) -> str:
    return quote(unquote(text), safe="-_.~")
