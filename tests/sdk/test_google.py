"""Google's own package on Gemini's doors: models, chats, streams in both forms, keys, errors."""

import asyncio
import json
import urllib.request
from collections.abc import Mapping
from typing import Any

import pytest
from google import genai
from google.genai import errors, types

from tests.sdk import vendors as v
from tests.sdk.conftest import Tee
from tests.sdk.faces import made
from tests.sdk.house import KEYS, PRICED, Vendor
from tests.sdk.sides import answer, every_target

GEM = PRICED["gem"]
SAID = "Hello! How can I assist you today?"


@pytest.mark.parametrize("version", ["v1beta", "v1"])
def test_models(gateway: str, tee: Tee, version: str) -> None:
    """The package's own choice of the version has changed before."""
    google = made(gateway, tee, version=version).google
    names = {m.name for m in google.models.list()}
    assert tee.sent[0].url.path == f"/{version}/models"
    assert {"models/once-oai", "models/oai/gpt-priced", "models/octoplex/smollm2"} <= names
    for name in ("oai/gpt-priced", "models/oai/gpt-priced", "once-gem"):
        found = google.models.get(model=name)
        assert found.name == "models/" + name.removeprefix("models/")
        assert found.display_name == name.removeprefix("models/")
        assert found.supported_actions == ["generateContent", "countTokens"]
    with pytest.raises(errors.ClientError) as raised:
        google.models.get(model="nobody-has-it")
    assert (raised.value.code, raised.value.status) == (404, "NOT_FOUND")


def test_a_chat_keeps_its_history(google: genai.Client, behind: Mapping[str, Vendor]) -> None:
    up = behind["claude"].plays(
        answer("claude", v.text("Two.")), answer("claude", v.text("Four."), stream=True)
    )
    chat = google.chats.create(
        model=PRICED["claude"],
        config=types.GenerateContentConfig(
            system_instruction="Count.", temperature=0.5, stop_sequences=["Five"]
        ),
    )
    assert chat.send_message("One?").text == "Two."
    assert "".join(c.text or "" for c in chat.send_message_stream("Three?")) == "Four."
    body = up.asked[1]
    assert "Count." in json.dumps(body["system"])
    assert [m["role"] for m in body["messages"]] == ["user", "assistant", "user"]
    assert (body["temperature"], body["stop_sequences"]) == (0.5, ["Five"])


def test_the_asynchronous_client(gateway: str, behind: Mapping[str, Vendor]) -> None:
    up = behind["oai"].plays(answer("oai", v.text(SAID), stream=True))

    async def main() -> str:
        options = types.HttpOptions(base_url=gateway)
        client = genai.Client(api_key=KEYS["app"], http_options=options)
        said = ""
        async for chunk in await client.aio.models.generate_content_stream(
            model=PRICED["oai"], contents="Hi"
        ):
            said += chunk.text or ""
        await client.aio.aclose()
        return said

    assert asyncio.run(main()) == SAID
    assert len(up.book) == 1


def ask(url: str, body: dict[str, Any], **headers: str) -> tuple[str, bytes]:
    """The content type and the body of a request as bytes."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    sent = {"content-type": "application/json", **named}
    request = urllib.request.Request(url, json.dumps(body).encode(), sent)
    with urllib.request.urlopen(request, timeout=10) as reply:
        return reply.headers["content-type"], reply.read()


HI = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}


@every_target
def test_a_stream_as_a_json_array(gateway: str, behind: Mapping[str, Vendor], target: str) -> None:
    """Without `alt=sse` it is one array, verbatim or written anew."""
    behind[target].plays(answer(target, v.text(SAID), stream=True))
    path = f"{gateway}/v1beta/models/{PRICED[target]}:streamGenerateContent"
    kind, body = ask(path, HI, x_goog_api_key=KEYS["app"])
    assert kind == "application/json"
    replies = json.loads(body)
    parts = [p for r in replies for p in r["candidates"][0]["content"]["parts"]]
    assert "".join(p["text"] for p in parts) == SAID
    assert replies[-1]["candidates"][0]["finishReason"] == "STOP"
    assert replies[-1]["usageMetadata"]["totalTokenCount"] == 29


def test_the_key_in_the_query_and_the_other_version(
    gateway: str, behind: Mapping[str, Vendor]
) -> None:
    up = behind["gem"].plays(answer("gem", v.text(SAID)))
    for path in ("v1beta", "v1"):
        name = GEM.replace("/", "%2F") if path == "v1" else GEM
        url = f"{gateway}/{path}/models/{name}:generateContent?key={KEYS['app']}"
        _, body = ask(url, HI)
        assert json.loads(body)["candidates"][0]["content"]["parts"][0]["text"] == SAID
    assert len(up.book) == 2
    assert not any(KEYS["app"].encode() in entry.data for entry in up.book)


def test_what_is_wrong_is_said_in_googles_words(google: genai.Client) -> None:
    with pytest.raises(errors.ClientError) as raised:
        google.models.generate_content(model="nobody-has-it", contents="Hi")
    assert (raised.value.code, raised.value.status) == (404, "NOT_FOUND")
    with pytest.raises(errors.ClientError) as refused:
        google.models.generate_content(
            model=PRICED["claude"], contents="Hi",
            config=types.GenerateContentConfig(candidate_count=2),
        )  # fmt: skip
    assert (refused.value.code, refused.value.status) == (400, "INVALID_ARGUMENT")
    with pytest.raises(errors.ClientError) as missing:
        google.models.embed_content(model="nobody-has-it", contents="Hi")
    assert missing.value.code in (404, 400)
