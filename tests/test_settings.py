"""One file in, one frozen tree out; every mistake named with what to write instead."""

from decimal import Decimal
from pathlib import Path

import pytest

from octoplex.settings import data_folder, find, load, parse, secret, size
from octoplex.wire.error import BadConfig

WRONG = {
    "unknown key with a near one": ('[server]\nlisen = "x"', r'\[server\].*"lisen".*"listen"'),
    "unknown table": ("[sever]\nx = 1", r'"sever".*"server"'),
    "nested unknown key": (
        '[models.m]\ntry = ["a/b"]\n[models.m.retry]\nattempt = 3',
        r'\[models\.m\.retry\].*"attempts"',
    ),
    "wrong type": ("[server]\ndrain_s = true", r"\[server\] drain_s"),
    "missing key": ('[models.m]\npick = "cheapest"', r"\[models\.m\].*try"),
    "not TOML": ("[server", "not valid TOML"),
    "no size": ('[server]\nmax_body = "big"', r'"big".*32 MB'),
    "wrong word": ('[models.m]\ntry = ["a/b"]\npick = "best"', r"\[models\.m\] pick"),
}


@pytest.mark.parametrize(("text", "says"), WRONG.values(), ids=WRONG)
def test_a_mistake_is_named(text: str, says: str) -> None:
    with pytest.raises(BadConfig, match=says) as caught:
        parse(text, "here.toml")
    assert str(caught.value).startswith("here.toml: ")


def test_prices_are_exact() -> None:
    settings = parse('[prices]\n"a/b" = { input = 0.1, output = 0.30 }')

    assert settings.prices["a/b"] == {"input": Decimal("0.1"), "output": Decimal("0.30")}


def test_a_tree_cannot_be_changed() -> None:
    settings = parse("")
    with pytest.raises(AttributeError):
        settings.server.drain_s = 1.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "expected"), [("32 MB", 32_000_000), ("512KiB", 524_288), ("7", 7), ("1 gb", 10**9)]
)
def test_sizes(text: str, expected: int) -> None:
    assert size(text) == expected


def test_where_the_file_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    env = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "xdg")}
    assert find(env) is None

    place = tmp_path / "xdg" / "octoplex" / "octoplex.toml"
    place.parent.mkdir(parents=True)
    place.write_text("")
    assert find(env) == place

    (tmp_path / "octoplex.toml").write_text("")
    assert find(env) == Path("octoplex.toml"), "the one beside us comes first"

    with pytest.raises(BadConfig, match=r"nowhere\.toml"):
        find(env, str(tmp_path / "nowhere.toml"))


def test_no_file_means_the_defaults(tmp_path: Path) -> None:
    settings = load(None)
    assert settings.origin == ""
    assert data_folder(settings, {"HOME": str(tmp_path)}) == tmp_path / ".local/share/octoplex"
    assert data_folder(settings, {"XDG_DATA_HOME": "/x"}) == Path("/x/octoplex")


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "octoplex.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadConfig, match="cannot be read"):
        load(path)


def test_secrets_are_references(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("canary-file\n")

    assert secret("env:K", {"K": "canary-env"}, "[x]") == "canary-env"
    assert secret(f"file:{file}", {}, "[x]") == "canary-file"
    for wrong in ("env:MISSING", f"file:{tmp_path}/none", "env:"):
        with pytest.raises(BadConfig, match=r"^\[x\]"):
            secret(wrong, {}, "[x]")
    with pytest.raises(BadConfig, match="does not belong here") as caught:
        secret("canary-literal", {}, "[x]")
    assert "canary-literal" not in str(caught.value)
