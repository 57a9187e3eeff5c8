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
IN_WORDS = "Answer with one JSON object and nothing else: no words around it, no code fence."
"""What is asked for where a target cannot be held to it, and what comes is looked at."""
SAID: dict[str, dict[str, tuple[str, Any]]] = {  # Chat's name -> the value that goes out, and where
    "claude": {
        "temperature": ("temperature", 0.25),
        "top_p": ("top_p", 0.5),
        "max_tokens": ("max_tokens", 77),
        "max_completion_tokens": ("max_tokens", 78),
        "stop": ("stop_sequences", ["END"]),
        "response_format": ("system.0.text", IN_WORDS),
        "tools": ("tools", [{"name": "weather", "input_schema": TOOL}]),
        "tool_choice": ("tool_choice.type", "auto"),
        "parallel_tool_calls": ("tool_choice.disable_parallel_tool_use", True),
        "reasoning_effort": ("thinking", {"type": "enabled", "budget_tokens": 2048}),
        "user": ("metadata.user_id", "u-1"),
        "service_tier": ("service_tier", "auto"),
    },
    "gem": {
        "temperature": ("generationConfig.temperature", 0.25),
        "top_p": ("generationConfig.topP", 0.5),
        "max_tokens": ("generationConfig.maxOutputTokens", 77),
        "max_completion_tokens": ("generationConfig.maxOutputTokens", 78),
        "presence_penalty": ("generationConfig.presencePenalty", 0.5),
        "frequency_penalty": ("generationConfig.frequencyPenalty", -0.5),
        "logprobs": ("generationConfig.responseLogprobs", True),
        "top_logprobs": ("generationConfig.logprobs", 3),
        "seed": ("generationConfig.seed", 7),
        "stop": ("generationConfig.stopSequences", ["END"]),
        "response_format": ("generationConfig.responseMimeType", "application/json"),
        "tools": ("tools.0.functionDeclarations.0.parametersJsonSchema", TOOL),
        "tool_choice": ("toolConfig.functionCallingConfig.mode", "AUTO"),
    },
    "resp": {
        "temperature": ("temperature", 0.25),
        "top_p": ("top_p", 0.5),
        "max_tokens": ("max_output_tokens", 77),
        "max_completion_tokens": ("max_output_tokens", 78),
        "top_logprobs": ("top_logprobs", 3),
        "response_format": ("text.format.type", "json_object"),
        "tools": ("tools.0.parameters", TOOL),
        "tool_choice": ("tool_choice", "auto"),
        "parallel_tool_calls": ("parallel_tool_calls", False),
        "reasoning_effort": ("reasoning.effort", "low"),
        "verbosity": ("text.verbosity", "low"),
        "user": ("user", "u-1"),
        "metadata": ("metadata", {"team": "red"}),
        "service_tier": ("service_tier", "auto"),
        "prompt_cache_key": ("prompt_cache_key", "k-1"),
        "safety_identifier": ("safety_identifier", "s-1"),
    },
    "rock": {
        "temperature": ("inferenceConfig.temperature", 0.25),
        "top_p": ("inferenceConfig.topP", 0.5),
        "max_tokens": ("inferenceConfig.maxTokens", 77),
        "max_completion_tokens": ("inferenceConfig.maxTokens", 78),
        "stop": ("inferenceConfig.stopSequences", ["END"]),
        "response_format": ("system.0.text", IN_WORDS),
        "tools": ("toolConfig.tools.0.toolSpec.inputSchema.json", TOOL),
    },
    "coh": {
        "temperature": ("temperature", 0.25),
        "top_p": ("p", 0.5),
        "max_tokens": ("max_tokens", 77),
        "max_completion_tokens": ("max_tokens", 78),
        "presence_penalty": ("presence_penalty", 0.5),
        "frequency_penalty": ("frequency_penalty", -0.5),
        "seed": ("seed", 7),
        "stop": ("stop_sequences", ["END"]),
        "response_format": ("response_format.type", "json_object"),
        "tools": ("tools.0.function.parameters", TOOL),
    },
    "oll": {
        "temperature": ("options.temperature", 0.25),
        "top_p": ("options.top_p", 0.5),
        "max_tokens": ("options.num_predict", 77),
        "max_completion_tokens": ("options.num_predict", 78),
        "presence_penalty": ("options.presence_penalty", 0.5),
        "frequency_penalty": ("options.frequency_penalty", -0.5),
        "seed": ("options.seed", 7),
        "stop": ("options.stop", ["END"]),
        "response_format": ("format", "json"),
        "tools": ("tools.0.function.parameters", TOOL),
    },
}
SAYS_NOTHING = {"n", "tool_choice"}
"""At the value that every provider has anyhow."""


def at(body: Any, path: str) -> Any:
    """What stands at a path of names and numbers; None where there is nothing."""
    for step in path.split("."):
        body = body[int(step)] if isinstance(body, list) else (body or {}).get(step)
    return body


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


@pytest.mark.parametrize("target", SAID)
@bounded
@given(parameters=asked())
def test_row31_on_a_fallback_to_another_dialect_each_is_said_or_named(
    http: httpx2.Client, behind: Mapping[str, Vendor], target: str, parameters: Json
) -> None:
    up = behind[target].plays(answer(target, v.text('{"hello": 1}')))  # whatever is asked
    reply = ask(http, f"crossing-{target}", parameters)
    assert reply.headers["x-octoplex-model"] == f"{target}/served"
    dropped = {n.strip() for n in reply.headers.get("x-octoplex-dropped", "").split(",")} - {""}
    (body,) = up.asked
    for name in parameters:
        if name in dropped:
            continue
        assert name in SAID[target] or name in SAYS_NOTHING, f"{name} is lost: {body}"
        if name in SAID[target]:
            path, value = SAID[target][name]
            in_words = name == "response_format" and IN_WORDS in str(body)
            assert in_words or at(body, path) == value, f"{name} is lost: {body}"
    assert dropped <= parameters.keys()
    for name in SAID[target].keys() - parameters.keys() - SAYS_NOTHING:  # nor is one made up
        path, value = SAID[target][name]
        assert at(body, path) != value, f"{name} is made up: {body}"
