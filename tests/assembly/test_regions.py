"""`region` on a route or a key: only targets that answer there are asked."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from octoplex.assembly.arrival import Arrival, read_call
from octoplex.assembly.plan import Plan
from octoplex.assembly.sketch import Sketch
from octoplex.settings import parse
from octoplex.transport.fake import Script
from octoplex.wire.answer import Answer
from octoplex.wire.error import BadConfig, Forbidden, OutOfRegion, UpstreamError
from tests.assembly.scene import CHAT, Scene, opened

ENV = {
    "MISTRAL_API_KEY": "k",
    "OPENAI_API_KEY": "k",
    "LIGHTON_API_KEY": "k",
    "MARITACA_API_KEY": "k",
    "OPENROUTER_API_KEY": "k",
    "AZURE_OPENAI_API_KEY": "k",
    "DEEPSEEK_API_KEY": "k",
    "EU": "a-secret-of-the-eu-key-1",
    "BR": "a-secret-of-the-br-key-2",
    "ANY": "a-secret-of-any-key-3456",
}
FILE = """
[providers.mistral]
region = "eu"
[providers.mine]
dialect = "openai-chat"
base_url = "https://mine.test/v1"
region = "de"
[providers.silent]
dialect = "openai-chat"
base_url = "https://silent.test/v1"
[models.main]
try = ["openai/gpt-5-mini", "mistral/m", "lighton/m", "maritaca/m", "mine/m"]
[models.eu]
try = ["openai/gpt-5-mini", "mistral/m", "lighton/m", "maritaca/m", "mine/m"]
region = "eu"
retry = { attempts = 1 }
[models.us]
try = ["maritaca/m", "silent/m", "openrouter/m"]
region = "us"
[keys.eu]
secret = "env:EU"
region = "eu"
[keys.br]
secret = "env:BR"
region = "br"
[keys.any]
secret = "env:ANY"
"""

UNSAID = "nobody says where it answers; set [providers.openai] region to one of: eu"


def plan(text: str = FILE, env: dict[str, str] | None = None) -> Plan:
    async def main() -> Plan:
        return Sketch(ENV if env is None else env, Path("nowhere")).plan(parse(text))

    return asyncio.run(main())


def why(target: str, area: str, text: str = FILE, env: dict[str, str] | None = None) -> str:
    async def main() -> str:
        sketch = Sketch(ENV if env is None else env, Path("nowhere"))
        route = sketch.plan(parse(text)).resolver.find(target)
        return route.candidates[0].target.outside(area)

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("target", "area", "words"),
    [
        ("mistral/m", "eu", ""),
        ("mistral/m", "us", "it is asked in eu"),
        ("lighton/m", "eu", ""),
        ("lighton/m", "fr", ""),
        ("lighton/m", "de", "it answers in eu and fr"),
        ("maritaca/m", "br", ""),
        ("maritaca/m", "eu", "it answers in br"),
        ("openai/m", "eu", UNSAID),
        ("deepseek/m", "cn", "nobody says where it answers"),
        ("openrouter/m", "us", "it hands requests on to others, wherever they are"),
        ("mine/m", "de", ""),
        ("mine/m", "eu", ""),
        ("mine/m", "fr", "it is asked in de"),
        ("silent/m", "eu", "nobody says where it answers; set [providers.silent] region"),
        ("octoplex/smollm2", "eu", ""),
        ("pass:mistral/m", "eu", ""),
        ("pass:openai/m", "eu", UNSAID),
    ],
)  # fmt: skip
def test_where_a_target_answers(target: str, area: str, words: str) -> None:
    assert why(target, area) == words


@pytest.mark.parametrize(
    ("model", "area", "words"),
    [
        ("anthropic.claude-opus-4-6-v1", "de", ""),
        ("eu.anthropic.claude-opus-4-6-v1", "eu", ""),
        ("eu.anthropic.claude-opus-4-6-v1", "de", "its inference profile answers anywhere in eu"),
        ("us.anthropic.claude-opus-4-6-v1", "eu", "its inference profile answers anywhere in us"),
        ("us.anthropic.claude-opus-4-6-v1", "us", "it is asked in eu-central-1"),
        ("global.amazon.nova-pro-v1:0", "eu", "its inference profile answers in more regions"),
    ],
)
def test_a_profile_of_bedrock_must_be_in_the_area_too(model: str, area: str, words: str) -> None:
    text = '[providers.bedrock]\napi_key = "env:ANY"\nregion = "eu-central-1"\n'
    for name in ("bedrock/" + model, "pass:bedrock/" + model):
        assert why(name, area, text) == words
    assert plan(text).answers_in("bedrock/" + model, area) == (not words)


def test_what_the_catalogue_knows_holds_for_its_own_url_only() -> None:
    text = '[providers.maritaca]\nbase_url = "https://proxy.test/api"\napi_key = "env:ANY"\n'
    assert "base_url is not the catalogue's" in why("maritaca/m", "br", text)
    env = ENV | {"OPENAI_BASE_URL": "https://proxy.test/v1"}
    assert "nobody says" in why("openai/m", "eu", "", env)
    text = '[providers.openai]\nregion = "eu"\n'
    assert why("openai/m", "eu", text, env) == ""
    assert plan(text, env).sources["openai"].base_url == "https://eu.api.openai.com/v1"


AWAY = '[providers.vllm]\nbase_url = "https://gpu.us-east.test/v1"\n'
KEY = '[keys.any]\nsecret = "env:ANY"\n'


@pytest.mark.parametrize(
    ("url", "region", "words"),
    [
        ("http://127.0.0.1:8000/v1", "", ""),
        ("http://[::1]:8000/v1", "", ""),
        ("http://localhost:8000/v1", "", ""),
        ("http://10.2.3.4:8000/v1", "", ""),
        ("http://[fd00::1]:8000/v1", "", ""),
        ("http://127.0.0.1:8000/v1", "us", "it is asked in us"),
        ("https://gpu.us-east.test/v1", "", "nobody says where it answers; set [providers.vllm]"),
        ("http://8.8.8.8:8000/v1", "", "nobody says where it answers"),
        ("http://[::ffff:808:808]:8000/v1", "", "nobody says where it answers"),
        ("https://127.0.0.1.test/v1", "", "nobody says where it answers"),
        ("http://ollama:11434/v1", "", ""),
        ("http://vllm/v1", "", ""),
        ("http://host.docker.internal:8000/v1", "", ""),
        ("http://[::1]/v1", "", ""),
        ("http://[::ffff:7f00:1]:8000/v1", "", ""),
        ("http://2130706433:8000/v1", "", ""),
        ("http://vllm:8000/v1", "us", "it is asked in us"),
        ("http://vllm:8000/v1", "eu", ""),
        ("http://ollama.:11434/v1", "", "nobody says where it answers"),
        ("http://localhost.evil.com:8000/v1", "", "nobody says where it answers"),
        ("http://134744072:8000/v1", "", "nobody says where it answers"),
        ("https://gpu.us-east.test/v1", "us", "it is asked in us"),
        ("https://gpu.eu.test/v1", "eu", ""),
        ("https://gpu.eu.test/v1", "de", ""),
    ],
)
def test_a_local_server_is_where_its_address_or_the_file_says(
    url: str, region: str, words: str
) -> None:
    text = f'[providers.vllm]\nbase_url = "{url}"\n'
    text += f'region = "{region}"\n' if region else ""
    said = [why(name, "eu", text, {}) for name in ("vllm/m", "pass:vllm/m")]
    if not region:
        said.append(why("vllm/m", "eu", "", {"VLLM_API_BASE": url}))
    assert all(one.startswith(words) and bool(one) is bool(words) for one in said), said


def test_a_local_server_elsewhere_is_not_asked(tmp_path: Path) -> None:
    text = AWAY + KEY + '[models.main]\ntry = ["vllm/m"]\nregion = "eu"\n'

    async def main() -> None:
        async with opened(tmp_path, text, ENV, Script(body=CHAT)) as at:
            with pytest.raises(OutOfRegion, match="nobody says where it answers"):
                await ask(at, "ANY", "main")
            assert not at.fake.sent

    asyncio.run(main())


def test_a_local_server_elsewhere_costs_what_the_file_says() -> None:
    def cost(text: str) -> int | None:
        price = plan(text, {}).prices.price("vllm", "m")
        return None if price is None else price.input_pico

    assert cost('[providers.vllm]\nbase_url = "http://10.0.0.1/v1"\n') == 0
    assert cost('[providers.vllm]\nbase_url = "http://vllm:8000/v1"\n') == 0
    assert cost(AWAY) is None
    assert cost(AWAY + '[prices]\n"vllm/m" = { input = 0, output = 0 }\n') == 0


def test_a_budget_is_not_met_with_nothing_elsewhere(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(
            tmp_path, AWAY + KEY + 'limits = "$1/day"\n', ENV, Script(body=CHAT)
        ) as at:
            with pytest.raises(Forbidden):
                await ask(at, "ANY", "vllm/m")
            assert not at.fake.sent

    asyncio.run(main())


def test_a_cloud_is_where_its_region_is() -> None:
    end = {"AZURE_OPENAI_ENDPOINT": "https://mine.openai.azure.com"}
    said = why("azure-openai/m", "eu", "", ENV | end)
    assert "set [providers.azure-openai] region to one of: francecentral" in said
    text = '[providers.azure-openai]\nregion = "germanywestcentral"\n'
    for area in ("eu", "de", "germanywestcentral"):
        assert why("azure-openai/m", area, text, ENV | end) == ""
    assert why("azure-openai/m", "us", text, ENV | end) == "it is asked in germanywestcentral"
    source = plan(text, ENV | end).sources["azure-openai"]
    assert source.base_url == "https://mine.openai.azure.com"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[models.x]\ntry = ["mistral/m"]\nregion = "EU"\n', r'\[models\.x\] region: "EU".*"eu"'),
        ('[keys.x]\nsecret = "env:ANY"\nregion = "germny"\n', r"\[keys\.x\] region: .*no area"),
        ('[providers.mistral]\nregion = "de"\n', r'region: "de" is not one of: eu, us'),
        ('[keys.x]\nsecret = "env:ANY"\nregoin = "eu"\n', 'did you mean "region"'),
    ],
)
def test_slips_in_the_file(text: str, words: str) -> None:
    with pytest.raises(BadConfig, match=words):
        plan(text)


async def ask(at: Scene, secret: str, model: str, **members: Any) -> Answer:
    """As a caller with a key."""
    body = {"model": model, "messages": [{"role": "user", "content": "Hello"}], **members}
    arrival = Arrival(
        id="r1",
        face=at.gateway.works.faces["openai-chat"],
        started_at=asyncio.get_running_loop().time(),
        patience=at.gateway.patience,
        caller=at.gateway.key(ENV[secret].encode()).caller,
    )
    return await at.gateway.answer(read_call(arrival, json.dumps(body).encode()))


def hosts(at: Scene) -> list[str]:
    return [sent.request.origin.host for sent in at.fake.sent]


def test_a_routes_region_and_a_keys_region(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path, FILE, ENV, Script(body=CHAT)) as at:
            await ask(at, "ANY", "main")
            await ask(at, "ANY", "eu")
            await ask(at, "EU", "main")
            await ask(at, "BR", "main")
            assert hosts(at) == ["api.openai.com", "api.eu.mistral.ai", "api.eu.mistral.ai",
                                 "chat.maritaca.ai"]  # fmt: skip
            at.fake.sent.clear()
            for key, model in (("BR", "eu"), ("ANY", "us"), ("EU", "openai/gpt-5-mini"),
                               ("EU", "maritaca/m")):  # fmt: skip
                with pytest.raises(OutOfRegion):
                    await ask(at, key, model)
            assert not at.fake.sent

    asyncio.run(main())


def test_no_failure_leads_outside(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path, FILE, ENV, Script(body=b"{}", status=500)) as at:
            with pytest.raises(UpstreamError):
                await ask(at, "ANY", "eu")
            inside = ["api.eu.mistral.ai", "paradigm.lighton.ai", "mine.test"]
            assert list(dict.fromkeys(hosts(at))) == inside
            at.fake.sent.clear()
            with pytest.raises(UpstreamError):
                await ask(at, "EU", "openai/gpt-5-mini", models=["maritaca/m", "mistral/m"])
            assert set(hosts(at)) == {"api.eu.mistral.ai"}

    asyncio.run(main())


def test_a_key_is_shown_the_models_that_it_may_ask(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path, FILE, ENV) as at:
            eu = at.gateway.names(at.gateway.key(ENV["EU"].encode()).caller)
            br = at.gateway.names(at.gateway.key(ENV["BR"].encode()).caller)
            assert {"main", "eu"} <= set(eu)
            assert "us" not in eu
            assert "main" in br
            assert "eu" not in br
            assert any(n.startswith("mistral/") for n in eu)
            assert not any(n.startswith(("openai/", "mistral/")) for n in br)

    asyncio.run(main())
