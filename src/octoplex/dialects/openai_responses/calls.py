"""Calls of tools that the caller runs, of whatever kind: functions, custom ones, shells, patches.

    called(item)      -> the tool's name, and its arguments as JSON
    forms_of(tools)   -> how a reply to a request with these tools writes its calls

Elsewhere each is a tool called by its name with an object: a custom tool's text is its `input`.

Reference: https://developers.openai.com/api/docs/guides/function-calling (custom tools)
"""

import re
from collections.abc import Mapping

import msgspec
from msgspec import Raw, Struct

from octoplex.dialects.broken import named
from octoplex.dialects.members import UNREADABLE
from octoplex.dialects.openai_chat.shapes import FunctionPiece
from octoplex.dialects.openai_chat.toolcalls import arguments_of
from octoplex.dialects.openai_responses.namespaces import spaces_of
from octoplex.dialects.openai_responses.shapes import ItemWire

CUSTOM = "custom_tool_call"
OF_ONE_TOOL = {
    "local_shell_call": ("local_shell", "action"),
    "shell_call": ("shell", "action"),
    "computer_call": ("computer", "action"),
    "apply_patch_call": ("apply_patch", "operation"),
}
"""Kinds of calls -> the tool's name, and the member it is called with."""
CALLS = frozenset({"function_call", CUSTOM, *OF_ONE_TOOL})
PREFIX = {
    CUSTOM: "ctc",
    "local_shell_call": "lsh",
    "shell_call": "sh",
    "computer_call": "cu",
    "apply_patch_call": "apc",
}
"""Of the ids of such items, which the API looks at when they are sent back."""
Forms = Mapping[str, dict[str, object]]
"""A tool's name -> how the item of a call says which one it is, where that is not by its name."""


class _Tool(Struct):
    type: str
    name: str = ""


_OF_TOOL = {name: kind for kind, (name, _) in OF_ONE_TOOL.items()} | {
    "computer_use_preview": "computer_call"
}
_OWN = re.compile(rb'"(?:custom|%b)"' % "|".join(_OF_TOOL).encode()).search
_tools = msgspec.json.Decoder(list[_Tool]).decode
_object = msgspec.json.Decoder(dict[str, Raw]).decode
_json = msgspec.json.Encoder().encode


def called(item: ItemWire) -> tuple[str, str]:
    """The tool that an item of `CALLS` calls, and its arguments as JSON.

    Raises:
        UpstreamBroken: it has no name.
    """
    if item.type in OF_ONE_TOOL:
        name, member = OF_ONE_TOOL[item.type]
        return name, msgspec.json.format(bytes(getattr(item, member)) or b"{}", indent=-1).decode()
    if item.type == CUSTOM:
        return named(item.name), _json({"input": item.input or Raw(b'""')}).decode()
    return named(item.name), arguments_of(FunctionPiece(None, item.arguments))


def forms_of(tools: Raw | None) -> Forms:
    """How calls of a request's tools are written: those in a namespace, and those of own kinds."""
    forms: dict[str, dict[str, object]] = {}
    if tools is None:
        return forms
    for name, (space, own) in spaces_of(tools).items():
        forms[name] = {"name": own, "namespace": space}
    if _OWN(bytes(tools)):
        try:
            read = _tools(tools)
        except UNREADABLE:
            return forms
        for tool in read:
            if tool.type == "custom":
                forms[tool.name] = {"type": CUSTOM, "name": tool.name}
            elif tool.type in _OF_TOOL:
                kind = _OF_TOOL[tool.type]
                forms[OF_ONE_TOOL[kind][0]] = {"type": kind}
    return forms


def in_kind(kind: str, arguments: str) -> dict[str, object]:
    """The members that say what a tool of an own kind is called with."""
    member = "input" if kind == CUSTOM else OF_ONE_TOOL[kind][1]
    try:
        said = _object(arguments or "{}")
    except UNREADABLE:
        return {member: arguments}
    return {member: said.get("input", "") if kind == CUSTOM else said}
