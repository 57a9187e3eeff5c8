"""A SageMaker endpoint, asked with a signature: what is signed is what goes out."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from octoplex.assembly.dialects import dialects
from octoplex.catalog.provider import catalogue
from octoplex.dialects.openai_chat import OpenAIChatFace
from octoplex.transport import sigv4
from octoplex.transport.fake import Fake, Script
from octoplex.transport.origin import NO_PROXIES
from octoplex.transport.sigv4 import Credentials, Scope, Unsigned
from octoplex.upstreams.configured import from_row
from octoplex.upstreams.source import Making
from octoplex.upstreams.upstream import Upstream
from tests.dialects.test_transcripts import call_of
from tests.sdk.vendors import chat_body
from tests.transport.conftest import Run
from tests.upstreams.test_forms import ENV

HOST = "runtime.sagemaker.eu-central-1.amazonaws.com"
SCOPE = Scope("eu-central-1", "sagemaker")
CREDENTIALS = Credentials(
    ENV["AWS_ACCESS_KEY_ID"], ENV["AWS_SECRET_ACCESS_KEY"], ENV["AWS_SESSION_TOKEN"]
)
BODY = b'{"model":"my-endpoint","messages":[{"role":"user","content":"Hi"}],"stream":%b}'


def signature(headers: dict[str, str], path: str, body: bytes) -> dict[str, str]:
    at = datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    kind = (("content-type", "application/json"),)
    request = Unsigned(method="POST", host=HOST, path=path, headers=kind, body=body)
    return dict(sigv4.sign(request, CREDENTIALS, SCOPE, at.timestamp()))


@pytest.mark.parametrize("stream", [False, True])
def test_an_invocation_is_signed_as_it_goes_out(run: Run, stream: bool) -> None:
    async def main() -> None:
        source = from_row(catalogue()["sagemaker"], ENV)
        assert source.usable
        making = Making(dialects=dialects(), proxies=NO_PROXIES)
        fake = Fake([Script(body=chat_body({"content": "Hi."}))])
        call = call_of(OpenAIChatFace(), BODY % (b"true" if stream else b"false"))
        call.deadline_at = float("inf")
        answer = await Upstream(source.spec("my-endpoint", None, making), fake)(call)
        assert answer.dialect == "openai-chat"
        head, _, body = fake.sent[0].wire.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        path = "/endpoints/my-endpoint/invocations" + ("-response-stream" if stream else "")
        assert first == f"POST {path} HTTP/1.1"
        headers = dict(line.split(": ", 1) for line in lines)
        assert headers["host"] == HOST
        assert signature(headers, path, body).items() <= headers.items()
        asked: dict[str, Any] = json.loads(body)
        assert asked.pop("stream", False) is stream
        assert asked["messages"] == [{"role": "user", "content": "Hi"}]
        assert "model" not in asked

    run(main())


def test_without_credentials_it_says_what_to_set() -> None:
    source = from_row(catalogue()["sagemaker"], {"AWS_REGION": "eu-central-1"})
    assert source.missing == "set AWS_ACCESS_KEY_ID"
