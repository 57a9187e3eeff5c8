"""Vendors behind this dialect that think on after a tool call only with all of their thinking."""

import pytest

from tests.dialects.test_mending import BUDGET, OFF, USER, Json, sent

USE = {"type": "tool_use", "id": "c1", "name": "weather", "input": {}}
RESULT = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1"}]}


@pytest.mark.parametrize("model", ["deepseek/deepseek-v4-pro", "moonshot/kimi-k2.6"])
def test_a_loop_that_lacks_thinking_is_not_to_be_thought_about(model: str) -> None:
    """https://api-docs.deepseek.com/guides/thinking_mode#tool-calls

    400: `content[].thinking` in the thinking mode must be passed back.
    """
    hm: Json = {"type": "thinking", "thinking": "Hm.", "signature": ""}
    own = {"messages": [USER, {"role": "assistant", "content": [hm, USE]}, RESULT], **BUDGET}
    assert sent(model, own, "anthropic") == (own, [])
    pinned = {**hm, "signature": "octoplex:gemini:c2ln"}
    for before in ([], [pinned], [{**hm, "thinking": ""}]):
        loop = [USER, {"role": "assistant", "content": [*before, USE]}, RESULT]
        for asked in ({}, BUDGET):
            got = sent(model, {"messages": loop, **asked}, "anthropic")
            assert got == ({"messages": loop, **OFF}, ["thinking"])
        assert sent(model, {"messages": loop, **OFF}, "anthropic")[1] == []
    said = {"messages": [USER, {"role": "assistant", "content": "tool_use"}, USER], **BUDGET}
    assert sent(model, said, "anthropic") == (said, [])  # no tool was called
