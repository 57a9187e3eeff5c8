"""Tokens for Google Cloud from a service account's key."""

import json
import sys
from base64 import urlsafe_b64decode
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from octoplex.transport.google import Account, Google, google_grant
from octoplex.transport.origin import NO_PROXIES
from octoplex.wire.error import BadConfig, UpstreamBroken, UpstreamDenied, UpstreamFailed

NOW = 1_741_569_952.5


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture(scope="module")
def grant(key: rsa.RSAPrivateKey) -> Google:
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file = {"type": "service_account", "project_id": "p", "private_key_id": "k1"}
    file |= {"private_key": pem.decode(), "client_email": "a@p.iam.gserviceaccount.com"}
    return google_grant(json.dumps(file), NO_PROXIES)


def decoded(part: str) -> bytes:
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))


def test_the_assertion_is_the_documented_one(grant: Google, key: rsa.RSAPrivateKey) -> None:
    request = grant.request(NOW)
    assert request.head.startswith(b"POST /token HTTP/1.1\r\nhost: oauth2.googleapis.com\r\n")
    assert b"\r\ncontent-type: application/x-www-form-urlencoded\r\n" in request.head
    form = parse_qs(request.body.decode())
    assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    head, claims, signature = form["assertion"][0].split(".")
    assert json.loads(decoded(head)) == {"alg": "RS256", "typ": "JWT", "kid": "k1"}
    assert json.loads(decoded(claims)) == {
        "iss": "a@p.iam.gserviceaccount.com",
        "scope": "https://www.googleapis.com/auth/cloud-platform",
        "aud": "https://oauth2.googleapis.com/token",
        "iat": 1_741_569_952,
        "exp": 1_741_573_552,
    }
    signed = f"{head}.{claims}".encode()
    key.public_key().verify(decoded(signature), signed, padding.PKCS1v15(), hashes.SHA256())


def test_a_signed_in_user_shows_its_refresh_token() -> None:
    file = {"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r"}
    grant = google_grant(json.dumps(file), NO_PROXIES)
    assert parse_qs(grant.request(NOW).body.decode()) == {
        "grant_type": ["refresh_token"],
        "client_id": ["c"],
        "client_secret": ["s"],
        "refresh_token": ["r"],
    }
    assert "'c'" in repr(grant)
    assert "refresh" not in repr(grant)


def test_a_token_is_read(grant: Google) -> None:
    body = b'{"access_token":"ya29.x","expires_in":3599,"token_type":"Bearer"}'
    token = grant.read(body, NOW)
    assert (token.value, token.expires_at) == ("ya29.x", NOW + 3599)
    assert "ya29" not in repr(token)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"error":"invalid_grant","error_description":"Invalid JWT"}', UpstreamDenied),
        (b'{"error":"temporarily_unavailable"}', UpstreamFailed),
        (b"{}", UpstreamBroken),
        (b"<html>", UpstreamBroken),
        (b'{"access_token":1}', UpstreamBroken),
        (b'{"x":' + b"[" * 100_000, UpstreamBroken),
    ],
)
def test_what_is_no_token_is_an_error(grant: Google, body: bytes, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        grant.read(body, NOW)


@pytest.mark.parametrize("text", ["", "{}", '{"client_email":"a"}', "\x00"])
def test_what_is_no_key_file_is_refused(text: str) -> None:
    with pytest.raises(BadConfig, match="key file"):
        google_grant(text, NO_PROXIES)


def test_a_key_that_cannot_sign_is_refused_and_not_shown() -> None:
    begun = "-----BEGIN PRIVATE KEY-----\nnot-a-key"
    bad = google_grant(json.dumps({"client_email": "a", "private_key": begun}), NO_PROXIES)
    with pytest.raises(UpstreamDenied, match="RSA") as caught:
        bad.request(NOW)
    assert "not-a-key" not in str(caught.value)
    assert "not-a-key" not in repr(Account("a", "not-a-key")) + repr(bad)
    with pytest.raises(BadConfig, match="PEM") as refused:
        google_grant('{"client_email":"a","private_key":"not-a-key"}', NO_PROXIES)
    assert "not-a-key" not in str(refused.value)


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)
    account = {"client_email": "a", "private_key": "-----BEGIN PRIVATE KEY-----"}
    with pytest.raises(BadConfig, match=r"pip install 'octoplex\[vertex\]'"):
        google_grant(json.dumps(account), NO_PROXIES)
    user = {"client_id": "c", "client_secret": "s", "refresh_token": "r"}
    assert google_grant(json.dumps(user), NO_PROXIES).request(NOW).body
