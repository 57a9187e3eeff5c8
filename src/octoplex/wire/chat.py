"""The typed view of a chat request: what a `Call` means, in no provider's dialect.

It exists only when somebody must understand the request: a crossing between two
dialects, the guard, the Python client. A call that stays within its dialect never
builds one (`wire/ask.py`).

Fields are of three kinds, and `dialects/expression.py` holds the one table of them:
those every dialect has, those that change the answer (a target that cannot express
one refuses), and hints (dropped and named). Members that no kind knows are `extra`.
"""

from typing import Literal

from msgspec import Raw, Struct

from octoplex.wire.event import Refusal, Thinking, ToolUse

Role = Literal["system", "developer", "user", "assistant"]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


Beside = dict[str, Raw]
"""Members that only the caller's dialect has, as it wrote them; another's words lack them."""


class TextPart(Struct, frozen=True, tag_field="type", tag="text"):
    """Text; `cache` is the caller's cache breakpoint (Anthropic `cache_control`) as JSON."""

    text: str
    cache: Raw | None = None
    beside: Beside | None = None


class Media(Struct, frozen=True, tag_field="type", tag="media", kw_only=True):
    """An image, document or audio: `url`, base64 `data` with its `media_type`, or `file_id`."""

    kind: Literal["image", "document", "audio"]
    url: str | None = None
    data: str | None = None
    media_type: str | None = None
    file_id: str | None = None
    title: str | None = None
    detail: str | None = None
    cache: Raw | None = None
    beside: Beside | None = None


class Native(Struct, frozen=True, tag_field="type", tag="native"):
    """A part of a kind that only the caller's dialect has, as it wrote it.

    Elsewhere `means` stands for it, each again in its place, and `name` is left out: a `field` of
    the table in `dialects/expression.py`, "" where nothing is lost.
    """

    raw: Raw
    field: str
    name: str = ""
    means: tuple["TextPart | Media | Native", ...] = ()


class ToolResult(Struct, frozen=True, tag_field="type", tag="tool_result"):
    """What one of the caller's tools returned, for the `ToolUse` with this id."""

    id: str
    parts: tuple[TextPart | Media | Native, ...]
    failed: bool = False
    cache: Raw | None = None
    beside: Beside | None = None


class ToolCall(Struct, frozen=True, tag_field="type", tag="tool_call"):
    """A `ToolUse` in the history, with the caller's cache breakpoint."""

    use: ToolUse
    cache: Raw | None = None
    beside: Beside | None = None


Part = TextPart | Media | ToolResult | ToolCall | Thinking | Refusal | Native


class Message(Struct, frozen=True):
    """One turn. Tool results are parts of a user turn, in every dialect."""

    role: Role
    parts: tuple[Part, ...]
    name: str | None = None
    beside: Beside | None = None


class Tool(Struct, frozen=True, kw_only=True):
    """A function the model may call; `schema` is JSON Schema, as the caller wrote it."""

    name: str
    description: str | None = None
    schema: Raw | None = None
    strict: bool | None = None
    cache: Raw | None = None
    beside: Beside | None = None


class ToolChoice(Struct, frozen=True, kw_only=True):
    """Which tool must be called; `name` only with mode "named"."""

    mode: Literal["auto", "any", "none", "named"]
    name: str | None = None


class Format(Struct, frozen=True, kw_only=True):
    """The form the text must have. `schema` is JSON Schema; None means any JSON object."""

    schema: Raw | None = None
    name: str = "reply"
    description: str | None = None
    strict: bool | None = None


class ThinkingAsk(Struct, frozen=True, kw_only=True):
    """How much to think: an effort, or a budget in tokens, or off, or the model's own choice."""

    enabled: bool | None = None
    effort: Effort | None = None
    budget_tokens: int | None = None


class Chat(Struct, frozen=True, kw_only=True):
    """One chat request. System turns keep their places in `messages`.

    A dialect that has one system text gathers them.
    """

    model: str
    messages: tuple[Message, ...]
    stream: bool = False
    usage_in_stream: bool = False
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: tuple[str, ...] = ()
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tools: bool | None = None
    format: Format | None = None
    thinking: ThinkingAsk | None = None
    n: int = 1
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: Raw | None = None
    logprobs: bool = False
    top_logprobs: int | None = None
    modalities: tuple[str, ...] = ()
    user: str | None = None
    metadata: Raw | None = None
    service_tier: str | None = None
    verbosity: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    safety_identifier: str | None = None
    extra: dict[str, Raw] = {}
    """Top-level members outside this list, as the caller wrote them."""
    server_tools: tuple[Raw, ...] = ()
    """Tools that the provider runs itself (web search, code execution), in the caller's dialect."""
    native: dict[str, Raw] = {}
    """Members that only the caller's dialect has and that change the answer, as it wrote them."""
    called: dict[str, str] = {}
    """Field of the table in `dialects/expression.py` -> its name in the caller's request, where his
    dialect has several."""
    dialect: str = ""
    """Whose words `extra`, `native` and `server_tools` are in; "" when built by hand."""
