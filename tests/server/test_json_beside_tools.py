"""JSON that must come beside tools, at models that take only one of the two."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.sdk import others
from tests.sdk.vendors import text, use
from tests.server.conftest import Run
from tests.server.gate import PATHS, Gate, file, question
from tests.upstream_server import Upstream, says

SCHEMA = {"type": "object", "required": ["city"]}
FORMAT = {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}}
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
CALLED = others.gemini([use("c1", "f")], "tool_use")
SAID = others.gemini([text('{"city": "Oslo"}')], "end_turn")


@pytest.mark.parametrize(("model", "native"), [("gemini-2.5-flash", False), ("gemini-3-pro", True)])
def test_a_form_beside_tools(tmp_path: Path, run: Run, model: str, native: bool) -> None:
    """https://ai.google.dev/gemini-api/docs/structured-output#structured_outputs_with_tools"""

    async def main() -> None:
        async with Upstream(says(CALLED), says(SAID)) as up, Gate(tmp_path, file(gem=up)) as gate:
            body = question(f"gem/{model}", response_format=FORMAT, tools=TOOLS)
            called = await gate.post(PATHS["openai-chat"], body)
            message = called.json["choices"][0]["message"]
            assert message["tool_calls"][0]["function"]["name"] == "f"
            said = await gate.post(PATHS["openai-chat"], body)
            assert json.loads(said.json["choices"][0]["message"]["content"]) == {"city": "Oslo"}
            added = "" if native else "response_format"
            assert said.headers.get("x-octoplex-added", "") == added
            for entry in up.book:
                sent: dict[str, Any] = json.loads(entry.body)
                assert "functionDeclarations" in sent["tools"][0]
                assert ("responseMimeType" in sent["generationConfig"]) == native
                assert ("city" in json.dumps(sent.get("systemInstruction", ""))) != native

    run(main())
