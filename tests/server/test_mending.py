"""Chat callers at targets of their dialect that take some members otherwise (verbatim.md)."""

import json
from pathlib import Path
from typing import Any

from tests.server import provider
from tests.server.conftest import Run
from tests.server.gate import Gate, question, route
from tests.upstream_server import Upstream, says, streams

PATH = "/v1/chat/completions"


def rows(up: Upstream, *names: str, more: str = "") -> str:
    """Rows of the catalogue, each at the scripted server."""
    tables = [f"[providers.{n}]\nbase_url = '{up.url}'\napi_key = 'env:UP_KEY'" for n in names]
    return "\n".join(["[server]", *tables, more])


async def sent(gate: Gate, up: Upstream, body: bytes) -> tuple[dict[str, Any], str]:
    """What a request becomes, and what is named as left out."""
    reply = await gate.post(PATH, body)
    assert reply.status == 200, reply.body
    return json.loads(up.book[-1].body), reply.headers.get("x-octoplex-dropped", "")


def test_one_setting_on_a_route_over_vendors(tmp_path: Path, run: Run) -> None:
    """A route [gpt-5, mistral]: what the first target refuses does not reach the second."""
    targets = ("openai/gpt-5", "mistral/mistral-small-2603")
    turns = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    body = question(
        "main",
        messages=turns,
        reasoning_effort="low",
        seed=7,
        max_tokens=None,
        max_completion_tokens=50,
        user="u",
    )

    async def main() -> None:
        async with Upstream(provider.fails("openai-chat", 500), says(provider.chat_body())) as up:
            more = route("main", *targets, more="retry = { attempts = 1 }")
            async with Gate(tmp_path, rows(up, "openai", "mistral", more=more)) as gate:
                got, dropped = await sent(gate, up, body)
                first = json.loads(up.book[0].body)
                assert first["messages"] == turns
                assert (first["reasoning_effort"], first["max_completion_tokens"]) == ("low", 50)
                assert got == {
                    "model": "mistral-small-2603",
                    "messages": [{**turns[0], "role": "system"}, turns[1]],
                    "reasoning_effort": "high",
                    "random_seed": 7,
                    "max_tokens": 50,
                }
                assert dropped == "user"

    run(main())


def test_thinking_is_off_where_it_was_to_be_off(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        up = Upstream(says(provider.chat_body()))
        async with up, Gate(tmp_path, rows(up, "deepseek", "openai")) as gate:
            body = question("deepseek/deepseek-v4-pro", reasoning_effort="none")
            got, dropped = await sent(gate, up, body)
            assert (got["thinking"], dropped) == ({"type": "disabled"}, "")
            assert "reasoning_effort" not in got
            body = question("openai/gpt-5", reasoning_effort="none")
            got, dropped = await sent(gate, up, body)
            assert (got["reasoning_effort"], dropped) == ("minimal", "reasoning_effort")

    run(main())


def test_what_a_model_refuses_of_another_dialect(tmp_path: Path, run: Run) -> None:
    """https://developers.openai.com/api/docs/guides/latest-model#parameter-compatibility"""
    picture = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
    shown = [{"role": "user", "content": [{"type": "image", "source": picture}]}]

    async def main() -> None:
        up = Upstream(says(provider.chat_body()))
        more = route("lenient", "openai/gpt-5", more="drop_unsupported = true")
        async with up, Gate(tmp_path, rows(up, "openai", "groq", more=more)) as gate:
            for body, field in (
                (question("openai/gpt-5", temperature=0.3), "temperature"),
                (question("groq/openai/gpt-oss-20b", messages=shown), "image.source.data"),
            ):
                reply = await gate.post("/v1/messages", body)
                assert (reply.status, not up.book) == (400, True), reply.body
                assert f"`{field}`" in reply.json["error"]["message"]
            body = question("lenient", temperature=0.3, stop_sequences=["x"])
            reply = await gate.post("/v1/messages", body)
            assert reply.headers["x-octoplex-dropped"] == "stop_sequences, temperature"
            assert up.book[0].body.find(b"temperature") < 0

    run(main())


def test_think_tags_are_taken_out_of_verbatim_replies(tmp_path: Path, run: Run) -> None:
    said = ("<thi", "nk>Hm", ".</think>", "\n\nHi", "!")

    async def main() -> None:
        plays = says(provider.chat_body("".join(said))), streams(provider.chat_events(said))
        async with Upstream(*plays) as up, Gate(tmp_path, rows(up, "together")) as gate:
            model = "together/Qwen/Qwen3-8B"
            reply = await gate.post(PATH, question(model))
            message = reply.json["choices"][0]["message"]
            assert (message["reasoning_content"], message["content"]) == ("Hm.", "Hi!")
            reply = await gate.post(PATH, question(model, stream=True))
            deltas = [
                json.loads(line[6:])["choices"][0]["delta"]
                for line in reply.body.decode().split("\n")
                if line.startswith("data: {")
            ]
            assert "".join(d.get("reasoning_content", "") for d in deltas) == "Hm."
            assert "".join(d.get("content") or "" for d in deltas) == "Hi!"
            assert reply.body.split(b"\n\n:")[0].endswith(b"data: [DONE]")

    run(main())


def test_responses_and_gemini_ask_each_generation_in_its_words(tmp_path: Path, run: Run) -> None:
    """Verbatim too. That the provider refuses all the same is not what is looked at."""
    level = {"temperature": 1, "thinkingConfig": {"thinkingLevel": "LOW"}}
    said = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}], "generationConfig": level}

    async def main() -> None:
        up = Upstream(provider.fails("openai-chat", 400))
        async with up, Gate(tmp_path, rows(up, "openai", "gemini")) as gate:
            asked = {"model": "openai/gpt-5", "input": "Hi", "reasoning": {"effort": "none"}}
            await gate.post("/v1/responses", json.dumps(asked).encode())
            sent = json.loads(up.book[-1].body)
            assert (sent["model"], sent["reasoning"]) == ("gpt-5", {"effort": "minimal"})
            model = "gemini/gemini-2.5-flash"
            await gate.post(f"/v1beta/models/{model}:generateContent", json.dumps(said).encode())
            sent = json.loads(up.book[-1].body)
            assert sent["contents"] == said["contents"]
            thinking = {"thinkingBudget": 1_024}
            assert sent["generationConfig"] == {"temperature": 1, "thinkingConfig": thinking}

    run(main())
