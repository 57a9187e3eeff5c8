"""`octoplex import`: what a file means and does not show: twice, elsewhere, by another name."""

import pytest

from octoplex.cli.importing.command import carry
from octoplex.settings import parse


@pytest.mark.parametrize(
    ("gateway", "content"),
    [
        (
            "litellm",
            b"d: &d {api_key: os.environ/K}\n"
            b"model_list:\n- {model_name: x, litellm_params: {model: openai/x}}\n"
            b"model_list:\n- model_name: y\n"
            b"  litellm_params: {<<: *d, model: openai/y, api_key: os.environ/L}\n",
        ),
        ("bifrost", b'{"providers": {"openai": {}}, "providers": {"xai": {"keys": [{}]}}}'),
    ],
)
def test_what_stands_twice_is_said(gateway: str, content: bytes) -> None:
    """YAML and JSON readers take the last one without a word; a merged key is not twice there."""
    notes = carry(gateway, content, "given", {}).notes
    (where,) = [note.where for note in notes if "stands twice" in note.says]
    assert where == ("model_list" if gateway == "litellm" else "providers")


def test_what_was_not_read_or_is_not_served_is_said() -> None:
    text = b"""
include: [models.yaml]
model_list:
- model_name: w
  litellm_params: {model: openai/whisper-1}
  model_info: {mode: audio_transcription}
"""
    notes = {note.where: note.says for note in carry("litellm", text, "given", {}).notes}
    assert "this file alone was read" in notes["include"]
    assert "no path here" in notes["model_list[0].model_info.mode"]


def test_a_model_of_sagemaker_is_its_endpoint() -> None:
    text = b"""
[models.m]
routing = ["s"]
[models.m.providers.s]
type = "aws_sagemaker"
endpoint_name = "my-endpoint"
model_name = "qwen"
hosted_provider = "openai"
"""
    (route,) = parse(carry("tensorzero", text, "given", {}).octoplex_toml).models.values()
    assert route.try_ == ("sagemaker/my-endpoint",)


def test_an_entry_that_is_none_loses_no_other() -> None:
    """A dash too many, or a line that lost its indentation."""
    text = b"""
model_list:
- model_name: a
  litellm_params: {model: os.environ/MODEL}
-
- a word
- model_name: b
  litellm_params: {model: os.environ/UNSET}
"""
    carried = carry("litellm", text, "given", {"MODEL": "openai/gpt-5-mini"})
    (route,) = parse(carried.octoplex_toml).models.values()
    assert route.try_ == ("openai/gpt-5-mini",)
    notes = [(note.where, note.says) for note in carried.notes]
    assert ("model_list[2]", "nothing here corresponds to it.") in notes
    said = {where: says for where, says in notes if "variable" in says}
    assert "what MODEL holds now" in said["model_list[0].litellm_params.model"]
    assert "what UNSET holds now" in said["model_list[3].litellm_params.model"]


def test_an_origin_that_stands_for_several_is_not_written() -> None:
    text = b"""{"client": {"allowed_origins": ["https://a.example", "https://*.b.example"]},
        "providers": {"openai": {"keys": [{"value": "env.OPENAI_API_KEY"}]}}}"""
    carried = carry("bifrost", text, "given", {})
    assert parse(carried.octoplex_toml).server.cors == ("https://a.example",)
    assert "client.allowed_origins" in [note.where for note in carried.notes]
