"""Tokens of IBM Cloud, Sber and Baidu Qianfan, as each of them documents its endpoint.

https://cloud.ibm.com/docs/account?topic=account-iamtoken_from_apikey,
https://developers.sber.ru/docs/ru/gigachat/api/reference/rest/post-token,
https://cloud.baidu.com/doc/WENXINWORKSHOP/s/Ilkkrb0i5
"""

import json
from base64 import b64encode
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest

from octoplex.transport.oauth import baidu_grant, ibm_grant, sber_grant
from octoplex.transport.origin import NO_PROXIES
from octoplex.wire.error import BadConfig, UpstreamBroken, UpstreamDenied

NOW = 1_741_569_952.5
PAIR = "canary-id:canary-secret"
BASIC = b64encode(PAIR.encode()).decode()
GRANTS = {
    "IBM": ibm_grant("canary-secret", {}, NO_PROXIES),
    "Sber": sber_grant(BASIC, {}, NO_PROXIES),
    "Baidu": baidu_grant(PAIR, {}, NO_PROXIES),
}
every_vendor = pytest.mark.parametrize("vendor", GRANTS)


def asked(vendor: str) -> tuple[str, str, dict[str, str], bytes]:
    """Host, target, headers and body of a request for a token."""
    request = GRANTS[vendor].request(NOW)
    line, host, *headers = request.head.decode().strip().split("\r\n")
    method, target, version = line.split()
    assert (method, version) == ("POST", "HTTP/1.1")
    assert host == f"host: {request.origin.authority}"
    named = dict(header.split(": ", 1) for header in headers)
    assert named["content-type"] == "application/x-www-form-urlencoded"
    return request.origin.authority, target, named, request.body


def test_ibm_is_posted_the_key_in_a_form() -> None:
    host, target, headers, body = asked("IBM")
    assert (host, target) == ("iam.cloud.ibm.com", "/identity/token")
    assert "authorization" not in headers
    assert parse_qs(body.decode()) == {
        "grant_type": ["urn:ibm:params:oauth:grant-type:apikey"],
        "apikey": ["canary-secret"],
    }


def test_sber_is_shown_the_pair_and_a_new_id_each_time() -> None:
    host, target, headers, body = asked("Sber")
    assert (host, target) == ("ngw.devices.sberbank.ru:9443", "/api/v2/oauth")
    assert headers["authorization"] == f"Basic {BASIC}"
    assert parse_qs(body.decode()) == {"scope": ["GIGACHAT_API_PERS"]}
    ids = {asked("Sber")[2]["rquid"] for _ in range(3)}
    assert {UUID(id_).version for id_ in ids} == {4}
    assert len(ids) == 3


def test_baidu_is_told_both_values_in_the_query() -> None:
    host, target, _, body = asked("Baidu")
    url = urlsplit(target)
    assert (host, url.path, body) == ("aip.baidubce.com", "/oauth/2.0/token", b"")
    assert parse_qs(url.query) == {
        "grant_type": ["client_credentials"],
        "client_id": ["canary-id"],
        "client_secret": ["canary-secret"],
    }


def test_the_account_says_where_and_what_for() -> None:
    account = {"token_url": "https://tokens.test:8443/x", "scope": "GIGACHAT_API_CORP"}
    for make, key in ((ibm_grant, "k"), (sber_grant, BASIC), (baidu_grant, PAIR)):
        request = make(key, account, NO_PROXIES).request(NOW)
        assert request.head.startswith(b"POST /x")
        assert request.origin.authority == "tokens.test:8443"
    assert sber_grant(BASIC, account, NO_PROXIES).request(NOW).body == b"scope=GIGACHAT_API_CORP"


def test_equal_keys_share_a_grant_and_others_do_not() -> None:
    assert sber_grant(PAIR, {}, NO_PROXIES) == sber_grant(f" {BASIC}\n", {}, NO_PROXIES)
    assert len({ibm_grant(key, {}, NO_PROXIES) for key in ("a", "a", "b")}) == 2


@pytest.mark.parametrize(
    ("vendor", "body", "value", "expires_at"),
    [
        ("IBM", {"access_token": "eyJ", "expires_in": 3600, "expiration": 9}, "eyJ", NOW + 3600),
        ("Sber", {"access_token": "eyJ", "expires_at": 1741571752000}, "eyJ", 1741571752),
        ("Sber", {"access_token": "eyJ", "expires_at": 1741571752}, "eyJ", 1741571752),
        ("Sber", {"tok": "eyJ", "exp": 1741571752}, "eyJ", 1741571752),
        (
            "Baidu",
            {"refresh_token": "25.b", "expires_in": 2592000, "session_key": "9",
             "access_token": "24.a", "scope": "public", "session_secret": "8"},
            "24.a", NOW + 2592000,
        ),
        ("IBM", {"access_token": "eyJ"}, "eyJ", NOW + 1800),
    ],
)  # fmt: skip
def test_a_token_is_read(vendor: str, body: Any, value: str, expires_at: float) -> None:
    token = GRANTS[vendor].read(json.dumps(body).encode(), NOW)
    assert (token.value, token.expires_at) == (value, expires_at)
    assert token.in_query == ("access_token" if vendor == "Baidu" else "")
    assert value not in repr(token)


@pytest.mark.parametrize(
    ("vendor", "body", "words"),
    [
        (
            "IBM",
            {"errorCode": "BXNIM0415E", "errorMessage": "Provided API key could not be found."},
            "API key could not be found",
        ),
        ("Sber", {"code": 4, "message": "Can't decode 'Authorization' header"}, "Can't decode"),
        (
            "Baidu",
            {"error": "invalid_client", "error_description": "unknown client id"},
            "unknown client id",
        ),
        ("Baidu", {"error": "invalid_client"}, "invalid_client"),
    ],
)
def test_a_refused_key_is_a_refusal_in_the_vendors_words(
    vendor: str, body: Any, words: str
) -> None:
    with pytest.raises(UpstreamDenied, match=words) as caught:
        GRANTS[vendor].read(json.dumps(body).encode(), NOW)
    assert vendor in str(caught.value)


@every_vendor
@pytest.mark.parametrize(
    "body", [b"", b"{}", b"<html>", b"[]", b'{"access_token":1e', b"\xff", b"[" * 9_999]
)
def test_what_is_no_reply_is_an_error(vendor: str, body: bytes) -> None:
    with pytest.raises(UpstreamBroken, match=vendor):
        GRANTS[vendor].read(body, NOW)


@every_vendor
def test_nothing_of_a_key_is_shown(vendor: str) -> None:
    assert "canary" not in repr(GRANTS[vendor])
    said = json.dumps({"message": "no to canary-secret: sk-canary-0123456789abcdef0123456789"})
    with pytest.raises(UpstreamDenied) as caught:
        GRANTS[vendor].read(said.encode(), NOW)
    assert "sk-canary" not in str(caught.value)


@pytest.mark.parametrize(
    "key", ["", "canary", "canary:", ":canary", "Y2FuYXJ5", b64encode(b":").decode()]
)
def test_a_key_of_another_form_is_refused_and_not_shown(key: str) -> None:
    for make, form in (
        (sber_grant, "CLIENT_ID:CLIENT_SECRET"),
        (baidu_grant, "API_KEY:SECRET_KEY"),
    ):
        with pytest.raises(BadConfig, match=form) as caught:
            make(key, {}, NO_PROXIES)
        assert "canary" not in str(caught.value)
