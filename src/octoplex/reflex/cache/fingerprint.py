"""What makes two asks the same: who asks, under which rule, for what, in every detail.

Two asks are the same if nothing that could change the answer, or whom it may be given to,
differs. Of the body that is every member as it was written; only what stands between values
(white space, and the order of the members at the top) does not count. What is inside them
does: a model reads the properties of a schema in their order.

Left out, deliberately:

- `stream` and `model`, because the ask has them: a body may say `stream: false` or nothing,
  and Gemini's bodies say neither. `stream_options` stays in: a stream with usage is not the
  one without.
- Labels (`UNTOLD`): whose user it is (`user`, `safety_identifier`, Anthropic's `metadata`), what
  the provider files it under (`metadata`) and where it looks for a cached prefix
  (`prompt_cache_key`). No model sees them and no reply of these dialects repeats them, and
  with them in it no two users of an application would share a reply. Replies of Responses do
  repeat them, so there they count.
- Trace headers. `anthropic-beta`, which changes answers, counts.

A variant of an experiment may be asked of another target, so its asks are the same as its own only.

An ask whose answer depends on what changes elsewhere (`MOVING`) is the same as no other.

The fingerprint is a keyed hash, 256 bits, under this installation's pepper: who reads the
cache's file cannot try out what was asked.
"""

from collections.abc import Callable, Mapping, Sequence

import msgspec
from msgspec import Raw

from octoplex.reflex.cache.config import Speed
from octoplex.wire.ask import Ask, Call, Caller, Single
from octoplex.wire.error import GatewayError

Keyed = Callable[[bytes], bytes]
UNTOLD: Mapping[str, frozenset[str]] = {
    "openai-chat": frozenset(
        {
            *("user", "safety_identifier", "metadata"),
            *("prompt_cache_key", "prompt_cache_retention"),
        }
    ),
    "anthropic": frozenset({"metadata"}),
}
"""Members that cannot change an answer, by face."""
MOVING = frozenset({"conversation", "container", "thread", "background", "prompt"})
"""Members of a chat that stand for something at the provider that is not the same the next time."""
RUN_THERE = frozenset(
    {"mcp_servers", "web_search_options", "search_parameters", "plugins", "enable_search"}
)
"""Members beside `tools` with which Anthropic, OpenAI, xAI, OpenRouter and Qwen run some."""
_NAMED = frozenset({"model", "stream"})
_NULL = b"null"
_json = msgspec.json.Encoder(order="sorted").encode
_pack = msgspec.msgpack.Encoder().encode


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """`[models.NAME.cache]`, compiled. `version`: what else in the file changes answers.

    `asked` is what is asked under an `Idempotency-Key` (`reflex/idempotency.py`): then all
    that is complete is kept, and an ask on its way outlives its caller.
    """

    route: str
    version: str
    ttl_ms: int
    replay: Speed = "at once"
    tool_calls: bool = False
    asked: bytes = b""
    near: "Near | None" = None


class Near(msgspec.Struct, frozen=True, kw_only=True):
    """`semantic` of a cache, compiled. `model` is whom to ask for vectors, "" nobody: n-grams."""

    model: str
    least: float
    wait_s: float = 1.0


def fingerprint(
    ask: Ask,
    rule: Rule,
    keyed: Keyed,
    fields: Mapping[str, Raw] | None = None,
    beside: Sequence[object] = (),
) -> bytes | None:
    """What this ask has in common with those that are the same; None: nothing with any.

    `fields` stand in place of its own; what is `beside` them must be the same too.
    """
    if not isinstance(ask, Call | Single):
        return None
    fields = ask.fields if fields is None else fields
    if isinstance(ask, Call) and _any_of(MOVING, fields):
        return None
    left_out = UNTOLD.get(ask.face, frozenset()) | _NAMED
    body = compact({name: raw for name, raw in fields.items() if name not in left_out})
    caller = ask.caller
    what = (
        "cache 1",  # so that it is the hash of nothing else
        *whose(caller),
        caller.region,
        caller.budgeted,  # a limit may be added to its calls
        rule.route,
        rule.version,
        ask.face,
        ask.op,
        ask.stream,
        ask.model,
        ask.headers.get("anthropic-beta", ""),
        body,
        *([ask.trail.trial] if ask.trail.trial else []),
        *beside,
    )
    return keyed(_pack(what))


def _any_of(names: frozenset[str], fields: Mapping[str, Raw]) -> bool:
    """Whether one of them is there and says something."""
    return any(bytes(fields[name]) != _NULL for name in names & fields.keys())


def whose(caller: Caller) -> tuple[str, str]:
    """Whom a reply may be shared with: the caller's tenant, else the key alone."""
    return ("tenant", caller.tenant) if caller.tenant else ("key", caller.id)


def compact(fields: Mapping[str, Raw]) -> bytes:
    """A body's members in the order of their names, without white space between values."""
    body = _json(fields)
    try:
        return msgspec.json.format(body, indent=-1)
    except (msgspec.DecodeError, RecursionError):
        return body


def acts(call: Call) -> bool:
    """Whether the provider itself may run tools for this call, or nobody here can tell.

    Of several choices only the first is looked at later, so they may hide a call too.
    """
    fields: Mapping[str, Raw] = call.fields
    if _any_of(RUN_THERE, fields):
        return True
    if "tools" not in fields and "functions" not in fields:
        return False
    if call.n > 1:
        return True
    try:
        return bool(call.chat().server_tools)
    except GatewayError:  # the provider may understand it
        return True
