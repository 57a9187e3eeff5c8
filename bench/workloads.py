"""What is sent: five shapes of request, two kinds of upstream, three ways to load.

Bodies have the sizes of the issue (500 bytes, 36 kB with 60 messages and 15 tools). The mock marks
the first and the last piece of content (``word-01``, ``word-50``), so that the load generator can
prove that an answer came through whole, translated or not.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any, Literal

Dialect = Literal["chat", "messages"]

PROSE = "Please read the following report about tide pools and tell me what matters most in it. "
TALK = (PROSE * 5)[:362]


@dataclass(frozen=True)
class Workload:
    """One shape of request: who speaks what, how large, and over which kind of upstream."""

    name: str
    client: Dialect = "chat"
    upstream: Dialect = "chat"
    stream: bool = False
    big: bool = False
    tls: bool = False
    paced: bool = False

    @property
    def translated(self) -> bool:
        return self.client != self.upstream

    @property
    def expect(self) -> str:
        """Return the texts that a right answer holds, first content first."""
        end = "[DONE]" if self.client == "chat" else '"message_stop"'
        return f"word-01,word-50,{end}" if self.stream else "word-01,word-50"


@dataclass(frozen=True)
class Mode:
    """How the load is put on: connections, and a rate (requests per second) unless closed-loop."""

    name: str
    conns: int
    rate: float = 0


SATURATED = Mode("saturated", 32)
SINGLE = Mode("single", 1)
STEADY = Mode("500/s", 256, 500)
MODES = {"sat": SATURATED, "one": SINGLE, "500": STEADY}

PLAIN = [
    Workload("small"),
    Workload("stream", stream=True),
    Workload("to-anthropic", upstream="messages", stream=True),
    Workload("to-openai", client="messages", stream=True),
    Workload("big", big=True),
]
PACED = Workload("paced", stream=True, paced=True)
WORKLOADS = {
    w.name: w for w in [*PLAIN, *(replace(w, name=f"{w.name}-tls", tls=True) for w in PLAIN), PACED]
}
MEANING = {
    "small": "500 B in, 583 B out, OpenAI to OpenAI",
    "stream": "50 content events of 300 B, OpenAI to OpenAI, byte for byte",
    "to-anthropic": "the same stream, client speaks OpenAI, upstream Anthropic",
    "to-openai": "the same stream, client speaks Anthropic, upstream OpenAI",
    "big": "36 kB in (60 messages, 15 tools), 583 B out",
    "paced": "the stream with 10 ms between events, 32 at a time",
}


def body(workload: Workload, model: str) -> bytes:
    """Return the request's body for a model, in the client's dialect."""
    request: dict[str, Any] = {"model": model, "max_tokens": 256, "temperature": 0.2}
    if workload.stream:
        request["stream"] = True
        if workload.client == "chat":
            request["stream_options"] = {"include_usage": True}
    if workload.big:
        return json.dumps(fill_big(request), separators=(",", ":")).encode()
    system = "You are a careful assistant who answers in plain words and never guesses."
    user = {"role": "user", "content": ""}
    if workload.client == "chat":
        request["messages"] = [{"role": "system", "content": system}, user]
    else:
        request |= {"system": system, "messages": [user]}
    room = 500 - len(json.dumps(request, separators=(",", ":")))
    user["content"] = (PROSE * 6)[: max(room, 1)]
    return json.dumps(request, separators=(",", ":")).encode()


def fill_big(request: dict[str, Any]) -> dict[str, Any]:
    """Add 60 messages (a conversation that uses tools) and 15 tools, about 36 kB in all."""
    messages: list[dict[str, Any]] = []
    for turn in range(15):
        call = f"call_{turn:024d}"
        arguments = json.dumps({"path": f"/data/tide-{turn}.csv", "limit": 50, "reason": PROSE})
        function = {"name": f"read_table_{turn}", "arguments": arguments}
        asked = [{"id": call, "type": "function", "function": function}]
        messages += [
            {"role": "user", "content": f"Question {turn}. {TALK}"},
            {"role": "assistant", "content": None, "tool_calls": asked},
            {"role": "tool", "tool_call_id": call, "content": "site,depth,count\n" + TALK},
            {"role": "assistant", "content": f"Answer {turn}. {TALK}"},
        ]
    return {**request, "messages": messages, "tools": [tool(number) for number in range(15)]}


def tool(number: int) -> dict[str, Any]:
    """Return one function tool with a schema of ordinary size."""
    properties = {
        "path": {"type": "string", "description": "Where the table is. " + PROSE},
        "limit": {"type": "integer", "minimum": 1, "maximum": 500, "description": "Rows."},
        "columns": {"type": "array", "items": {"type": "string"}, "description": PROSE},
        "reason": {"type": "string", "description": "Why it is read."},
    }
    function = {
        "name": f"read_table_{number}",
        "description": "Read rows of a table on disk. " + PROSE * 2,
        "parameters": {
            "type": "object",
            "properties": properties,
            "required": ["path", "limit"],
            "additionalProperties": False,
        },
    }
    return {"type": "function", "function": function}
