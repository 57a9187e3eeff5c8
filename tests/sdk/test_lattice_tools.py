"""Conversations with tools over three turns, from every face to every provider dialect.

Two tools in parallel, their results, one more tool, the answer; then the same where the model
signs its thinking, and where Gemini signs its calls for clients that know nothing of it.
"""

import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.dialects.grammar import requests
from tests.sdk import near
from tests.sdk import vendors as v
from tests.sdk.faces import TOOL, Caller, Said, Talk
from tests.sdk.house import ONE_CALL, PRICED, Vendor, words
from tests.sdk.sides import answer, every_face, every_target, streamed_or_not
from tests.sdk.vendors import Json
from tests.upstream_server import Play

PARIS, TOKYO = v.use("toolu_01A", "weather", city="Paris"), v.use("toolu_02B", "time", city="東京")
LYON = v.use("toolu_03C", "weather", city="Lyon")
GIVEN = [("weather", {"city": "Paris"}), ("time", {"city": "東京"}), ("weather", {"city": "Lyon"})]
RESULTS = ["Paris: 18", "東京: 9:41", "Lyon: 21"]


def results(said: Said, number: int) -> dict[str, str]:
    """The results of the calls of a reply, of which the first is the `number`th of all."""
    return {use.id: RESULTS[number + at] for at, use in enumerate(said.calls)}


def converse(talk: Talk) -> tuple[list[Said], Said]:
    """The replies with calls, three in all, and the last one."""
    turns, given = [talk.turn("Weather in Paris and Lyon, time in Tokyo?")], 0
    while given < len(GIVEN):
        turns.append(talk.give(results(turns[-1], given)))
        given += len(turns[-2].calls)
    return turns[:-1], turns[-1]


def calling(target: str, stream: bool) -> list[Play]:
    """Two calls at once, or one after the other where there is no more in a reply; one more."""
    alone = [[TOKYO]] if target in ONE_CALL else []
    first = [v.text("Looking."), PARIS, *([] if alone else [TOKYO])]
    turns = [answer(target, *t, stop="tool_use", stream=stream) for t in (first, *alone, [LYON])]
    return [*turns, answer(target, v.text("Mild."), stream=stream)]


# -- what a provider was told, in one shape: (calls, results) with ids made equal -------------


def told(target: str, body: Json) -> tuple[list[tuple[str, Json]], list[str]]:
    """The calls (name, arguments) and the results, each under the id of its call."""
    found = HISTORIES[words(target)](body)
    ids = [id_ for id_, _, _ in found[0]]
    assert len(set(ids)) == len(ids), ids
    assert [id_ for id_, _ in found[1]] == ids, "each result belongs to its call"
    return [(name, given) for _, name, given in found[0]], [said for _, said in found[1]]


History = tuple[list[tuple[str, str, Json]], list[tuple[str, str]]]


def _oai(body: Json) -> History:
    messages = body["messages"]
    calls = [c for m in messages for c in m.get("tool_calls") or ()]
    uses = [(c["id"], c["function"]["name"], json.loads(c["function"]["arguments"])) for c in calls]
    said = [(m["tool_call_id"], _text(m["content"])) for m in messages if m["role"] == "tool"]
    return uses, said


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(p["text"] if "text" in p else p["document"]["data"] for p in content)


def _claude(body: Json) -> History:
    blocks = [b for m in body["messages"] if isinstance(m["content"], list) for b in m["content"]]
    uses = [(b["id"], b["name"], b["input"]) for b in blocks if b["type"] == "tool_use"]
    said = [(b["tool_use_id"], _text(b["content"])) for b in blocks if b["type"] == "tool_result"]
    return uses, said


def _resp(body: Json) -> History:
    items = body["input"]
    calls = [i for i in items if i.get("type") == "function_call"]
    outputs = [i for i in items if i.get("type") == "function_call_output"]
    return (
        [(i["call_id"], i["name"], json.loads(i["arguments"])) for i in calls],
        [(i["call_id"], _text(i["output"])) for i in outputs],
    )


def _gem(body: Json) -> History:
    parts = [p for c in body["contents"] for p in c["parts"]]
    calls = [p["functionCall"] for p in parts if "functionCall" in p]
    said = [p["functionResponse"] for p in parts if "functionResponse" in p]
    return (
        [(c.get("id") or str(n), c["name"], c["args"]) for n, c in enumerate(calls)],
        [(r.get("id") or str(n), r["response"]["output"]) for n, r in enumerate(said)],
    )


def _rock(body: Json) -> History:
    requests.bedrock_converse(json.dumps(body).encode())
    blocks = [b for m in body["messages"] for b in m["content"]]
    uses = [b["toolUse"] for b in blocks if "toolUse" in b]
    said = [b["toolResult"] for b in blocks if "toolResult" in b]
    return (
        [(u["toolUseId"], u["name"], u["input"]) for u in uses],
        [(r["toolUseId"], _text(r["content"])) for r in said],
    )


def _oll(body: Json) -> History:
    requests.ollama(json.dumps(body).encode())
    messages = body["messages"]
    calls = [c for m in messages for c in m.get("tool_calls") or ()]
    said = [m for m in messages if m["role"] == "tool"]
    assert [m["tool_name"] for m in said] == [c["function"]["name"] for c in calls]
    functions = [c["function"] for c in calls]
    uses = [(str(n), f["name"], f["arguments"]) for n, f in enumerate(functions)]
    return uses, [(str(n), m["content"]) for n, m in enumerate(said)]


def _coh(body: Json) -> History:
    requests.cohere_v2(json.dumps(body).encode())
    return _oai(body)


def _oci(body: Json) -> History:
    requests.oci(json.dumps(body).encode())
    messages = body["chatRequest"]["messages"]
    calls = [c for m in messages for c in m.get("toolCalls", ())]
    said = [(m["toolCallId"], _text(m["content"])) for m in messages if m["role"] == "TOOL"]
    return [(c["id"], c["name"], json.loads(c["arguments"])) for c in calls], said


def _wat(body: Json) -> History:
    requests.watsonx(json.dumps(body).encode())
    return _oai(body)


def _one_call(body: Json) -> History:
    """Calls and results without ids: each result directly follows its call."""
    messages = body["messages"]
    calls = [(n, m["function_call"]) for n, m in enumerate(messages) if "function_call" in m]
    said = [(n - 1, m) for n, m in enumerate(messages) if m["role"] == "function"]
    assert [(n, c["name"]) for n, c in calls] == [(n, m["name"]) for n, m in said]
    return (
        [(str(n), c["name"], _object(c["arguments"])) for n, c in calls],
        [(str(n), _output(m["content"])) for n, m in said],
    )


def _object(arguments: Any) -> Json:
    given: Json = json.loads(arguments) if isinstance(arguments, str) else arguments
    return given


def _output(content: str) -> str:
    return str(json.loads(content)["output"]) if content.startswith("{") else content


def _giga(body: Json) -> History:
    requests.gigachat(json.dumps(body).encode())
    assert all(isinstance(m["content"], str) for m in body["messages"])
    return _one_call(body)


def _qian(body: Json) -> History:
    requests.ernie_v1(json.dumps(body).encode())
    return _one_call(body)


HISTORIES = {
    "oai": _oai, "claude": _claude, "resp": _resp, "gem": _gem, "rock": _rock, "coh": _coh,
    "oll": _oll, "oci": _oci, "wat": _wat, "giga": _giga, "qian": _qian,
}  # fmt: skip


def schemas(target: str, body: Json) -> dict[str, Json]:
    """The tools a provider was told of, by name."""
    match words(target):
        case "giga" | "qian":
            return {t["name"]: t["parameters"] for t in body["functions"]}
        case "oai" | "coh" | "oll" | "wat":
            return {t["function"]["name"]: t["function"]["parameters"] for t in body["tools"]}
        case "claude":
            return {t["name"]: t["input_schema"] for t in body["tools"]}
        case "resp":
            return {t["name"]: t["parameters"] for t in body["tools"]}
        case "oci":
            return {t["name"]: t["parameters"] for t in body["chatRequest"]["tools"]}
        case "gem":
            declared = body["tools"][0]["functionDeclarations"]
            forms = ("parametersJsonSchema", "parameters_json_schema")  # Google reads either
            return {t["name"]: next(t[form] for form in forms if form in t) for t in declared}
        case _:
            specs = [t["toolSpec"] for t in body["toolConfig"]["tools"]]
            return {t["name"]: t["inputSchema"]["json"] for t in specs}


@every_face
@every_target
@streamed_or_not
def test_parallel_tools_over_three_turns(
    call: Mapping[str, Caller], behind: Mapping[str, Vendor],
    face: str, target: str, stream: bool,
) -> None:  # fmt: skip
    up = behind[target].plays(*calling(target, stream))
    turns, last = converse(call[face](model=PRICED[target], stream=stream, tools=True))
    assert {said.stop for said in turns} == {"tool"}
    assert [(u.name, u.given) for said in turns for u in said.calls] == GIVEN
    assert turns[0].text == "Looking."
    assert (last.text, last.stop) == ("Mild.", "end")
    body = up.asked[-1]
    assert told(target, body) == (GIVEN, RESULTS)
    if target == "giga":
        states = [m["functions_state_id"] for m in body["messages"] if "function_call" in m]
        assert states == [near.gigachat_state(use) for use in (PARIS, TOKYO, LYON)]
    found = schemas(target, body)
    assert list(found) == ["weather", "time"]
    assert found["weather"] == TOOL


# -- proofs ---------------------------------------------------------------------------------

PROOFS = ("EqQBCgIYAhIM1gbcDa9GJwZA2b3h+/A=", "Zm9yIHRoZSBzZWNvbmQgdHVybg/+")
SIGNERS = ("claude", "rock", "inv", "vex", "resp")
THINKS: Mapping[str, Json] = {
    "openai-chat": {"reasoning_effort": "medium"},
    "openai-responses": {"reasoning": {"effort": "medium", "summary": "auto"}},
    "anthropic": {"thinking": {"type": "enabled", "budget_tokens": 2048}},
    "gemini": {"thinking_config": {"thinking_budget": 2048, "include_thoughts": True}},
}


def proofs(target: str, body: Json) -> list[tuple[str, str]]:
    """The (thought, proof) pairs that a provider was given back."""
    match words(target):
        case "resp":
            items = [i for i in body["input"] if i.get("type") == "reasoning"]
            return [(i["summary"][0]["text"], i["encrypted_content"]) for i in items]
        case "claude":
            turns = [m["content"] for m in body["messages"] if m["role"] == "assistant"]
            blocks = [b for turn in turns for b in turn if b["type"] == "thinking"]
            return [(b["thinking"], b["signature"]) for b in blocks]
        case _:
            turns = [m["content"] for m in body["messages"] if m["role"] == "assistant"]
            told = [b["reasoningContent"] for t in turns for b in t if "reasoningContent" in b]
            return [(b["reasoningText"]["text"], b["reasoningText"]["signature"]) for b in told]


@every_face
@pytest.mark.parametrize("target", SIGNERS)
@streamed_or_not
def test_row15_signed_thinking_survives_three_turns(
    call: Mapping[str, Caller], behind: Mapping[str, Vendor],
    face: str, target: str, stream: bool,
) -> None:  # fmt: skip
    thoughts = [v.thinking("Paris first.\nThen ü.", PROOFS[0]), v.thinking("Lyon.", PROOFS[1])]
    up = behind[target].plays(
        answer(target, thoughts[0], PARIS, TOKYO, stop="tool_use", stream=stream),
        answer(target, thoughts[1], LYON, stop="tool_use", stream=stream),
        answer(target, v.text("Mild."), stream=stream),
    )
    talk = call[face](model=PRICED[target], stream=stream, tools=True, **THINKS[face])
    turns, last = converse(talk)
    assert [said.thoughts for said in turns] == ["Paris first.\nThen ü.", "Lyon."]
    assert last.text == "Mild."
    first, second = ((t["thinking"], t["signature"]) for t in thoughts)
    assert proofs(target, up.asked[1]) == [first]
    assert proofs(target, up.asked[2]) == [first, second]
    assert told(target, up.asked[2]) == (GIVEN, RESULTS)


@every_face
@streamed_or_not
def test_row16_gemini_thought_signatures_survive_every_client(
    call: Mapping[str, Caller], behind: Mapping[str, Vendor], face: str, stream: bool
) -> None:
    """The first call of a step is signed; whoever asks gives the signature back."""
    signed = [{**PARIS, "signature": PROOFS[0]}, TOKYO]
    up = behind["gem"].plays(
        answer("gem", *signed, stop="tool_use", stream=stream),
        answer("gem", {**LYON, "signature": PROOFS[1]}, stop="tool_use", stream=stream),
        answer("gem", v.text("Mild."), stream=stream),
    )
    _, last = converse(call[face](model=PRICED["gem"], stream=stream, tools=True))
    assert last.text == "Mild."
    parts = [p for c in up.asked[2]["contents"] for p in c["parts"] if "functionCall" in p]
    given = [p.get("thoughtSignature") for p in parts]
    assert [g and _bytes(g) for g in given] == [_bytes(PROOFS[0]), None, _bytes(PROOFS[1])]
    assert told("gem", up.asked[2]) == (GIVEN, RESULTS)


def _bytes(signature: str) -> bytes:
    """What a signature says: clients may change the alphabet of its base64."""
    return base64.b64decode(signature.translate(str.maketrans("-_", "+/")), validate=True)


ALIKE = {"claude": {"rock", "inv", "vex"}, "gem": {"vert"}}
"""A cloud's Claude reads what Anthropic's has signed, and its Gemini what Gemini's has."""


@every_face
def test_row15_proofs_stay_with_their_maker(
    call: Mapping[str, Caller], behind: Mapping[str, Vendor], face: str
) -> None:
    """The conversation moves to another provider: it goes on, and no proof goes along."""
    makers = {
        "claude": [v.thinking("Hm.", PROOFS[0]), PARIS],
        "gem": [{**PARIS, "signature": PROOFS[0]}],
        "resp": [v.thinking("Hm.", PROOFS[0]), PARIS],
    }
    for maker, blocks in makers.items():
        for other in sorted(PRICED.keys() - {maker} - ALIKE.get(maker, set())):
            behind[maker].plays(answer(maker, *blocks, stop="tool_use"))
            up = behind[other].plays(answer(other, v.text("Mild.")))
            talk = call[face](model=PRICED[maker], stream=False, tools=True)
            said = talk.turn("Weather in Paris?")
            talk.model = PRICED[other]
            assert talk.give(results(said, 0)).text == "Mild."
            sent = up.book[0].body.decode()
            assert PROOFS[0] not in sent
            assert _url(PROOFS[0]) not in sent
            assert "octoplex" not in sent
            assert told(other, up.asked[0]) == (GIVEN[:1], RESULTS[:1])


def _url(proof: str) -> str:
    return proof.translate(str.maketrans("+/", "-_")).rstrip("=")
