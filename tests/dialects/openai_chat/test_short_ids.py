"""Ids of tool calls where they are nine letters or digits."""

from octoplex.dialects.openai_chat.messages import short_id


def test_short_ids_are_told_apart() -> None:
    """https://docs.mistral.ai/api: nine letters or digits. The reply's own stay."""
    ids = ["call_A_abcdefghi", "call_B_abcdefghi", "a", "000000001", "call_\ud800", "", "a-b-c-d-e"]
    short = [short_id(id_) for id_ in ids]
    assert len(set(short)) == len(ids)
    assert all(len(id_) == 9 and id_.isascii() and id_.isalnum() for id_ in short)
    assert short_id("Ab3456789") == "Ab3456789"
