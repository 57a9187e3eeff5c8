"""A started gateway with an imported LiteLLM file: the old names, keys and fallbacks work."""

import json
import urllib.error
import urllib.request
from typing import Any

import msgspec
import openai
import pytest

from octoplex.server.mock import Script, Turn
from tests.shell import Home, Mocked, mocked, run, serving

MASTER = "sk-of-the-master-0123456789"


def config(mock: Mocked, broken: Mocked) -> str:
    """https://docs.litellm.ai/docs/proxy/configs, with the addresses of two scripted providers."""
    return f"""
model_list:
  - model_name: gpt-4o                     # two deployments that fail, and a fallback
    litellm_params:
      model: azure/gpt-4o-eu
      api_base: {broken.url}
      api_key: os.environ/AZURE_API_KEY_EU
      rpm: 6
  - model_name: gpt-4o
    litellm_params:
      model: azure/gpt-4o-ca
      api_base: {broken.url}/
      api_key: os.environ/AZURE_API_KEY_CA
      rpm: 6
  - model_name: vllm-models
    litellm_params:
      model: openai/facebook/opt-125m
      api_base: {mock.url}/v1
      api_key: sk-the-key-itself
      temperature: 0.2
  - model_name: claude
    litellm_params:
      model: anthropic/claude-haiku-4-5
      api_base: {mock.url}
      api_key: os.environ/ANTHROPIC_API_KEY
  - model_name: "hosted_vllm/*"
    litellm_params:
      model: "hosted_vllm/*"
      api_base: {mock.url}/v1
litellm_settings:
  drop_params: true
  num_retries: 0
  fallbacks: [{{"gpt-4o": ["vllm-models"]}}]
router_settings:
  model_group_alias: {{"gpt-4": "vllm-models"}}
general_settings:
  master_key: os.environ/LITELLM_MASTER_KEY
"""


@pytest.fixture
def home(bare: Home, mock: Mocked) -> Any:
    with mocked(Script((Turn(status=500),))) as broken:
        bare.config(config(mock, broken), "config.yaml")
        words = ("import", "litellm", "config.yaml", "--output", "octoplex.toml")
        run(bare, *words, status=0)
        bare.more |= {
            "LITELLM_MASTER_KEY": MASTER,
            "AZURE_API_KEY_EU": "a",
            "AZURE_API_KEY_CA": "b",
        }
        bare.more |= {"ANTHROPIC_API_KEY": "c"}
        made = (bare.path / "octoplex.toml").read_text()
        (variable,) = [line for line in made.splitlines() if "OPENAI" in line or "SERVER" in line]
        bare.more[variable.split('"env:')[1].rstrip('"')] = "sk-the-key-itself"
        yield bare


def test_old_clients_are_answered_under_their_names(home: Home, mock: Mocked) -> None:
    mock.app.play(Script((Turn(text="Here."),)))
    with serving(home) as (_, url):
        client = openai.OpenAI(base_url=f"{url}/v1", api_key=MASTER, max_retries=0, timeout=20)
        names = ["gpt-4o", "vllm-models", "claude", "gpt-4", "hosted_vllm/of-any-name"]
        for name in names:
            reply = client.chat.completions.create(
                model=name, messages=[{"role": "user", "content": "x"}]
            )
            assert reply.choices[0].message.content == "Here."
        chunks = client.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": "x"}], stream=True
        )
        text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
        assert text == "Here."
        listed = {model.id for model in client.models.list()}
        assert {"gpt-4o", "vllm-models", "claude", "gpt-4"} <= listed
    asked = [entry.model for entry in mock.app.book]
    opt = "facebook/opt-125m"
    assert asked == [opt, opt, "claude-haiku-4-5", opt, "of-any-name", opt]
    assert [msgspec.json.decode(e.body).get("temperature") for e in mock.app.book[:2]] == [
        None,
        0.2,
    ]


def test_without_the_master_key_nobody_is_answered(home: Home) -> None:
    with serving(home) as (_, url):
        body = json.dumps({"model": "gpt-4", "messages": [{"role": "user", "content": "x"}]})
        request = urllib.request.Request(f"{url}/v1/chat/completions", body.encode())
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(request, timeout=10)
        assert error.value.code == 401
