"""How references to secrets are written, and what is said of those that are not."""

import pytest

from octoplex.secrets.keeper import picked
from octoplex.secrets.reference import Reference, is_reference, read
from octoplex.wire.error import BadConfig


@pytest.mark.parametrize(
    ("text", "scheme", "path", "field", "options"),
    [
        ("keyring:octoplex/openai", "keyring", "octoplex/openai", "", ()),
        (
            "awssecrets://prod/llm#key?region=eu-west-1",
            "awssecrets",
            "prod/llm",
            "key",
            (("region", "eu-west-1"),),
        ),
        (
            "awssecrets://prod/llm?region=eu-west-1#key",
            "awssecrets",
            "prod/llm",
            "key",
            (("region", "eu-west-1"),),
        ),
        ("awsssm:///prod/key", "awsssm", "/prod/key", "", ()),
        (
            "awssecrets://arn:aws:secretsmanager:eu-west-1:1:secret:a-b",
            "awssecrets",
            "arn:aws:secretsmanager:eu-west-1:1:secret:a-b",
            "",
            (),
        ),
        ("gcpsecrets://p/n?version=3", "gcpsecrets", "p/n", "", (("version", "3"),)),
        ("vault://kv/team%20a/llm#a.b", "vault", "kv/team a/llm", "a.b", ()),
    ],
)
def test_a_reference_is_read(
    text: str, scheme: str, path: str, field: str, options: tuple[tuple[str, str], ...]
) -> None:
    assert is_reference(text)
    assert read(text) == Reference(scheme, path, field, options)


@pytest.mark.parametrize("text", ["env:A", "file:a", "https://x/y", "sk-canary", "vault", ""])
def test_all_else_is_none(text: str) -> None:
    assert not is_reference(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("vault://kv", "names no secret; write vault://MOUNT/PATH#FIELD"),
        ("keyring:", "names no secret; write keyring:SERVICE/USER"),
        ("awssecrets://", "names no secret; write awssecrets://NAME"),
        ("gcpsecrets://p/n?verson=3", 'no option "verson"; known: version'),
        ("keyring:a/b?x=1", 'no option "x"; known: none'),
    ],
)
def test_what_is_wrong_is_said(text: str, says: str) -> None:
    with pytest.raises(BadConfig) as caught:
        read(text)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("", " canary\n", "canary"),
        ("key", '{"key": "canary", "other": 1}', "canary"),
        ("key", {"key": "canary"}, "canary"),
        ("n", {"n": 12}, "12"),
    ],
)
def test_a_member_is_picked(field: str, value: object, text: str) -> None:
    assert picked(Reference("vault", "a/b", field), value) == text


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("key", "canary-not-json", "is not a JSON object"),
        ("key", {"b": "canary", "a": 1}, "it has: a, b"),
        ("", {"b": "canary"}, "name one: #b"),
        ("", "  ", "is empty"),
        ("key", {"key": ""}, "is empty"),
        ("key", {"key": None}, "the secret is null"),
        ("key", {"key": ["canary"]}, "the secret is a list"),
        ("key", {"key": True}, "the secret is true or false"),
        ("", 1.5, "the secret is a number with a point"),
        ("", None, "the secret is null"),
    ],
)
def test_a_member_that_is_not_there_is_named(field: str, value: object, says: str) -> None:
    with pytest.raises(BadConfig) as caught:
        picked(Reference("vault", "a/b", field), value)
    assert says in str(caught.value)
    assert "canary" not in str(caught.value)
