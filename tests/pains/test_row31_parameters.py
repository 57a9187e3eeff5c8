"""Row 31: parameters are dropped on an alias or a fallback.

Any of them, in any company: within a dialect it reaches the deployment that answers as it was
written; in another one it is said there, or named in `x-octoplex-dropped`. Each field alone in
every dialect: `tests/dialects/test_one_way.py`.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sdk import vendors as v
from tests.sdk.house import KEYS, Vendor
from tests.sdk.sides import TOOL, answer

Json = dict[str, Any]
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": TOOL}}]
PARAMETERS: Json = {
    "temperature": 0.25,
    "top_p": 0.5,
    "max_tokens": 77,
    "max_completion_tokens": 78,
    "presence_penalty": 0.5,
    "frequency_penalty": -0.5,
    "logit_bias": {"50256": -100},
    "seed": 7,
    "stop": ["END"],
    "n": 1,
    "logprobs": True,
    "top_logprobs": 3,
    "response_format": {"type": "json_object"},
    "tools": TOOLS,
    "tool_choice": "auto",
    "parallel_tool_calls": False,
    "reasoning_effort": "low",
    "verbosity": "low",
    "user": "u-1",
    "metadata": {"team": "red"},
    "service_tier": "auto",
    "store": False,
    "prompt_cache_key": "k-1",
    "safety_identifier": "s-1",
    "prediction": {"type": "content", "content": "x"},
    "web_search_options": {},
    "not_yet_invented": {"a": [1.50, None]},
}
NEEDS_TOOLS = {"tool_choice", "parallel_tool_calls"}
SAID = {  # Chat's name -> where Anthropic says it, if it does
    "temperature": "temperature",
    "top_p": "top_p",
    "max_tokens": "max_tokens",
    "max_completion_tokens": "max_tokens",
    "stop": "stop_sequences",
    "response_format": "system",  # in words, and what comes is looked at
    "tools": "tools",
    "tool_choice": "tool_choice",
    "parallel_tool_calls": "tool_choice",
    "reasoning_effort": "thinking",
    "user": "metadata",
    "metadata": "metadata",
    "service_tier": "service_tier",
}
NAMED = {"reasoning_effort": "thinking"}
"""How it is named where it is left out, if not by its own name."""
SAYS_NOTHING = {"n"}
"""At the value that every provider has anyhow."""


@st.composite
def asked(draw: st.DrawFn) -> Json:
    names = draw(st.sets(st.sampled_from(sorted(PARAMETERS)), min_size=1))
    if names & NEEDS_TOOLS:
        names.add("tools")
    if "response_format" in names:  # a reply whose form is checked here has no logprobs
        names -= {"logprobs", "top_logprobs"}
    if "top_logprobs" in names:
        names.add("logprobs")
    if "max_completion_tokens" in names:
        names.discard("max_tokens")
    return {name: PARAMETERS[name] for name in draw(st.permutations(sorted(names)))}


@pytest.fixture
def http(gateway: str) -> Iterator[httpx2.Client]:
    headers = {"authorization": f"Bearer {KEYS['app']}"}
    with httpx2.Client(base_url=gateway, headers=headers) as client:
        yield client


bounded = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def ask(http: httpx2.Client, model: str, parameters: Json) -> httpx2.Response:
    body = {"model": model, "messages": [{"role": "user", "content": "Hi"}], **parameters}
    reply = http.post("/v1/chat/completions", content=json.dumps(body))
    assert reply.status_code == 200, reply.text
    assert reply.headers["x-octoplex-attempts"] in ("1", "2"), "the breaker may be open"
    return reply


@bounded
@given(parameters=asked())
def test_row31_every_parameter_reaches_the_deployment_behind_an_alias(
    http: httpx2.Client, behind: Mapping[str, Vendor], parameters: Json
) -> None:
    up = behind["oai"].plays(answer("oai", v.text("Hello")))
    reply = ask(http, "alias", parameters)
    assert reply.headers["x-octoplex-model"] == "oai/served"
    assert "x-octoplex-dropped" not in reply.headers
    (body,) = up.asked
    assert body.pop("model") == "served"
    assert body.pop("messages")[0]["content"] == "Hi"
    assert body == parameters


@bounded
@given(parameters=asked())
def test_row31_on_a_fallback_to_another_dialect_each_is_said_or_named(
    http: httpx2.Client, behind: Mapping[str, Vendor], parameters: Json
) -> None:
    up = behind["claude"].plays(answer("claude", v.text('{"hello": 1}')))  # whatever is asked
    reply = ask(http, "crossing", parameters)
    assert reply.headers["x-octoplex-model"] == "claude/served"
    dropped = {n.strip() for n in reply.headers.get("x-octoplex-dropped", "").split(",")} - {""}
    (body,) = up.asked
    for name in parameters.keys() - SAYS_NOTHING:
        said = SAID.get(name, name) in body
        assert said or NAMED.get(name, name) in dropped, (
            f"{name} is lost: {body.keys()}, dropped {dropped}"
        )
    assert dropped <= {NAMED.get(name, name) for name in parameters}
