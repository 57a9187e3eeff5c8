"""Which row of the catalogue LiteLLM's `PREFIX/model` means.

A prefix that is a catalogue id but for its underlines needs no line here. Reference:
https://docs.litellm.ai/docs/providers
"""

from collections.abc import Mapping
from types import MappingProxyType

from octoplex.catalog.provider import catalogue

ROWS: Mapping[str, str] = MappingProxyType(
    {
        "ai21_chat": "ai21",
        "aiml": "aimlapi",
        "azure": "azure-openai-deployments",
        "azure_ai": "azure-foundry",
        "azure_text": "azure-openai-deployments",
        "bedrock_converse": "bedrock",
        "cohere_chat": "cohere",
        "dashscope": "alibaba",
        "docker_model_runner": "docker-model-runner",
        "featherless_ai": "featherless",
        "fireworks_ai": "fireworks",
        "friendliai": "friendli",
        "github": "github-models",
        "gradient_ai": "digitalocean",
        "hosted_vllm": "vllm",
        "jina_ai": "jina",
        "lm_studio": "lmstudio",
        "meta_llama": "llama-api",
        "oci": "oracle-oci",
        "ollama_chat": "ollama",
        "sagemaker_chat": "sagemaker",
        "sap": "sap-ai-core",
        "text-completion-codestral": "codestral",
        "text-completion-openai": "openai",
        "together_ai": "together",
    }
)
SERVERS = frozenset({"openai", "text-completion-openai", "custom_openai", "openai_like"})
"""With an address that is not OpenAI's own, any server that speaks OpenAI's chat."""
BARE = (
    (("gpt-", "o1", "o3", "o4", "chatgpt-", "text-embedding-", "omni-moderation"), "openai"),
    (("dall-e-", "gpt-image-", "whisper-", "tts-"), "openai"),
    (("claude-",), "anthropic"),
    (("gemini-",), "vertex_ai"),
    (("command-",), "cohere_chat"),
)
"""What a model's name without a prefix begins with, and the prefix that LiteLLM takes for it."""
FORMS = ("converse/", "converse_like/", "invoke/", "responses/", "o_series/", "gpt5_series/")
"""What may stand between prefix and model to choose one of the vendor's APIs."""


def split(model: str, given: str) -> tuple[str, str]:
    """Prefix and model; the prefix is "" where none is known. `given` says it apart."""
    prefix, slash, rest = model.partition("/")
    if given:
        return given, rest if slash and prefix == given else model
    if slash:
        return prefix, rest
    found = (name for starts, name in BARE if model.startswith(starts))
    return next(found, ""), model


def row_of(prefix: str, model: str) -> str:
    """The catalogue's id; "" where it has none."""
    if prefix.startswith("vertex_ai"):
        if model.startswith("claude"):
            return "vertex-anthropic"
        if model.isdigit():
            return "vertex-endpoints"
        return "vertex" if model.startswith(("gemini", "gemma", "text-", "*")) else "vertex-maas"
    found = ROWS.get(prefix, prefix.replace("_", "-"))
    return found if found in catalogue() else ""


def model_of(row: str, model: str) -> tuple[str, str]:
    """The model's own id, and the region where it stands before it (Bedrock)."""
    for form in FORMS:
        model = model.removeprefix(form)
    first, slash, rest = model.partition("/")
    if row == "bedrock" and slash and first.count("-") >= 2 and first[-1:].isdigit():
        return rest, first
    return model, ""
