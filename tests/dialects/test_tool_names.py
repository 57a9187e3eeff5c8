"""Names of tools that a dialect does not take, and their way back."""

import re

import pytest

from octoplex.assembly.dialects import dialects
from octoplex.dialects.tool_names import NONE, fitted, replied, told_back
from octoplex.wire.chat import Chat, Message, TextPart, Tool, ToolCall, ToolChoice, ToolResult
from octoplex.wire.event import NO_USAGE, Reply, Text, TextDelta, ToolStart, ToolUse

LONG = "mcp__warehouse__" + "list_directory_with_sizes_" * 3 + "v2"
DOTTED, DIGIT = "files.read:all", "3d_view"
TAKEN = {
    "anthropic": r"[a-zA-Z0-9_-]{1,128}",
    "vertex-anthropic": r"[a-zA-Z0-9_-]{1,128}",
    "bedrock-anthropic": r"[a-zA-Z0-9_-]{1,128}",
    "gemini": r"[A-Za-z_][A-Za-z0-9_.-]{0,63}",
    "vertex": r"[A-Za-z_][A-Za-z0-9_.-]{0,63}",
}


def asking(*names: str) -> Chat:
    use = ToolUse("c1", names[0], "{}")
    return Chat(
        model="m",
        messages=(
            Message("user", (TextPart(names[0]),)),
            Message("assistant", (TextPart("a"), ToolCall(use))),
            Message("user", (ToolResult("c1", (TextPart("r"),)),)),
        ),
        tools=tuple(Tool(name=name) for name in names),
        tool_choice=ToolChoice(mode="named", name=names[0]),
    )


def names_in(chat: Chat) -> list[str]:
    calls = [p.use.name for m in chat.messages for p in m.parts if isinstance(p, ToolCall)]
    assert chat.tool_choice is not None
    return [*(tool.name for tool in chat.tools), *calls, chat.tool_choice.name or ""]


@pytest.mark.parametrize("name", [LONG, DOTTED, DIGIT, "größe", "x" * 200, "7" * 70, "a b", "f"])
@pytest.mark.parametrize("dialect", dialects())
def test_every_name_is_one_that_the_dialect_takes(dialect: str, name: str) -> None:
    chat = asking(name, "g")
    sent, back = fitted(chat, dialect)
    (used,) = set(names_in(sent)) - {"g"}
    taken = re.compile(TAKEN.get(dialect, r"[a-zA-Z0-9_-]{1,64}"))
    assert taken.fullmatch(used)
    assert (used == name) == bool(taken.fullmatch(name)) == (back is NONE)
    assert back.get(used, used) == name
    assert fitted(chat, dialect) == (sent, back)
    assert sent.messages[0] == chat.messages[0]


def test_names_that_differ_at_their_ends_stay_apart() -> None:
    sent, back = fitted(asking(LONG + "_a", LONG + "_b"), "openai-chat")
    one, other = (tool.name for tool in sent.tools)
    assert one != other
    assert (back[one], back[other]) == (LONG + "_a", LONG + "_b")


def test_what_comes_back_has_the_callers_names() -> None:
    sent, back = fitted(asking(LONG), "openai-chat")
    used = sent.tools[0].name
    reply = Reply(
        id="r", model="m", stop="tool", usage=NO_USAGE,
        blocks=(Text(used), ToolUse("c", used, "{}"), ToolUse("d", "other", "{}")),
    )  # fmt: skip
    assert replied(reply, back).blocks == (
        Text(used),
        ToolUse("c", LONG, "{}"),
        ToolUse("d", "other", "{}"),
    )
    assert replied(reply, NONE) is reply
    events = [TextDelta("x"), ToolStart("c", used, 1), ToolStart("d", "other", 2)]
    assert told_back(events, back) == [
        TextDelta("x"),
        ToolStart("c", LONG, 1),
        ToolStart("d", "other", 2),
    ]
