"""`Chat` -> the body of OCI's `POST /20231130/actions/chat`.

    compartmentId | servingMode: which model, or which dedicated endpoint | chatRequest

`chatRequest` has a form per maker. `GENERIC` (Meta, xAI, OpenAI, Google) is the Chat dialect
in other letters, so its messages are `openai_chat`'s, spelt anew: content parts of type `TEXT`
and `IMAGE`, flat tool calls. `COHERE` is `cohere.py`'s. A model whose id is the OCID of an
endpoint is served by that endpoint.

Documents have no word, and logprobs none that a caller would get back. Only models that are
known to think are asked to.

Reference: https://docs.oracle.com/en-us/iaas/api/#/en/generative-ai-inference/20231130/datatypes/GenericChatRequest

Not promised: that the model accepts each value; that is its own verdict.
"""

from typing import Any

import msgspec

from octoplex.dialects.dialect import Encoded, Traits
from octoplex.dialects.effort import effort_of
from octoplex.dialects.expression import SPOKEN, Omissions, express
from octoplex.dialects.oci.cohere import SILENT, write_cohere
from octoplex.dialects.openai_chat.messages import write_messages
from octoplex.dialects.words import words_of
from octoplex.wire.chat import Chat, Effort, Format, ThinkingAsk, Tool, ToolChoice

NAME = "oci"

_ENDPOINT = "ocid1.generativeaiendpoint."
_EFFORTS: dict[Effort, str] = {"minimal": "MINIMAL", "low": "LOW", "medium": "MEDIUM"}
_TIERS = frozenset({"auto", "default", "priority"})
_CHOICES = {"auto": "AUTO", "any": "REQUIRED", "none": "NONE"}
_AUDIO = {"wav": "audio/wav", "mp3": "audio/mpeg"}
_NO_QUIRKS: frozenset[str] = frozenset()

_json = msgspec.json.Encoder().encode
Body = dict[str, object]


def write_request(chat: Chat, traits: Traits) -> Encoded:
    """Write the request.

    Raises:
        Unsupported: a field that changes the answer cannot be expressed.
    """
    omissions = Omissions(NAME, words_of(chat), drop_unsupported=traits.drop_unsupported)
    cohere = traits.model.startswith("cohere.")
    spoken = SPOKEN[NAME] - SILENT if cohere else SPOKEN[NAME]
    if traits.thinking in (None, "none"):
        spoken -= {"thinking"}  # a hint must not become the provider's 400
    chat = express(chat, spoken, omissions)
    write = write_cohere if cohere else _write_generic
    asked = write(chat, traits, omissions)
    if chat.stream:
        asked["isStream"] = True
        asked["streamOptions"] = {"isIncludeUsage": True}
    asked.update({name: value for name, value in chat.extra.items() if name not in asked})
    body: Body = {"servingMode": _serving(traits.model), "chatRequest": asked}
    if "compartment" in traits.account:
        body["compartmentId"] = traits.account["compartment"]
    return Encoded(_json(body), omissions.names(), loose=omissions.loose)


def _serving(model: str) -> Body:
    if model.startswith(_ENDPOINT):
        return {"servingType": "DEDICATED", "endpointId": model}
    return {"servingType": "ON_DEMAND", "modelId": model}


def _write_generic(chat: Chat, traits: Traits, omissions: Omissions) -> Body:
    messages = write_messages(chat.messages, _NO_QUIRKS, omissions)
    body: Body = {
        "apiFormat": "GENERIC",
        "messages": [_message(message, omissions) for message in messages],
    }
    newer = traits.model.startswith("openai.")
    for name, value in (
        ("maxCompletionTokens" if newer else "maxTokens", chat.max_tokens),
        ("temperature", chat.temperature),
        ("topP", chat.top_p),
        ("topK", chat.top_k),
        ("presencePenalty", chat.presence_penalty),
        ("frequencyPenalty", chat.frequency_penalty),
        ("logitBias", chat.logit_bias),
        ("seed", chat.seed),
        ("stop", list(chat.stop) or None),
        ("metadata", chat.metadata),
        ("isParallelToolCalls", chat.parallel_tools),
    ):
        if value is not None:
            body[name] = value
    if chat.tools:
        body["tools"] = [_tool(tool, omissions) for tool in chat.tools]
        if chat.tool_choice is not None:
            body["toolChoice"] = _tool_choice(chat.tool_choice)
    if chat.format is not None:
        body["responseFormat"] = _format(chat.format)
    if chat.thinking is not None:
        _put_effort(body, chat.thinking, omissions)
    if chat.service_tier in _TIERS:
        body["serviceTier"] = chat.service_tier.upper()
    elif chat.service_tier is not None:
        omissions.leave_out("service_tier")
    return body


def _message(written: dict[str, Any], omissions: Omissions) -> Body:
    """A message of the Chat dialect in OCI's spelling."""
    message: Body = {"role": written["role"].upper()}
    content = written["content"]
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    if content is not None:
        parts = [_part(part, omissions) for part in content]
        message["content"] = [part for part in parts if part is not None]
    for ours, theirs in (("name", "name"), ("refusal", "refusal"), ("tool_call_id", "toolCallId")):
        if ours in written:
            message[theirs] = written[ours]
    if "tool_calls" in written:
        message["toolCalls"] = [
            {"type": "FUNCTION", "id": call["id"], **call["function"]}
            for call in written["tool_calls"]
        ]
    return message


def _part(part: dict[str, Any], omissions: Omissions) -> Body | None:
    match part["type"]:
        case "text":
            return {"type": "TEXT", "text": part["text"]}
        case "refusal":
            return {"type": "TEXT", "text": part["refusal"]}
        case "image_url":
            image = dict(part["image_url"])
            if "detail" in image:
                image["detail"] = image["detail"].upper()
            return {"type": "IMAGE", "imageUrl": image}
        case "input_audio":
            audio = part["input_audio"]
            url = f"data:{_AUDIO[audio['format']]};base64,{audio['data']}"
            return {"type": "AUDIO", "audioUrl": {"url": url}}
    source = "file_id" if "file_id" in part["file"] else "data"
    omissions.leave_out(f"document.{source}")
    return None


def _tool(tool: Tool, omissions: Omissions) -> Body:
    if tool.strict:
        omissions.leave_out("tool.strict")
    if tool.cache is not None:
        omissions.leave_out("cache_control")
    written: Body = {"type": "FUNCTION", "name": tool.name}
    if tool.description is not None:
        written["description"] = tool.description
    if tool.schema is not None:
        written["parameters"] = tool.schema
    return written


def _tool_choice(choice: ToolChoice) -> Body:
    if choice.mode == "named":
        return {"type": "FUNCTION", "name": choice.name}
    return {"type": _CHOICES[choice.mode]}


def _format(form: Format) -> Body:
    if form.schema is None:
        return {"type": "JSON_OBJECT"}
    schema: Body = {"name": form.name, "schema": form.schema}
    if form.description is not None:
        schema["description"] = form.description
    if form.strict is not None:
        schema["isStrict"] = form.strict
    return {"type": "JSON_SCHEMA", "jsonSchema": schema}


def _put_effort(body: Body, ask: ThinkingAsk, omissions: Omissions) -> None:
    if ask.enabled is False or ask.effort == "none":
        omissions.leave_out("thinking")  # there is no word for "not at all"
        return
    effort = ask.effort or effort_of(ask.budget_tokens)
    body["reasoningEffort"] = _EFFORTS.get(effort, "HIGH")
