"""Names of tools that cross to a dialect whose vendors take no such names.

    mcp__warehouse__... (71 letters)   ->   mcp__warehouse__..._1f3a9c02    told back as it came

Anthropic's callers may use 128 letters, Google's dots and colons; OpenAI and Bedrock answer 400 to
all but 64 letters, digits, "_" and "-". Such a name goes out cut, with a hash of all of it at its
end: the same in each turn, so that prompt caches hold. What the model calls by it has the caller's
name again before anybody here sees it.

Reference: https://platform.openai.com/docs/api-reference/chat/create,
https://platform.claude.com/docs/en/agents-and-tools/tool-use/overview,
https://ai.google.dev/api/caching#FunctionDeclaration and
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolSpecification.html

Not promised: names inside texts, such as a prompt that speaks of a tool.
"""

import re
from collections.abc import Mapping, Sequence
from hashlib import sha256

from msgspec.structs import replace

from octoplex.wire.chat import Chat, Message, Part, ToolCall
from octoplex.wire.event import Event, Reply, ToolStart, ToolUse

Names = Mapping[str, str]
NONE: Names = {}

_MOST_TAKE = re.compile(r"[A-Za-z0-9_-]{1,64}").fullmatch
_CLAUDE = re.compile(r"[A-Za-z0-9_-]{1,128}").fullmatch
_GEMINI = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}").fullmatch
_TAKEN = {
    "anthropic": _CLAUDE,
    "vertex-anthropic": _CLAUDE,
    "bedrock-anthropic": _CLAUDE,
    "gemini": _GEMINI,
    "vertex": _GEMINI,
}
_ODD = re.compile(r"[^A-Za-z0-9_-]")
_LEFT, _OF_HASH = 55, 8


def fitted(chat: Chat, dialect: str) -> tuple[Chat, Names]:
    """The request with names that the dialect takes, and what they stand for."""
    takes = _TAKEN.get(dialect, _MOST_TAKE)
    called = [p.use.name for m in chat.messages for p in m.parts if type(p) is ToolCall]
    used = dict.fromkeys([*(tool.name for tool in chat.tools), *called])
    new = {name: _short(name) for name in used if not takes(name)}
    if not new:
        return chat, NONE
    choice = chat.tool_choice
    if choice is not None and choice.name is not None:
        choice = replace(choice, name=new.get(choice.name, choice.name))
    chat = replace(
        chat,
        tools=tuple(replace(tool, name=new.get(tool.name, tool.name)) for tool in chat.tools),
        tool_choice=choice,
        messages=tuple(_turn(message, new) for message in chat.messages),
    )
    return chat, {short: name for name, short in new.items()}


def told_back(events: Sequence[Event], names: Names) -> Sequence[Event]:
    """The events with the caller's names."""
    return [
        replace(e, name=names.get(e.name, e.name)) if type(e) is ToolStart else e for e in events
    ]


def replied(reply: Reply, names: Names) -> Reply:
    """The reply with the caller's names."""
    blocks = (
        replace(b, name=names.get(b.name, b.name)) if type(b) is ToolUse else b
        for b in reply.blocks
    )
    return replace(reply, blocks=tuple(blocks)) if names else reply


def _turn(message: Message, new: Names) -> Message:
    def renamed(part: Part) -> Part:
        if type(part) is not ToolCall or part.use.name not in new:
            return part
        return replace(part, use=replace(part.use, name=new[part.use.name]))

    return replace(message, parts=tuple(map(renamed, message.parts)))


def _short(name: str) -> str:
    """A name that all take, the same for the same."""
    kept = _ODD.sub("_", name)[:_LEFT]
    kept = kept if kept[:1].isalpha() else f"_{kept}"[:_LEFT]
    return f"{kept}_{sha256(name.encode('utf-8', 'replace')).hexdigest()[:_OF_HASH]}"
