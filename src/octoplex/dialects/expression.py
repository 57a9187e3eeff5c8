"""The one table of what a dialect can say, and what becomes of what it cannot.

A request that crosses from one dialect to another meets fields the target has no
word for. Each field has a *weight*:

- `answer`: leaving it out would change the answer (its form, its number, where it
  stops, how it is sampled). The call is refused, naming the field, unless the route
  says `drop_unsupported`; then it is dropped and named.
- `hint`: leaving it out changes cost, speed, tracing or nothing. It is dropped and
  named in `x-octoplex-dropped`; a hint never causes a 400.

`WEIGHTS` says which is which, once for all dialects. `SPOKEN` has one entry per
dialect: the fields it has a word for. A new dialect is a new entry. Names are those
of the Chat dialect's wire; a caller is told his own (`words.py`). A field that merely
carries its documented default (`n = 1`, a penalty of 0) counts as absent.

`express` settles every member of `Chat`. What sits deeper (`DEEP`) the encoders meet
themselves and report to an `Omissions`.

Not promised: that a provider which speaks a dialect honours each of its words.
"""

from collections.abc import Mapping
from typing import Literal

import msgspec

from octoplex.dialects.native import in_any_dialect, run_there
from octoplex.wire.chat import Chat, ToolChoice
from octoplex.wire.error import Unsupported

Weight = Literal["answer", "hint"]

WEIGHTS: dict[str, Weight] = {
    # sampling: a narrower or steered choice of tokens is another answer
    "temperature": "answer",
    "top_p": "answer",
    "top_k": "answer",  # top_k = 1 is greedy decoding: nobody asks for it by accident
    "presence_penalty": "answer",
    "frequency_penalty": "answer",
    "logit_bias": "answer",
    "seed": "hint",  # "best effort" in every provider's own words
    # form
    "stop": "answer",
    "n": "answer",
    "logprobs": "answer",
    "top_logprobs": "answer",
    "modalities": "answer",
    "response_format": "answer",
    # tools
    "tools": "answer",
    "server_tools": "answer",
    "native": "answer",  # such as `conversation` and `prompt` of openai-responses
    "tool_choice": "answer",
    "parallel_tool_calls": "answer",  # a caller that says false can take only one at a time
    "thinking": "hint",  # advice to the model; one that cannot think still answers
    "thinking.amount": "hint",  # thinking itself is on
    # bookkeeping
    "user": "hint",
    "metadata": "hint",
    "service_tier": "hint",
    "verbosity": "hint",
    "prompt_cache_key": "hint",
    "prompt_cache_retention": "hint",
    "safety_identifier": "hint",
    "extra": "hint",
    "max_tokens": "hint",  # raised to the least that a dialect takes
    # inside messages and tools
    "image.url": "answer",
    "image.data": "answer",
    "image.file_id": "answer",
    "document.url": "answer",
    "document.data": "answer",
    "document.file_id": "answer",
    "audio.data": "answer",
    "audio.url": "answer",
    "audio.file_id": "answer",
    "image.detail": "hint",
    "document.title": "hint",
    "message.name": "hint",
    "tool.strict": "hint",
    "cache_control": "hint",
    "thinking_history": "hint",  # another provider cannot read it, and says so with a 400
}

_CHAT = frozenset(
    {
        "temperature",
        "top_p",
        "presence_penalty",
        "frequency_penalty",
        "logit_bias",
        "seed",
        "stop",
        "n",
        "logprobs",
        "top_logprobs",
        "modalities",
        "response_format",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "thinking",
        "user",
        "metadata",
        "service_tier",
        "image.url",
        "image.data",
        "image.detail",
        "document.data",
        "document.file_id",
        "document.title",
        "audio.data",
        "message.name",
        "tool.strict",
    }
)
_ANTHROPIC = frozenset(
    {
        "temperature",
        "top_p",
        "top_k",
        "stop",
        "response_format",
        "tools",
        "server_tools",
        "tool_choice",
        "parallel_tool_calls",
        "thinking",
        "user",
        "metadata",
        "service_tier",
        "extra",
        "image.url",
        "image.data",
        "image.file_id",
        "document.url",
        "document.data",
        "document.file_id",
        "document.title",
        "tool.strict",
        "cache_control",
        "thinking_history",
    }
)
_ANTHROPICS_OWN = frozenset(
    {"image.url", "image.file_id", "document.url", "document.file_id", "service_tier"}
)
"""What only Anthropic itself understands; a cloud that serves its models takes bytes."""
_GEMINI = frozenset(
    {
        "temperature",
        "top_p",
        "top_k",
        "presence_penalty",
        "frequency_penalty",
        "seed",
        "stop",
        "n",
        "logprobs",
        "top_logprobs",
        "modalities",
        "response_format",
        "tools",
        "tool_choice",
        "thinking",
        "service_tier",
        "image.url",
        "image.data",
        "image.file_id",
        "document.url",
        "document.data",
        "document.file_id",
        "audio.url",
        "audio.data",
        "audio.file_id",
        "thinking_history",
    }
)

SPOKEN: dict[str, frozenset[str]] = {
    "openai-chat": _CHAT,
    "sagemaker": _CHAT,
    "anthropic": _ANTHROPIC,
    "vertex-anthropic": _ANTHROPIC - _ANTHROPICS_OWN,
    "bedrock-anthropic": _ANTHROPIC - _ANTHROPICS_OWN,
    "openai-responses": frozenset(
        {
            "temperature",
            "top_p",
            "response_format",
            "tools",
            "tool_choice",
            "parallel_tool_calls",
            "thinking",
            "user",
            "metadata",
            "service_tier",
            "verbosity",
            "prompt_cache_key",
            "prompt_cache_retention",
            "safety_identifier",
            "image.url",
            "image.data",
            "image.file_id",
            "image.detail",
            "document.url",
            "document.data",
            "document.file_id",
            "document.title",
            "tool.strict",
            "thinking_history",
        }
    ),
    "gemini": _GEMINI,
    "vertex": _GEMINI - {"image.url", "document.url", "audio.url"},  # it wants their types
    "bedrock-converse": frozenset(
        {
            "temperature",
            "top_p",
            "top_k",
            "stop",
            "response_format",
            "tools",
            "tool_choice",
            "thinking",
            "service_tier",
            "image.data",
            "document.data",
            "document.title",
            "audio.data",
            "tool.strict",
            "cache_control",
            "thinking_history",
        }
    ),
    "cohere-v2": frozenset(
        {
            "temperature",
            "top_p",
            "top_k",
            "presence_penalty",
            "frequency_penalty",
            "seed",
            "stop",
            "response_format",
            "tools",
            "tool_choice",
            "thinking",
            "image.url",
            "image.data",
            "image.detail",
            "document.data",
            "document.title",
            "thinking_history",
        }
    ),
    "replicate": frozenset(
        {
            "temperature",
            "top_p",
            "top_k",
            "presence_penalty",
            "frequency_penalty",
            "stop",
            "thinking",
            "image.url",
            "image.data",
        }
    ),
    "oci": frozenset(
        {
            "temperature",
            "top_p",
            "top_k",
            "presence_penalty",
            "frequency_penalty",
            "logit_bias",
            "seed",
            "stop",
            "response_format",
            "tools",
            "tool_choice",
            "parallel_tool_calls",
            "thinking",
            "metadata",
            "service_tier",
            "image.url",
            "image.data",
            "image.detail",
            "audio.data",
            "message.name",
        }
    ),
    "ollama": frozenset(
        {
            "temperature",
            "top_p",
            "top_k",
            "presence_penalty",
            "frequency_penalty",
            "seed",
            "stop",
            "response_format",
            "tools",
            "tool_choice",
            "thinking",
            "image.data",
            "thinking_history",
        }
    ),
    "watsonx": frozenset(
        {
            "temperature",
            "top_p",
            "presence_penalty",
            "frequency_penalty",
            "logit_bias",
            "seed",
            "stop",
            "response_format",
            "tools",
            "tool_choice",
            "thinking",
            "image.data",
            "image.detail",
            "message.name",
        }
    ),
    "gigachat": frozenset(
        {
            "temperature",
            "top_p",
            "response_format",
            "tools",
            "tool_choice",
            "parallel_tool_calls",  # one call in a reply is all there is
            "thinking",
            "image.file_id",
            "document.file_id",
            "audio.file_id",
        }
    ),
    "ernie-v1": frozenset(
        {
            "temperature",
            "top_p",
            "stop",
            "response_format",
            "tools",
            "tool_choice",
            "parallel_tool_calls",  # as with GigaChat
            "user",
        }
    ),
}

MEMBERS: dict[str, str] = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
    "logit_bias": "logit_bias",
    "seed": "seed",
    "stop": "stop",
    "n": "n",
    "logprobs": "logprobs",
    "top_logprobs": "top_logprobs",
    "modalities": "modalities",
    "response_format": "format",
    "tools": "tools",
    "server_tools": "server_tools",
    "native": "native",
    "tool_choice": "tool_choice",
    "parallel_tool_calls": "parallel_tools",
    "thinking": "thinking",
    "user": "user",
    "metadata": "metadata",
    "service_tier": "service_tier",
    "verbosity": "verbosity",
    "prompt_cache_key": "prompt_cache_key",
    "prompt_cache_retention": "prompt_cache_retention",
    "safety_identifier": "safety_identifier",
    "extra": "extra",
}
"""Field -> the attribute of `Chat` that holds it. The rest of `WEIGHTS` is deeper."""

DEEP = frozenset(WEIGHTS) - frozenset(MEMBERS)

_DEFAULTS: dict[str, object] = {
    f.name: f.default_factory() if f.default is msgspec.NODEFAULT else f.default
    for f in msgspec.structs.fields(Chat)
    if not f.required
}
_MEMBERS = tuple((field, member, _DEFAULTS[member]) for field, member in MEMBERS.items())

KEPT_ELSEWHERE = frozenset({"thread"})
"""Members that stand for the conversation itself: no route may drop them, for nothing would be
left to answer. Told so (`anthropic/failure.py`), Anthropic's own clients send all of it."""
_IN_NO_OTHER_REPLY = frozenset({"logprobs", "modalities", "n", "top_logprobs"})
"""Asked for across dialects they would be paid for and lost: no typed reply holds them."""
OPENAI_HINTS = frozenset(
    {"prompt_cache_key", "prompt_cache_retention", "safety_identifier", "verbosity"}
)
"""Words of OpenAI's own that other servers of its dialects may refuse."""
_NO_TOOL_WANTED = (ToolChoice(mode="auto"), ToolChoice(mode="none"))


def says(dialect: str, field: str) -> bool:
    """Whether the dialect has a word for the field."""
    return field in SPOKEN[dialect]


class Omissions:
    """What an encoder leaves out, in the order met and each once; refuses what it may not."""

    __slots__ = ("_allowed", "_names", "_words", "dialect", "loose")

    def __init__(self, dialect: str, words: Mapping[str, str], *, drop_unsupported: bool) -> None:
        """`words` are what the caller calls the fields (`words.py`)."""
        self.dialect, self._words, self._allowed = dialect, words, drop_unsupported
        self._names: dict[str, None] = {}
        self.loose = False  # see `Encoded`

    def leave_out(self, field: str, name: str = "", why: str = "") -> None:
        """Drop `field`, or refuse the call; `name`: how its caller wrote it, if that is known.

        Raises:
            Unsupported: the field changes the answer and the route does not drop such fields.
        """
        name = name or self.word(field)
        if WEIGHTS[field] == "answer" and not (self._allowed and name not in KEPT_ELSEWHERE):
            raise Unsupported(
                f"`{name}` cannot be expressed in the {self.dialect} dialect of this target"
                f"{': ' + why if why else ''}. Leave it out, choose another model, or set"
                " `drop_unsupported = true` on the route.",
                param=name,
            )
        self._names[name] = None

    def word(self, field: str) -> str:
        """What the caller calls a field."""
        return self._words.get(field, field)

    def empty(self) -> Unsupported:
        """The refusal of a conversation in which nothing is said; some would answer it."""
        turns = self.word("messages")
        return Unsupported(
            f"Every turn of `{turns}` is empty, and the {self.dialect} dialect of this target"
            " takes no such turn. Send some text.",
            param=turns,
        )

    def names(self) -> tuple[str, ...]:
        """What was dropped, in the order met."""
        return tuple(self._names)


def express(chat: Chat, spoken: frozenset[str], omissions: Omissions) -> Chat:
    """Return `chat` without the members that `spoken` lacks.

    `spoken` is an entry of `SPOKEN`, plus or minus what a provider's quirks say. Members
    and tools that only one dialect knows (`extra`, `native`, `server_tools`) stay when the
    call was written in it, or by hand.

    Raises:
        Unsupported: one of them changes the answer.
    """
    if chat.dialect in ("", omissions.dialect):
        spoken |= {"extra", "native", "server_tools"}
    if chat.dialect == omissions.dialect:
        spoken |= OPENAI_HINTS  # if they are its words at all; the caller knows his server
    foreign = "native" not in spoken
    gone = in_any_dialect(chat, omissions.leave_out) if foreign else {}
    for field, member, default in _MEMBERS:
        value = getattr(chat, member)
        if value == default:
            continue
        lost = foreign and field in _IN_NO_OTHER_REPLY
        if (field in spoken and not lost) or _says_nothing(field, value, chat):
            continue
        for name in value if field in ("extra", "native") else ("",):
            omissions.leave_out(field, name, run_there(value) if field == "server_tools" else "")
        gone[member] = default
    return msgspec.structs.replace(chat, **gone) if gone else chat


def _says_nothing(field: str, value: object, chat: Chat) -> bool:
    """Whether a value spells out what every provider does anyhow."""
    has_tools = bool(chat.tools or chat.server_tools)
    match field:
        case "presence_penalty" | "frequency_penalty":
            return value == 0
        case "parallel_tool_calls":
            return value is True or not has_tools
        case "tool_choice":
            return not has_tools and chat.tool_choice in _NO_TOOL_WANTED
    return False
