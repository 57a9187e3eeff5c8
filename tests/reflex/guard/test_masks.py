"""What takes the place of a finding, and how a token turns back."""

import pytest

from octoplex.reflex.guard.finding import Finding
from octoplex.reflex.guard.masks import Vault, mask, partial, token_begins


def keyed(text: bytes) -> bytes:
    return text[::-1] + b"-keyed" * 4


def whole(type_: str, text: str, kind: str = "pii") -> Finding:
    return Finding(kind, type_, 0, len(text), 1.0)  # type: ignore[arg-type]


def test_the_same_text_gets_the_same_token_and_turns_back() -> None:
    vault = Vault()
    assert not vault
    found = [
        mask("token", whole("email", t), t, vault, keyed) for t in ("a@b.example", "c@d.example")
    ]
    assert found == ["[EMAIL_1]", "[EMAIL_2]"]
    assert mask("token", whole("email", "a@b.example"), "a@b.example", vault, keyed) == "[EMAIL_1]"
    said = "to [EMAIL_2], not [Email_1], [EMAIL_3] or EMAIL_1; [e]"
    assert vault.restored(said) == "to c@d.example, not a@b.example, [EMAIL_3] or EMAIL_1; [e]"


def test_a_hash_is_the_same_for_the_same_text_and_says_no_more() -> None:
    told = {mask("hash", whole("email", t), t, Vault(), keyed) for t in ("a", "a", "b")}
    assert len(told) == 2
    assert all(word.startswith("[EMAIL:") and len(word) == 24 for word in told)


@pytest.mark.parametrize(
    ("type_", "kind", "text", "shown"),
    [
        ("credit_card", "pii", "4111 1111 1111 1111", "**** **** **** 1111"),
        ("email", "pii", "ana.maria@acme.example", "a***@acme.example"),
        ("phone", "pii", "+49 30 901820", "+** ** **1820"),
        ("api_key", "secret", "canary-0123456789", "********"),
        ("ssn", "pii", "078051120", "********"),
    ],
)
def test_a_part_shows_the_end_of_what_is_long_enough(
    type_: str, kind: str, text: str, shown: str
) -> None:
    assert partial(whole(type_, text, kind), text) == shown


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("a [", 2),
        ("a [EMAIL", 2),
        ("a [EMAIL_1", 2),
        ("a [EMAIL_1]", 11),
        ("a [e", 2),
        ("a [-", 4),
        ("", 0),
    ],
)
def test_where_a_token_may_begin(text: str, at: int) -> None:
    assert token_begins(text) == at
