"""AWS Signature Version 4, against the vectors that AWS publishes.

References: the Signature Version 4 test suite
(https://github.com/awslabs/aws-c-auth/tree/main/tests/aws-signing-test-suite/v4) and the
worked example of the IAM user guide
(https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html).
"""

from datetime import UTC, datetime
from typing import Any

import pytest

from octoplex.transport.sigv4 import Credentials, Scope, Unsigned, sign

NOW = datetime(2015, 8, 30, 12, 36, tzinfo=UTC).timestamp()
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
KEY = Credentials("AKIDEXAMPLE", SECRET)
FORM = ("Content-Type", "application/x-www-form-urlencoded")
UNRESERVED = "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

SUITE: list[tuple[str, dict[str, Any], str]] = [
    (
        "get-vanilla",
        {"method": "GET", "path": "/"},
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    ),
    (
        "get-vanilla-query-order-key-case",
        {"method": "GET", "path": "/", "query": "Param2=value2&Param1=value1"},
        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
    ),
    (
        "get-vanilla-utf8-query",
        {"method": "GET", "path": "/", "query": "ሴ=bar"},
        "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04",
    ),
    (
        "get-utf8",
        {"method": "GET", "path": "/ሴ"},
        "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85",
    ),
    (
        "get-unreserved",
        {"method": "GET", "path": UNRESERVED},
        "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
    ),
    (
        "get-space",
        {"method": "GET", "path": "/example space/"},
        "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741",
    ),
    (
        "get-header-value-trim",
        {
            "method": "GET",
            "path": "/",
            "headers": (("My-Header1", " value1"), ("My-Header2", ' "a   b   c"')),
        },
        "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
    ),
    (
        "get-header-key-duplicate",
        {
            "method": "GET",
            "path": "/",
            "headers": tuple(("My-Header1", value) for value in ("value2", "value2", "value1")),
        },
        "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
    ),
    (
        "post-vanilla",
        {"method": "POST", "path": "/"},
        "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
    ),
    (
        "post-x-www-form-urlencoded",
        {"method": "POST", "path": "/", "headers": (FORM,), "body": b"Param1=value1"},
        "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
    ),
]


@pytest.mark.parametrize(("name", "request_", "signature"), SUITE, ids=[row[0] for row in SUITE])
def test_the_suite(name: str, request_: dict[str, Any], signature: str) -> None:
    unsigned = Unsigned(host="example.amazonaws.com", **request_)
    headers = dict(sign(unsigned, KEY, Scope("us-east-1", "service"), NOW))
    assert headers["x-amz-date"] == "20150830T123600Z"
    assert headers["authorization"].endswith(f"Signature={signature}")


def test_the_worked_example() -> None:
    unsigned = Unsigned(
        method="GET",
        host="iam.amazonaws.com",
        path="/",
        query="Action=ListUsers&Version=2010-05-08",
        headers=(("content-type", "application/x-www-form-urlencoded; charset=utf-8"),),
    )
    headers = dict(sign(unsigned, KEY, Scope("us-east-1", "iam"), NOW))
    assert headers["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, "
        "SignedHeaders=content-type;host;x-amz-date, "
        "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
    )


def test_a_session_token_is_sent_and_signed() -> None:
    unsigned = Unsigned(method="POST", host="example.amazonaws.com", path="/")
    temporary = Credentials("AKIDEXAMPLE", SECRET, "a-token")
    headers = dict(sign(unsigned, temporary, Scope("us-east-1", "service"), NOW))
    assert headers["x-amz-security-token"] == "a-token"
    assert "SignedHeaders=host;x-amz-date;x-amz-security-token," in headers["authorization"]
    plain = dict(sign(unsigned, KEY, Scope("us-east-1", "service"), NOW))
    assert headers["authorization"] != plain["authorization"]


BEDROCK = [
    (
        "/model/anthropic.claude-3-sonnet-20240229-v1%3A0/converse-stream",
        "f0229583a4db3a056e19eec4404707ac8db9fb6740beecabca07da9986cb5d41",
    ),
    (
        "/model/us.amazon.nova-lite-v1%3A0/converse-stream",
        "c8c703e71d9fdcbb94464273fdf193be36c60403d6ef88ffb66c28eba9943b7d",
    ),
    (
        "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aapplication-inference-profile%2Fabc123/converse-stream",
        "d7f680e90498fd8fd96ae5db2939a4ec464308b2c094726c67f22e4226b0217f",
    ),
]


@pytest.mark.parametrize(("path", "signature"), BEDROCK)
def test_a_model_in_the_path_is_encoded_twice(path: str, signature: str) -> None:
    """What botocore 1.44.5 signs for Bedrock, with a session token."""
    unsigned = Unsigned(
        method="POST",
        host="bedrock-runtime.us-east-1.amazonaws.com",
        path=path,
        headers=(("content-type", "application/json"),),
        body=b'{"messages":[]}',
    )
    temporary = Credentials("AKIDEXAMPLE", SECRET, "a-token")
    headers = dict(sign(unsigned, temporary, Scope("us-east-1", "bedrock"), NOW))
    assert headers["authorization"].endswith(f"Signature={signature}")


def test_secrets_are_not_shown() -> None:
    shown = repr(Credentials("AKIDEXAMPLE", SECRET, "a-token"))
    assert SECRET not in shown
    assert "a-token" not in shown
