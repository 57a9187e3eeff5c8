"""`Chat` -> the form of OCI's request that Cohere's models take: `apiFormat` `COHERE`.

The last turn of the user is the `message`, earlier ones are the `chatHistory`, and system
turns the preamble. Everything is text. Tools are described there by flat parameters, which a
JSON Schema is not, so they are refused by name, and so are calls in the history.

Reference: https://docs.oracle.com/en-us/iaas/api/#/en/generative-ai-inference/20231130/datatypes/CohereChatRequest

Not promised: tools, documents, the newer form `COHEREV2`.
"""

from collections.abc import Sequence

from octoplex.dialects.dialect import Traits
from octoplex.dialects.expression import Omissions
from octoplex.dialects.media import source_of
from octoplex.dialects.schema_limits import COHERE, is_held
from octoplex.wire.chat import Chat, Media, Part, TextPart, ToolCall, ToolResult
from octoplex.wire.event import Refusal

SILENT = frozenset(
    {
        "logit_bias",
        "metadata",
        "parallel_tool_calls",
        "service_tier",
        "thinking",
        "tool_choice",
        "tools",
    }
)
"""What only the other form has a word for."""

_NO_TOOLS = "the models of Cohere take tools in another form here"
Body = dict[str, object]


def write_cohere(chat: Chat, _: Traits, omissions: Omissions) -> Body:
    """Write `chatRequest`.

    Raises:
        Unsupported: a part is not text.
    """
    system, turns = _turns(chat, omissions)
    asked = turns.pop()[1] if turns[-1][0] == "USER" else ""
    body: Body = {"apiFormat": "COHERE", "message": asked}
    if turns:
        body["chatHistory"] = [{"role": role, "message": text} for role, text in turns]
    if system:
        body["preambleOverride"] = "\n\n".join(system)
    for name, value in (
        ("maxTokens", chat.max_tokens),
        ("temperature", chat.temperature),
        ("topP", chat.top_p),
        ("topK", chat.top_k),
        ("presencePenalty", chat.presence_penalty),
        ("frequencyPenalty", chat.frequency_penalty),
        ("seed", chat.seed),
        ("stopSequences", list(chat.stop) or None),
    ):
        if value is not None:
            body[name] = value
    if chat.format is not None:
        schema = chat.format.schema
        omissions.loose = schema is not None and not is_held(schema, COHERE)
        body["responseFormat"] = {"type": "JSON_OBJECT"} | (
            {} if schema is None else {"schema": schema}
        )
    return body


def _turns(chat: Chat, omissions: Omissions) -> tuple[list[str], list[tuple[str, str]]]:
    """The system texts, and who said what; at least one turn."""
    system: list[str] = []
    turns: list[tuple[str, str]] = []
    for message in chat.messages:
        if message.name is not None:
            omissions.leave_out("message.name")
        text = "\n\n".join(_texts(message.parts, omissions))
        if message.role in ("system", "developer"):
            system.append(text)
        elif text:
            turns.append(("CHATBOT" if message.role == "assistant" else "USER", text))
    return (system, turns) if turns else ([], [("USER", "\n\n".join(system))])


def _texts(parts: Sequence[Part], omissions: Omissions) -> list[str]:
    texts = []
    for part in parts:
        if getattr(part, "cache", None) is not None:
            omissions.leave_out("cache_control")
        match part:
            case TextPart(text=text) | Refusal(text=text):
                texts.append(text)
            case Media():
                omissions.leave_out(f"{part.kind}.{source_of(part)}", why="text only")
            case ToolCall() | ToolResult():
                omissions.leave_out("tools", why=_NO_TOOLS)
            case _:
                omissions.leave_out("thinking_history")
    return texts
