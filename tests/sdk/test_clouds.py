"""What a gateway sends to a cloud is what the vendor's own package for that cloud sends.

The same call goes to the same scripted server twice: by the package that Anthropic, OpenAI
or Google has for the cloud, and by the gateway from the plain package.
"""

import json
from collections.abc import Mapping
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from google import genai
from google.genai import types
from google.oauth2.credentials import Credentials

from tests.sdk import others
from tests.sdk import vendors as v
from tests.sdk.faces import Sdks
from tests.sdk.house import PRICED, Vendor
from tests.sdk.sides import CLAUDE_TOOLS, answer, streamed_or_not
from tests.upstream_server import Entry, says

ASKED: dict[str, Any] = {
    "max_tokens": 99,
    "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
    "messages": [{"role": "user", "content": "Weather in Paris?"}],
    "tools": CLAUDE_TOOLS,
    "thinking": {"type": "enabled", "budget_tokens": 2048},
}
BETAS = ["interleaved-thinking-2025-05-14"]


def body_of(entry: Entry) -> Any:
    """The body. Anthropic's package says a newer version than the clouds' own pages have."""
    body = json.loads(entry.body)
    assert isinstance(body.pop("anthropic_version", ""), str)
    return body


def alike(direct: Entry, through: Entry, *headers: bytes) -> None:
    """Path, query and body agree, and these headers."""
    assert through.target == direct.target
    assert body_of(through) == body_of(direct)
    for name in headers:
        assert through.headers.get(name) == direct.headers.get(name)


@streamed_or_not
def test_vertex_is_asked_as_by_anthropics_package(
    clients: Sdks, behind: Mapping[str, Vendor], stream: bool
) -> None:
    up = behind["vex"].plays(answer("vex", v.text("Mild."), stream=stream))
    model = PRICED["vex"].partition("/")[2]
    direct = anthropic.AnthropicVertex(
        region="global",
        project_id="acme",
        access_token="ya29.x",
        base_url=f"http://127.0.0.1:{up.port}/v1",
        http_client=httpx2.Client(),
    )
    for client, name in ((direct, model), (clients.claude, PRICED["vex"])):
        create: Any = client.beta.messages.create
        said = create(model=name, betas=BETAS, stream=stream, **ASKED)
        assert not stream or list(said)
    alike(*up.book, b"anthropic-beta")
    direct.close()


def test_vertex_counts_as_by_anthropics_package(
    clients: Sdks, behind: Mapping[str, Vendor]
) -> None:
    up = behind["vex"].plays(says(b'{"input_tokens":12}'))
    model = PRICED["vex"].partition("/")[2]
    direct = anthropic.AnthropicVertex(
        region="global",
        project_id="acme",
        access_token="ya29.x",
        base_url=f"http://127.0.0.1:{up.port}/v1",
        http_client=httpx2.Client(),
    )
    asked = {name: ASKED[name] for name in ("system", "messages", "tools")}
    for client, name in ((direct, model), (clients.claude, PRICED["vex"])):
        count: Any = client.messages.count_tokens
        assert count(model=name, **asked).input_tokens == 12
    alike(*up.book)
    direct.close()


def test_bedrock_is_asked_as_by_anthropics_package(
    clients: Sdks, behind: Mapping[str, Vendor]
) -> None:
    up = behind["inv"].plays(says(others.claude([v.text("Mild.")], "end_turn")))
    model = PRICED["inv"].partition("/")[2]
    direct = anthropic.AnthropicBedrock(
        aws_region="eu-central-1",
        api_key="bedrock-api-key",
        base_url=f"http://127.0.0.1:{up.port}",
        http_client=httpx2.Client(),
    )
    for client, name in ((direct, model), (clients.claude, PRICED["inv"])):
        create: Any = client.beta.messages.create
        assert create(model=name, betas=BETAS, **ASKED).content[0].text == "Mild."
    first, second = up.book
    assert second.path.replace("%3A", ":") == first.path, "a colon may stand either way"
    assert body_of(second) == body_of(first)
    direct.close()


@streamed_or_not
def test_vertex_is_asked_as_by_googles_package(
    clients: Sdks, behind: Mapping[str, Vendor], stream: bool
) -> None:
    up = behind["vert"].plays(answer("vert", v.text("Mild."), stream=stream))
    direct = genai.Client(
        vertexai=True,
        project="acme",
        location="global",
        credentials=Credentials("ya29.x"),  # type: ignore[no-untyped-call]
        http_options=types.HttpOptions(base_url=f"http://127.0.0.1:{up.port}", api_version="v1"),
    )
    config = types.GenerateContentConfig(
        system_instruction="Be brief.", max_output_tokens=99, temperature=0.5
    )
    model = PRICED["vert"].partition("/")[2]
    for client, name in ((direct, model), (clients.google, PRICED["vert"])):
        asked: Any = {"model": name, "contents": "Weather in Paris?", "config": config}
        if stream:
            assert list(client.models.generate_content_stream(**asked))
        else:
            assert client.models.generate_content(**asked).text == "Mild."
    first, second = up.book
    assert second.target == first.target
    ours, theirs = body_of(second), body_of(first)
    for body in (ours, theirs):  # its package writes a role here for Vertex alone
        body["systemInstruction"].pop("role", None)
    assert ours == theirs


@pytest.mark.parametrize("model", ["text-embedding-005", "gemini-embedding-001"])
def test_vertex_embeds_as_by_googles_package(
    clients: Sdks, behind: Mapping[str, Vendor], model: str
) -> None:
    values = {"values": [0.5, 1.0], "statistics": {"token_count": 3, "tokenCount": 3}}
    said = {"predictions": [{"embeddings": values}] * 2, "embeddings": [values] * 2}
    up = behind["vert"].plays(says(json.dumps(said).encode()))
    direct = genai.Client(
        vertexai=True,
        project="acme",
        location="global",
        credentials=Credentials("ya29.x"),  # type: ignore[no-untyped-call]
        http_options=types.HttpOptions(base_url=f"http://127.0.0.1:{up.port}", api_version="v1"),
    )
    config = types.EmbedContentConfig(task_type="RETRIEVAL_QUERY", output_dimensionality=2)
    for client, name in ((direct, model), (clients.google, f"vert/{model}")):
        told = client.models.embed_content(model=name, contents=["a", "b"], config=config)
        assert [e.values for e in told.embeddings or ()] == [[0.5, 1.0]] * 2
    alike(*up.book)


def test_azures_dated_api_is_asked_as_by_openais_package(
    clients: Sdks, behind: Mapping[str, Vendor]
) -> None:
    up = behind["oai"].plays(v.chat({"content": "Mild."}))
    direct = openai.AzureOpenAI(
        api_version="2024-10-21",
        azure_endpoint=f"http://127.0.0.1:{up.port}",
        api_key="sk-vendor-1",
        http_client=httpx2.Client(),
    )
    hi: Any = [{"role": "user", "content": "Hi"}]
    for client, name in ((direct, "my-gpt"), (clients.gpt, "azure-openai-deployments/my-gpt")):
        assert client.chat.completions.create(model=name, messages=hi).choices
    alike(*up.book, b"api-key")
    direct.close()
