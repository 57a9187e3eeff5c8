"""Bedrock's own form of Claude, asked with a signature: what is signed is what goes out."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from octoplex.assembly.dialects import dialects
from octoplex.catalog.provider import catalogue
from octoplex.dialects.anthropic import AnthropicFace
from octoplex.transport import sigv4
from octoplex.transport.fake import Fake, Script
from octoplex.transport.origin import NO_PROXIES
from octoplex.transport.sigv4 import Credentials, Scope, Unsigned
from octoplex.upstreams.config import Provider
from octoplex.upstreams.configured import from_file, from_row
from octoplex.upstreams.count import CountUpstream
from octoplex.upstreams.source import Making, Source
from octoplex.upstreams.upstream import Upstream
from octoplex.wire.ask import Call
from tests.dialects.test_transcripts import call_of
from tests.sdk.vendors import message_body
from tests.transport.conftest import Run

ENV = {
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    "AWS_SESSION_TOKEN": "sessionEXAMPLE",
    "AWS_REGION": "eu-central-1",
}
MAKING = Making(dialects=dialects(), proxies=NO_PROXIES)
MODEL = "eu.anthropic.claude-opus-4-6-v1"
BODY = b'{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"Hi"}],"stream":%b}'


def bedrock() -> Source:
    source = from_row(catalogue()["bedrock"], ENV)
    assert source.usable
    return source


def asked(stream: bool = False) -> Call:
    call = call_of(AnthropicFace(), BODY % (b"true" if stream else b"false"))
    call.deadline_at, call.headers = float("inf"), {"anthropic-beta": "context-1m-2025-08-07"}
    return call


def signed_anew(wire: bytes) -> tuple[dict[str, str], dict[str, str]]:
    """The headers of a request, and those that its signature should be."""
    head, _, body = wire.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    moment = datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    request = Unsigned(
        method="POST",
        host=headers["host"],
        path=first.split()[1],
        headers=(("content-type", "application/json"),),
        body=body,
    )
    credentials = Credentials(
        ENV["AWS_ACCESS_KEY_ID"], ENV["AWS_SECRET_ACCESS_KEY"], ENV["AWS_SESSION_TOKEN"]
    )
    scope = Scope("eu-central-1", "bedrock")
    return headers, dict(sigv4.sign(request, credentials, scope, moment.timestamp()))


def whole(said: Any) -> Fake:
    return Fake([Script(body=said if isinstance(said, bytes) else json.dumps(said).encode())])


@pytest.mark.parametrize("stream", [False, True])
def test_an_invocation_is_signed_as_it_goes_out(run: Run, stream: bool) -> None:
    async def main() -> None:
        fake = whole(message_body([{"type": "text", "text": "Hi."}], "end_turn"))
        answer = await Upstream(bedrock().spec(MODEL, None, MAKING), fake)(asked(stream))
        assert answer.dialect == "anthropic"
        wire = fake.sent[0].wire
        headers, signature = signed_anew(wire)
        assert signature.items() <= headers.items()
        verb = "invoke-with-response-stream" if stream else "invoke"
        assert wire.startswith(b"POST /model/%b/%b HTTP/1.1\r\n" % (MODEL.encode(), verb.encode()))
        assert headers["host"] == "bedrock-runtime.eu-central-1.amazonaws.com"
        assert "anthropic-beta" not in headers
        assert json.loads(wire.partition(b"\r\n\r\n")[2]) == {
            "anthropic_version": "bedrock-2023-05-31",
            "anthropic_beta": ["context-1m-2025-08-07"],
            "max_tokens": 9,
            "messages": [{"role": "user", "content": "Hi"}],
        }

    run(main())


def test_a_count_is_signed_too(run: Run) -> None:
    async def main() -> None:
        fake = whole({"inputTokens": 12})
        spec = bedrock().counting(MODEL, None, MAKING)
        assert spec is not None
        answer = await CountUpstream(spec, fake)(asked())
        assert answer.reply().usage.input_tokens == 12
        assert answer.dialect == "", "Bedrock's words mean nothing to the caller"
        headers, signature = signed_anew(fake.sent[0].wire)
        assert signature.items() <= headers.items()

    run(main())


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "ValidationException"),  # "The provided model doesn't support counting tokens"
        (403, "AccessDeniedException"),
        (404, "ResourceNotFoundException"),
    ],
)
def test_where_bedrock_does_not_count_it_is_an_estimate(run: Run, status: int, kind: str) -> None:
    async def main() -> None:
        named = {"content-type": "application/json", "x-amzn-errortype": kind}
        fake = Fake([Script(status=status, headers=named, body=b'{"message":"no"}')])
        spec = bedrock().counting(MODEL, None, MAKING)
        assert spec is not None
        usage = (await CountUpstream(spec, fake)(asked())).reply().usage
        assert usage.estimated
        assert usage.input_tokens > 0

    run(main())


def test_only_anthropics_models_are_invoked_or_counted() -> None:
    assert list(bedrock().spec(MODEL, None, MAKING).wires) == ["bedrock-converse", "anthropic"]
    for other in ("amazon.nova-pro-v1:0", "arn:aws:bedrock:eu-west-1:1:prompt-router/x"):
        assert list(bedrock().spec(other, None, MAKING).wires) == ["bedrock-converse"]
        assert bedrock().counting(other, None, MAKING) is None


@pytest.mark.parametrize(
    ("more", "version", "header"),
    [
        ({"AZURE_OPENAI_API_KEY": "KEY"}, "2024-10-21", "api-key: KEY"),
        (
            {"AZURE_OPENAI_AD_TOKEN": "TOKEN", "OPENAI_API_VERSION": "2025-04-01-preview"},
            "2025-04-01-preview",
            "authorization: Bearer TOKEN",
        ),
    ],
)
def test_azures_dated_api_reads_the_variables_of_the_openai_package(
    more: dict[str, str], version: str, header: str
) -> None:
    env = {"AZURE_OPENAI_ENDPOINT": "https://acme.openai.azure.com/", **more}
    source = from_row(catalogue()["azure-openai-deployments"], env)
    assert source.usable, source.missing
    wire = source.spec("gpt 4", source.keys[0], MAKING).wires["openai-chat"]
    path = f"/openai/deployments/gpt%204/chat/completions?api-version={version}"
    head = wire.head.decode()
    assert head.startswith(f"POST {path} HTTP/1.1\r\nhost: acme.openai.azure.com\r\n")
    assert f"\r\n{header}\r\n" in head


def test_a_base_url_that_wants_a_variable_is_not_usable_with_a_key_of_the_file() -> None:
    row = catalogue()["azure-foundry"]
    table = Provider(api_key="env:K")
    source = from_file("azure-foundry", table, row, {}, lambda *_: "KEY")
    assert source.missing == "set AZURE_AI_RESOURCE"
    given = from_file("azure-foundry", table, row, {"AZURE_AI_RESOURCE": "acme"}, lambda *_: "KEY")
    assert given.usable
