"""One conversation as each face's own SDK has it: ask, read, give back, go on.

    talk = call["gemini"](model="gem/gemini-3-flash-preview", stream=True, tools=True)
    said = talk.turn("Weather in Paris?")
    said = talk.give({call.id: "18" for call in said.calls})

What the SDK gave back is what goes into the next turn, so whatever it loses is lost. `ask` are
further arguments in the SDK's own words.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import anthropic
import httpx2
import openai
from google import genai
from google.genai import types

from tests.sdk.house import KEYS

TOOL: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
NAMES = ("weather", "time")
LIMIT = 8192
CHAT_STOPS = {"stop": "end", "length": "length", "tool_calls": "tool"}
CLAUDE_STOPS = {"end_turn": "end", "max_tokens": "length", "tool_use": "tool"}
GEMINI_STOPS = {"STOP": "end", "MAX_TOKENS": "length"}


@dataclass
class Use:
    """A tool call as the SDK shows it."""

    id: str
    name: str
    given: dict[str, Any]


@dataclass
class Said:
    """One reply. `stop` is end, length, tool or the SDK's own word; `raw` its own object."""

    text: str
    stop: str
    usage: tuple[int, int]
    calls: list[Use] = field(default_factory=list)
    thoughts: str = ""
    raw: Any = None


class Talk(Protocol):
    """A conversation. `model` may change on the way."""

    model: str

    def turn(self, text: str) -> Said:
        """Say something as the user."""
        ...

    def give(self, results: Mapping[str, str]) -> Said:
        """Give the results of the last reply's calls, by id."""
        ...


Caller = Callable[..., Talk]


class ChatTalk:
    """`client.chat.completions` of the `openai` package."""

    def __init__(
        self, sdk: openai.OpenAI, *, model: str, stream: bool, tools: bool = False, **ask: Any
    ) -> None:
        self._sdk, self.model, self._stream = sdk, model, stream
        self._asked = {"max_completion_tokens": LIMIT, **ask}
        if tools:
            self._asked["tools"] = [
                {"type": "function", "function": {"name": name, "parameters": TOOL}}
                for name in NAMES
            ]
        self.messages: list[Any] = []

    def turn(self, text: str) -> Said:
        self.messages.append({"role": "user", "content": text})
        return self._say()

    def give(self, results: Mapping[str, str]) -> Said:
        for id_, result in results.items():
            self.messages.append({"role": "tool", "tool_call_id": id_, "content": result})
        return self._say()

    def _say(self) -> Said:
        asked: Any = {**self._asked, "model": self.model, "messages": self.messages}
        if self._stream:
            usage = {"include_usage": True}
            with self._sdk.chat.completions.stream(**asked, stream_options=usage) as events:
                events.until_done()
                got: Any = events.current_completion_snapshot
        else:
            got = self._sdk.chat.completions.create(**asked)
        choice = got.choices[0]
        message = choice.message
        self.messages.append(message.model_dump(exclude_none=True))
        return Said(
            message.content or "",
            CHAT_STOPS.get(choice.finish_reason, choice.finish_reason),
            (got.usage.prompt_tokens, got.usage.completion_tokens),
            [
                Use(c.id, c.function.name, json.loads(c.function.arguments))
                for c in message.tool_calls or ()
            ],
            (message.model_extra or {}).get("reasoning_content") or "",
            got,
        )


class ResponsesTalk:
    """`client.responses` of the `openai` package, which keeps its own history."""

    def __init__(
        self, sdk: openai.OpenAI, *, model: str, stream: bool, tools: bool = False, **ask: Any
    ) -> None:
        self._sdk, self.model, self._stream = sdk, model, stream
        self._asked = {
            "max_output_tokens": LIMIT,
            "store": False,
            "include": ["reasoning.encrypted_content"],
            **ask,
        }
        if tools:
            self._asked["tools"] = [
                {"type": "function", "name": name, "parameters": TOOL, "strict": False}
                for name in NAMES
            ]
        self.input: list[Any] = []

    def turn(self, text: str) -> Said:
        self.input.append({"role": "user", "content": text})
        return self._say()

    def give(self, results: Mapping[str, str]) -> Said:
        for id_, result in results.items():
            self.input.append({"type": "function_call_output", "call_id": id_, "output": result})
        return self._say()

    def _say(self) -> Said:
        asked: Any = {**self._asked, "model": self.model, "input": self.input}
        if self._stream:
            with self._sdk.responses.stream(**asked) as events:
                got: Any = _last(events)
        else:
            got = self._sdk.responses.create(**asked)
        own = {"parsed_arguments", "parsed"}
        self.input += [
            item.model_dump(
                exclude_none=True, exclude=own if item.type == "function_call" else None
            )
            for item in got.output
        ]
        calls = [i for i in got.output if i.type == "function_call"]
        thoughts = [i for i in got.output if i.type == "reasoning"]
        cut = got.incomplete_details and got.incomplete_details.reason == "max_output_tokens"
        return Said(
            got.output_text,
            "length" if cut else "tool" if calls else "end" if got.status == "completed" else "",
            (got.usage.input_tokens, got.usage.output_tokens),
            [Use(c.call_id, c.name, json.loads(c.arguments)) for c in calls],
            "".join(s.text for i in thoughts for s in i.summary),
            got,
        )


def _last(events: Any) -> Any:
    """The response of the terminal event; the helper gives none of an incomplete one."""
    last = None
    for event in events:
        if event.type in ("response.completed", "response.incomplete"):
            last = event.response
    assert last is not None, "it never ended"
    return last


class MessagesTalk:
    """`client.messages` of the `anthropic` package."""

    def __init__(
        self, sdk: anthropic.Anthropic, *, model: str, stream: bool, tools: bool = False, **ask: Any
    ) -> None:
        self._sdk, self.model, self._stream = sdk, model, stream
        self._asked = {"max_tokens": LIMIT, **ask}
        if tools:
            self._asked["tools"] = [{"name": name, "input_schema": TOOL} for name in NAMES]
        self.messages: list[Any] = []

    def turn(self, text: str) -> Said:
        self.messages.append({"role": "user", "content": text})
        return self._say()

    def give(self, results: Mapping[str, str]) -> Said:
        content = [
            {"type": "tool_result", "tool_use_id": id_, "content": result}
            for id_, result in results.items()
        ]
        self.messages.append({"role": "user", "content": content})
        return self._say()

    def _say(self) -> Said:
        asked: Any = {**self._asked, "model": self.model, "messages": self.messages}
        if self._stream:
            with self._sdk.messages.stream(**asked) as events:
                got: Any = events.get_final_message()
        else:
            got = self._sdk.messages.create(**asked)
        self.messages.append({"role": "assistant", "content": got.content})
        kinds: dict[str, list[Any]] = {}
        for block in got.content:
            kinds.setdefault(block.type, []).append(block)
        return Said(
            "".join(b.text for b in kinds.get("text", ())),
            CLAUDE_STOPS.get(got.stop_reason, got.stop_reason),
            (got.usage.input_tokens, got.usage.output_tokens),
            [Use(b.id, b.name, b.input) for b in kinds.get("tool_use", ())],
            "".join(b.thinking for b in kinds.get("thinking", ())),
            got,
        )


class GeminiTalk:
    """`client.models` of the `google-genai` package. A call without id goes by its name."""

    def __init__(
        self, sdk: genai.Client, *, model: str, stream: bool, tools: bool = False, **ask: Any
    ) -> None:
        self._sdk, self.model, self._stream = sdk, model, stream
        declared = [
            types.FunctionDeclaration(name=name, parameters_json_schema=TOOL) for name in NAMES
        ]
        more: Any = {"tools": [types.Tool(function_declarations=declared)]} if tools else {}
        self._config = types.GenerateContentConfig(max_output_tokens=LIMIT, **more, **ask)
        self.contents: list[types.Content] = []
        self._uses: dict[str, types.FunctionCall] = {}

    def turn(self, text: str) -> Said:
        self.contents.append(types.Content(role="user", parts=[types.Part(text=text)]))
        return self._say()

    def give(self, results: Mapping[str, str]) -> Said:
        parts = []
        for id_, result in results.items():
            use = self._uses[id_]
            told = types.FunctionResponse(id=use.id, name=use.name, response={"output": result})
            parts.append(types.Part(function_response=told))
        self.contents.append(types.Content(role="user", parts=parts))
        return self._say()

    def _say(self) -> Said:
        asked: Any = {"model": self.model, "contents": self.contents, "config": self._config}
        if self._stream:
            got = list(self._sdk.models.generate_content_stream(**asked))
        else:
            got = [self._sdk.models.generate_content(**asked)]
        parts = [p for g in got for c in g.candidates or () for p in _parts(c)]
        self.contents.append(types.Content(role="model", parts=parts))
        last = got[-1].candidates[0]  # type: ignore[index]
        uses = [p.function_call for p in parts if p.function_call]
        self._uses = {use.id or use.name or "": use for use in uses}
        usage: Any = got[-1].usage_metadata
        stop = last.finish_reason.value if last.finish_reason else ""
        thoughts = usage.thoughts_token_count or 0
        return Said(
            "".join(p.text for p in parts if p.text and not p.thought),
            "tool" if uses else GEMINI_STOPS.get(stop, stop),
            (usage.prompt_token_count, (usage.candidates_token_count or 0) + thoughts),
            [Use(id_, use.name or "", use.args or {}) for id_, use in self._uses.items()],
            "".join(p.text for p in parts if p.text and p.thought),
            got,
        )


def _parts(candidate: types.Candidate) -> list[types.Part]:
    return (candidate.content.parts if candidate.content else None) or []


@dataclass(frozen=True)
class Sdks:
    """A client of each SDK; one of `openai` does for both of its faces."""

    gpt: openai.OpenAI
    claude: anthropic.Anthropic
    google: genai.Client


def made(
    url: str, transport: httpx2.BaseTransport, *, key: str = KEYS["app"], version: str | None = None
) -> Sdks:
    """Clients whose requests go to `url` over `transport`, without retries of their own.

    `version` is Google's, in the path; None: what its package takes by itself.
    """
    http = httpx2.Client(transport=transport)
    return Sdks(
        openai.OpenAI(api_key=key, base_url=f"{url}/v1", max_retries=0, http_client=http),
        anthropic.Anthropic(api_key=key, base_url=url, max_retries=0, http_client=http),
        genai.Client(
            api_key=key,
            http_options=types.HttpOptions(base_url=url, httpx_client=http, api_version=version),
        ),
    )


def callers(sdks: Sdks) -> Mapping[str, Caller]:
    """What makes a conversation on each face."""
    return {
        "openai-chat": lambda **ask: ChatTalk(sdks.gpt, **ask),
        "openai-responses": lambda **ask: ResponsesTalk(sdks.gpt, **ask),
        "anthropic": lambda **ask: MessagesTalk(sdks.claude, **ask),
        "gemini": lambda **ask: GeminiTalk(sdks.google, **ask),
    }
