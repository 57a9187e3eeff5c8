"""The table is whole: every field has a weight, and every dialect is in it."""

import msgspec
import pytest

from octoplex.dialects.dialect import Traits
from octoplex.dialects.expression import MEMBERS, SPOKEN, WEIGHTS, Omissions, express
from octoplex.dialects.openai_chat import OpenAIChat
from octoplex.wire.chat import Chat, Message, TextPart
from octoplex.wire.error import Unsupported

EVERYWHERE = {"model", "messages", "stream", "usage_in_stream", "max_tokens", "dialect"}
"""What every dialect has, and `dialect`, which says whose words `extra` is in."""

CHAT = Chat(model="m", messages=(Message("user", (TextPart("x"),)),))


def test_every_member_of_chat_is_in_the_table() -> None:
    assert set(MEMBERS.values()) | EVERYWHERE == set(Chat.__struct_fields__)
    assert set(MEMBERS) <= set(WEIGHTS)


@pytest.mark.parametrize("dialect", SPOKEN)
def test_a_dialect_speaks_only_of_fields_with_a_weight(dialect: str) -> None:
    assert SPOKEN[dialect] <= set(WEIGHTS)


HINTS = {"user": "u", "metadata": msgspec.Raw(b"{}"), "service_tier": "flex", "seed": 1}


def test_hints_are_dropped_and_named() -> None:
    omissions = Omissions("nobody", drop_unsupported=False)
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
        express(chat, frozenset(), Omissions("nobody", drop_unsupported=False))
    assert caught.value.facts["param"] == member
    assert "drop_unsupported" in str(caught.value)
    omissions = Omissions("nobody", drop_unsupported=True)
    assert express(chat, frozenset(), omissions) == CHAT
    assert omissions.names() == (member,)


def test_a_default_spelt_out_is_no_field() -> None:
    chat = msgspec.structs.replace(CHAT, n=1, presence_penalty=0.0, frequency_penalty=0, stop=())
    omissions = Omissions("nobody", drop_unsupported=False)
    express(chat, frozenset(), omissions)
    assert omissions.names() == ()


def test_words_of_ones_own_dialect_pass() -> None:
    for dialect in ("", "openai-chat"):
        extra = {"store": msgspec.Raw(b"true")}
        chat = msgspec.structs.replace(CHAT, dialect=dialect, extra=extra)
        sent = OpenAIChat().encode_chat(chat, Traits(model="m"))
        assert msgspec.json.decode(sent.body)["store"] is True
