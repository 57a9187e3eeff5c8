"""The table is whole: every field has a weight, and every dialect is in it."""

import msgspec
import pytest

from octoplex.dialects.bedrock_converse import BedrockConverse
from octoplex.dialects.cohere_v2 import CohereV2
from octoplex.dialects.dialect import Traits
from octoplex.dialects.expression import MEMBERS, SPOKEN, WEIGHTS, Omissions, express
from octoplex.dialects.gemini import Gemini
from octoplex.dialects.ollama import Ollama
from octoplex.dialects.openai_chat import OpenAIChat
from octoplex.dialects.openai_responses import OpenAIResponses
from octoplex.wire.chat import Chat, Message, TextPart, Tool, ToolChoice
from octoplex.wire.error import Unsupported

EVERYWHERE = {"model", "messages", "stream", "usage_in_stream", "max_tokens", "called", "dialect"}
"""What every dialect has, and what says whose words `extra` is in, and what fields are called."""

TRAITS = Traits(model="m")
CHAT = Chat(model="m", messages=(Message("user", (TextPart("x"),)),))


def test_every_member_of_chat_is_in_the_table() -> None:
    assert set(MEMBERS.values()) | EVERYWHERE == set(Chat.__struct_fields__)
    assert set(MEMBERS) <= set(WEIGHTS)


@pytest.mark.parametrize("dialect", SPOKEN)
def test_a_dialect_speaks_only_of_fields_with_a_weight(dialect: str) -> None:
    assert SPOKEN[dialect] <= set(WEIGHTS)


HINTS = {"user": "u", "metadata": msgspec.Raw(b"{}"), "service_tier": "flex", "seed": 1}


def test_hints_are_dropped_and_named() -> None:
    omissions = Omissions("nobody", {}, drop_unsupported=False)
    chat = msgspec.structs.replace(CHAT, **HINTS, extra={"a": msgspec.Raw(b"1")}, dialect="other")
    assert express(chat, frozenset(), omissions) == msgspec.structs.replace(CHAT, dialect="other")
    assert set(omissions.names()) == {*HINTS, "a"}


@pytest.mark.parametrize(
    ("member", "value"),
    [("top_k", 1), ("n", 2), ("logprobs", True), ("stop", ("a",)), ("presence_penalty", 0.1)],
)
def test_what_changes_the_answer_is_refused_or_dropped(member: str, value: object) -> None:
    chat = msgspec.structs.replace(CHAT, **{member: value})
    with pytest.raises(Unsupported) as caught:
        express(chat, frozenset(), Omissions("nobody", {}, drop_unsupported=False))
    assert caught.value.facts["param"] == member
    assert "drop_unsupported" in str(caught.value)
    omissions = Omissions("nobody", {}, drop_unsupported=True)
    assert express(chat, frozenset(), omissions) == CHAT
    assert omissions.names() == (member,)


def test_a_default_spelt_out_is_no_field() -> None:
    chat = msgspec.structs.replace(CHAT, n=1, presence_penalty=0.0, frequency_penalty=0, stop=())
    omissions = Omissions("nobody", {}, drop_unsupported=False)
    express(chat, frozenset(), omissions)
    assert omissions.names() == ()


def test_words_of_ones_own_dialect_pass() -> None:
    for dialect in ("", "openai-chat"):
        extra = {"store": msgspec.Raw(b"true")}
        chat = msgspec.structs.replace(CHAT, dialect=dialect, extra=extra)
        sent = OpenAIChat().encode_chat(chat, Traits(model="m"))
        assert msgspec.json.decode(sent.body)["store"] is True


def test_tools_that_are_not_there_are_not_refused_for_how_they_are_called() -> None:
    """Some SDKs always send how tools may be called."""
    chat = msgspec.structs.replace(CHAT, parallel_tools=False, tool_choice=ToolChoice(mode="auto"))
    omissions = Omissions("nobody", {}, drop_unsupported=False)
    express(chat, frozenset(), omissions)
    assert omissions.names() == ()
    for dialect in (BedrockConverse(), CohereV2(), Gemini(), Ollama()):
        assert dialect.encode_chat(chat, TRAITS) == dialect.encode_chat(CHAT, TRAITS)
    with_tools = msgspec.structs.replace(chat, tools=(Tool(name="f"),), tool_choice=None)
    with pytest.raises(Unsupported):
        express(with_tools, frozenset({"tools"}), omissions)
    forced = msgspec.structs.replace(CHAT, tool_choice=ToolChoice(mode="any"))
    with pytest.raises(Unsupported):
        express(forced, frozenset(), omissions)


@pytest.mark.parametrize("member", [{"logprobs": True}, {"n": 2}, {"modalities": ("audio",)}])
def test_what_no_other_reply_holds_is_its_own_dialects_alone(member: dict[str, object]) -> None:
    spoken = frozenset({"logprobs", "n", "modalities"})
    own = msgspec.structs.replace(CHAT, dialect="nobody", **member)
    assert express(own, spoken, Omissions("nobody", {}, drop_unsupported=False)) == own
    others = msgspec.structs.replace(own, dialect="another")
    with pytest.raises(Unsupported):
        express(others, spoken, Omissions("nobody", {}, drop_unsupported=False))


HINTS_OF_OPENAI = {
    "verbosity": "low",
    "prompt_cache_key": "k",
    "prompt_cache_retention": "24h",
    "safety_identifier": "s",
}


def test_hints_of_openais_cross_between_its_dialects() -> None:
    """https://platform.openai.com/docs/api-reference/responses/create has each of them too."""
    chat = msgspec.structs.replace(CHAT, dialect="openai-chat", **HINTS_OF_OPENAI)
    sent = OpenAIResponses().encode_chat(chat, Traits(model="m"))
    body = msgspec.json.decode(sent.body)
    assert sent.dropped == ()
    assert body["text"] == {"verbosity": "low"}
    assert {name: body[name] for name in HINTS_OF_OPENAI if name != "verbosity"} == {
        "prompt_cache_key": "k",
        "prompt_cache_retention": "24h",
        "safety_identifier": "s",
    }
    back = msgspec.structs.replace(chat, dialect="openai-responses")
    traits = Traits(model="m", quirks=frozenset({"openai_hints"}))
    sent = OpenAIChat().encode_chat(back, traits)
    assert HINTS_OF_OPENAI.items() <= msgspec.json.decode(sent.body).items()
    unknown = OpenAIChat().encode_chat(back, Traits(model="m"))
    assert set(unknown.dropped) == {*HINTS_OF_OPENAI, "text.verbosity"} - {"verbosity"}
    own = OpenAIChat().encode_chat(chat, Traits(model="m"))
    assert HINTS_OF_OPENAI.items() <= msgspec.json.decode(own.body).items()
