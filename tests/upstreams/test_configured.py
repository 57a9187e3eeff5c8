"""What a table of the file makes of the catalogue's row."""

import json

import msgspec
import pytest

from octoplex.assembly.dialects import dialects
from octoplex.catalog.provider import catalogue
from octoplex.dialects.single import OPERATIONS
from octoplex.transport.origin import NO_PROXIES, NOT_CARRIED
from octoplex.upstreams.config import Provider
from octoplex.upstreams.configured import from_file, from_row
from octoplex.upstreams.source import Making, Source
from octoplex.wire.error import BadConfig

WITHOUT_A_CHAT = [name for name, row in catalogue().items() if not row.dialects]


def filed(name: str, table: Provider) -> Source:
    return from_file(name, table, catalogue().get(name), {}, lambda *_: "k")


@pytest.mark.parametrize("name", [n for n in WITHOUT_A_CHAT if not catalogue()[n].obstacle])
@pytest.mark.parametrize("base_url", [None, "https://mine.test/v1"])
def test_what_serves_no_chat_can_be_configured(name: str, base_url: str | None) -> None:
    row = catalogue()[name]
    source = filed(name, Provider(api_key="env:K", base_url=base_url))
    assert source.usable
    assert source.base_url == (base_url or row.base_url)
    assert set(source.operations) == set(row.paths)


@pytest.mark.parametrize("name", [n for n in WITHOUT_A_CHAT if catalogue()[n].obstacle])
def test_what_cannot_be_asked_says_why_and_what_to_do(name: str) -> None:
    with pytest.raises(BadConfig) as refused:
        filed(name, Provider(api_key="env:K"))
    why = catalogue()[name].obstacle
    assert str(refused.value) == f"[providers.{name}]: {why} Write base_url and dialect."


def test_what_nobody_knows_says_so() -> None:
    with pytest.raises(BadConfig, match=r"It is not in the catalogue\. Write base_url"):
        filed("mine", Provider(base_url="https://mine.test/v1"))


@pytest.mark.parametrize(
    ("name", "region"),
    [(n, r) for n, row in catalogue().items() for r in row.regions if not row.cloud],
)
def test_a_base_url_that_is_written_is_asked_whatever_the_region(name: str, region: str) -> None:
    table = Provider(api_key="env:K", base_url="https://mine.test/v1", region=region)
    source = filed(name, table)
    assert (source.base_url, source.region, source.moved) == (table.base_url, region, True)
    usual = filed(name, Provider(api_key="env:K", region=region))
    assert (usual.base_url, usual.moved) == (catalogue()[name].regions[region], False)


@pytest.mark.parametrize("name", [*catalogue(), ""])
def test_what_it_serves_is_what_can_be_asked_for(name: str) -> None:
    mine = Provider(base_url="https://mine.test", dialect="openai-chat")
    source = from_row(catalogue()[name], {}) if name else filed("mine", mine)
    source = msgspec.structs.replace(source, base_url="https://mine.test")
    making = Making(dialects=dialects(), proxies=NO_PROXIES)
    able = {of for op, of in OPERATIONS.items() if source.single(op, "m", None, making)}
    assert set(source.serves) - {"chat"} == able - {"chat"}
    wires = source.spec("m", None, making).wires
    assert ("chat" in source.serves) == (bool(wires) and "chat" in source.modalities)


MINE = Provider(base_url="https://mine.test", dialect="openai-chat", api_key="env:K")


@pytest.mark.parametrize("secret", ["sk-1234\n5678", "sk-12345678\n", "sk-\x001", "sk-\u20ac1"])
def test_a_secret_that_no_header_can_carry_is_refused_by_its_source(secret: str) -> None:
    def refusal(name: str, table: Provider) -> str:
        with pytest.raises(BadConfig) as refused:
            from_file(name, table, catalogue().get(name), {}, lambda *_: secret)
        assert secret not in str(refused.value)
        return str(refused.value)

    said = refusal("mine", MINE)
    assert said == f"[providers.mine] api_key (env:K): it {NOT_CARRIED}."
    assert "[providers.openai] api_key (env:K)" in refusal("openai", Provider(api_key="env:K"))
    own = msgspec.structs.replace(MINE, api_key=None, headers={"x-own": "env:K"})
    assert "[providers.mine] headers" in (said := refusal("mine", own))
    assert "'x-own'" in said


@pytest.mark.parametrize("name", ["content-length", "x own"])
def test_a_header_that_cannot_be_sent_is_refused_when_the_file_is_read(name: str) -> None:
    table = msgspec.structs.replace(MINE, headers={name: "1"})
    with pytest.raises(BadConfig, match=rf"\[providers.mine\] headers: .*{name!r}"):
        filed("mine", table)


@pytest.mark.parametrize(
    ("name", "variable"), [("openai", "OPENAI_API_KEY"), ("bedrock", "AWS_ACCESS_KEY_ID")]
)
def test_a_variable_that_no_header_can_carry_is_no_key(name: str, variable: str) -> None:
    env = {"AWS_ACCESS_KEY_ID": "AKIA1", "AWS_SECRET_ACCESS_KEY": "x", "AWS_REGION": "us-east-1"}
    whole = from_row(catalogue()[name], env | {variable: "AKIA12345678"})
    assert whole.usable, whole.missing
    source = from_row(catalogue()[name], env | {variable: "AKIA12345678\n"})
    assert NOT_CARRIED in source.missing
    assert "AKIA" not in source.missing
    assert not source.keys
    assert source.signer is None
    table = from_file(name, Provider(), catalogue()[name], env | {variable: "A\n"}, lambda *_: "")
    assert NOT_CARRIED in table.missing


def test_a_key_that_is_changed_for_tokens_may_have_lines() -> None:
    key = json.dumps({"type": "authorized_user"}, indent=1)
    with pytest.raises(BadConfig) as refused:  # for what it lacks
        from_file("vertex", Provider(api_key="env:K"), catalogue()["vertex"], {}, lambda *_: key)
    assert NOT_CARRIED not in str(refused.value)
