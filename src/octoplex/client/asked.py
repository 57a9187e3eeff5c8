"""What a caller of `chat` says, written as the body of a Chat request.

Both ways to a gateway send this one body, so a request means the same in process as over
HTTP. A text is a user's turn; turns are `Message`s, replies, or dicts as OpenAI has them.

Reference: https://platform.openai.com/docs/api-reference/chat/create
"""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Literal, TypedDict

import msgspec

from octoplex.client.reply import ChatReply
from octoplex.dialects.expression import Omissions
from octoplex.dialects.openai_chat.messages import write_messages
from octoplex.dialects.words import WORDS
from octoplex.wire.chat import Effort, Message, Tool

Turn = Message | ChatReply | Mapping[str, Any]
Conversation = str | Sequence[Turn]
JsonObject = Mapping[str, Any]

_ECHOED = frozenset({"echo_reasoning_details", "cache_control"})
_CHOICES = ("auto", "none", "required")


class Options(TypedDict, total=False):
    """What else may be asked of `chat`.

    `format` is "json" or a JSON Schema. A tool is a `Tool`, `{"name", "description",
    "parameters"}` or OpenAI's own shape; `tool_choice` is auto, none, required or a tool's
    name. `timeout_s` is how long the whole answer may take. `extra` holds further members of
    the request, passed on as they are.
    """

    system: str
    max_tokens: int
    temperature: float
    top_p: float
    stop: str | Sequence[str]
    seed: int
    tools: Sequence[Tool | JsonObject]
    tool_choice: str | JsonObject
    parallel_tools: bool
    format: Literal["json"] | JsonObject
    thinking: Effort
    user: str
    metadata: JsonObject
    timeout_s: float
    extra: JsonObject


_SAME = ("max_tokens", "temperature", "top_p", "stop", "seed", "user", "metadata")


def write_body(model: str, messages: Conversation, stream: bool, options: Options) -> bytes:
    """Write the body.

    Raises:
        TypeError: an option that `chat` does not have.
        Unsupported: a part of a turn that the Chat dialect cannot express.
    """
    for name in options:
        if name not in Options.__annotations__:
            near = get_close_matches(name, Options.__annotations__, 1)
            hint = f"did you mean {near[0]!r}?" if near else "put it into extra={...}."
            raise TypeError(f"chat() has no option {name!r}; {hint}")
    body: dict[str, Any] = {"model": model, "messages": _turns(messages, options.get("system"))}
    for name in _SAME:
        if name in options:
            body[name] = options[name]  # type: ignore[literal-required]
    _put_tools(body, options)
    if "format" in options:
        body["response_format"] = _format(options["format"])
    if "thinking" in options:
        body["reasoning_effort"] = options["thinking"]
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return msgspec.json.encode(body | dict(options.get("extra", {})))


def _turns(messages: Conversation, system: str | None) -> list[JsonObject]:
    written: list[JsonObject] = []
    if system is not None:
        written.append({"role": "system", "content": system})
    if isinstance(messages, str):
        return [*written, {"role": "user", "content": messages}]
    omissions = Omissions("openai-chat", WORDS["openai-chat"], drop_unsupported=False)
    for turn in messages:
        if isinstance(turn, Mapping):
            written.append(turn)
        else:
            message = turn.message if isinstance(turn, ChatReply) else turn
            written += write_messages([message], _ECHOED, omissions)
    return written


def _put_tools(body: dict[str, Any], options: Options) -> None:
    if "tools" in options:
        body["tools"] = [_tool(tool) for tool in options["tools"]]
    if "tool_choice" in options:
        choice = options["tool_choice"]
        if isinstance(choice, str) and choice not in _CHOICES:
            choice = {"type": "function", "function": {"name": choice}}
        body["tool_choice"] = choice
    if "parallel_tools" in options:
        body["parallel_tool_calls"] = options["parallel_tools"]


def _tool(tool: Tool | JsonObject) -> JsonObject:
    if isinstance(tool, Tool):
        members = {
            "name": tool.name,
            "description": tool.description,
            "parameters": tool.schema,
            "strict": tool.strict,
        }
        tool = {name: value for name, value in members.items() if value is not None}
    return tool if "type" in tool else {"type": "function", "function": tool}


def _format(form: Literal["json"] | JsonObject) -> JsonObject:
    if form == "json":
        return {"type": "json_object"}
    if isinstance(form, str):
        raise TypeError(f'format is "json" or a JSON Schema, not {form!r}')
    if form.get("type") in ("json_schema", "json_object", "text"):
        return form
    return {"type": "json_schema", "json_schema": {"name": "reply", "schema": form}}
