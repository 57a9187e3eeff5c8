"""A target that cannot take what is asked is passed over, before it costs anything."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.server import provider
from tests.server.conftest import Run
from tests.server.gate import Gate, question, route
from tests.server.test_mending import rows
from tests.upstream_server import Upstream, says

Json = dict[str, Any]
PNG = "iVBORw0KGgo="


def turn(*content: Any) -> list[Json]:
    return [{"role": "user", "content": [*content, {"type": "text", "text": "q"}]}]


SHOWN = turn({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}})
HEARD = turn({"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}})
BEGUN = [*turn(), {"role": "assistant", "content": "A"}]
FILE = {"type": "document", "source": {"type": "file", "file_id": "file_011"}}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}

CASES: dict[str, tuple[str, Json, str, str]] = {
    # What is asked; who cannot take it, and who can.
    "an image, verbatim": ("chat/completions", {"messages": SHOWN}, "groq/openai/gpt-oss-20b",
                           "openai/gpt-4o"),
    "tools, verbatim": ("chat/completions", {"tools": [TOOL]}, "openai/o1-mini", "openai/gpt-4o"),
    "sound": ("chat/completions", {"messages": HEARD}, "anthropic/claude-sonnet-4-5",
              "openai/gpt-audio"),
    "a document of its own": ("messages", {"messages": turn(FILE)}, "openai/gpt-4o",
                                  "anthropic/claude-sonnet-4-5"),
    "how many answers": ("chat/completions", {"n": 2}, "anthropic/claude-sonnet-4-5",
                         "openai/gpt-4o"),
    # https://platform.claude.com/docs/en/about-claude/models/migration-guide
    "a turn to go on from, verbatim": ("messages", {"messages": BEGUN},
                                       "anthropic/claude-opus-4-6", "anthropic/claude-sonnet-4-5"),
    "a turn to go on from": ("chat/completions", {"messages": BEGUN}, "anthropic/claude-opus-4-6",
                             "openai/gpt-4o"),
}  # fmt: skip


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("name", CASES)
def test_the_next_target_is_asked(tmp_path: Path, run: Run, name: str, stream: bool) -> None:
    path, members, first, second = CASES[name]
    face = "anthropic" if second.startswith("anthropic") else "openai-chat"
    play = provider.streamed(face) if stream else provider.whole(face)
    vendors = {target.partition("/")[0] for target in (first, second)}

    async def main() -> None:
        more = route("main", first, second)
        async with Upstream(play) as up, Gate(tmp_path, rows(up, *vendors, more=more)) as gate:
            reply = await gate.post(f"/v1/{path}", question("main", stream=stream, **members))
            assert reply.status == 200, reply.body
            (entry,) = up.book
            assert json.loads(entry.body)["model"] == second.partition("/")[2]
            (record,) = await gate.records(1)
            tried = [(row["target"], row["outcome"]) for row in record["attempts"]]
            assert tried == [(first, "unsupported"), (second, "done")]
            assert record["why"] == f"after {first} unsupported"
            passed, money = await gate.rows(2)
            assert (passed["state"], passed["nano"]) == ("released", 0)
            assert money["model"] == second.partition("/")[2]

    run(main())


def test_what_none_can_take_is_said_clearly_and_costs_nothing(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        targets = ("groq/openai/gpt-oss-20b", "groq/openai/gpt-oss-120b")
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, rows(up, "groq", more=route("main", *targets))) as gate,
        ):
            reply = await gate.post("/v1/chat/completions", question("main", messages=SHOWN))
            assert (reply.status, not up.book) == (400, True), reply.body
            error = reply.json["error"]
            assert (error["code"], error["param"]) == ("unsupported", "image_url.url")
            assert "this model is not shown images" in error["message"]
            assert (
                f"(tried 2: {targets[0]} unsupported, {targets[1]} unsupported)"
                in (error["message"])
            )

    run(main())


def test_alone_a_target_judges_itself(tmp_path: Path, run: Run) -> None:
    """Verbatim, and nobody else could be asked: what the catalogue says may be out of date."""

    async def main() -> None:
        up = Upstream(says(provider.chat_body()))
        more = route("lenient", "groq/openai/gpt-oss-20b", "openai/gpt-4o",
                     more="drop_unsupported = true")  # fmt: skip
        async with up, Gate(tmp_path, rows(up, "groq", "openai", more=more)) as gate:
            for model in ("groq/openai/gpt-oss-20b", "lenient"):
                reply = await gate.post("/v1/chat/completions", question(model, messages=SHOWN))
                assert reply.status == 200, reply.body
                sent = json.loads(up.book[-1].body)
                assert (sent["model"], sent["messages"]) == ("openai/gpt-oss-20b", SHOWN)

    run(main())
