"""Media by URL: who is sent the address and who the bytes."""

import pytest

from octoplex.dialects.addresses import needs_bytes
from octoplex.wire.chat import Media

WEB = "https://example.com/x"
BYTES = {
    "openai-chat": {"document", "audio"},
    "openai-responses": set(),
    "anthropic": set(),
    "gemini": {"audio"},
    "bedrock-converse": {"image", "document", "audio"},
    "cohere-v2": {"document"},
    "ollama": {"image"},
    "oci": {"audio"},
    "replicate": set(),
    "sagemaker": {"document", "audio"},
    "watsonx": {"image"},
    "gigachat": set(),
    "ernie-v1": set(),
}


@pytest.mark.parametrize("dialect", BYTES)
def test_the_kinds_a_dialect_needs_as_bytes(dialect: str) -> None:
    kinds = ("image", "document", "audio")
    needed = {k for k in kinds if needs_bytes(dialect, "m", Media(kind=k, url=WEB))}
    assert needed == BYTES[dialect]


def test_older_gemini_fetches_nothing() -> None:
    image = Media(kind="image", url=WEB)
    assert needs_bytes("gemini", "gemini-2.0-flash", image)
    assert needs_bytes("gemini", "models/gemini-1.5-pro", image)
    assert not needs_bytes("gemini", "gemini-2.5-flash", image)
    assert not needs_bytes("gemini", "gemini-3-flash-preview", image)


@pytest.mark.parametrize(
    "url",
    ["s3://bucket/cat.png", "gs://bucket/cat.png", "ftp://example.com/x", "file:///etc/passwd"],
)
def test_what_only_a_provider_can_read_stays(url: str) -> None:
    assert not needs_bytes("bedrock-converse", "m", Media(kind="image", url=url))
    assert not needs_bytes("gemini", "gemini-2.0-flash", Media(kind="image", url=url))


def test_googles_own_addresses_stay_where_google_reads_them() -> None:
    file = "https://generativelanguage.googleapis.com/v1beta/files/abc"
    for url in (file, "https://www.youtube.com/watch?v=x"):
        assert not needs_bytes("gemini", "gemini-2.0-flash", Media(kind="audio", url=url))
    near = "https://generativelanguage.googleapis.com.evil.example/x"
    assert needs_bytes("gemini", "gemini-2.0-flash", Media(kind="audio", url=near))


def test_a_data_url_that_no_face_took_apart_is_unpacked() -> None:
    for dialect in ("anthropic", "bedrock-converse"):
        assert needs_bytes(dialect, "m", Media(kind="image", url="DATA:image/png,x"))


def test_bytes_and_files_need_nothing() -> None:
    assert not needs_bytes("ollama", "m", Media(kind="image", data="aGk="))
    assert not needs_bytes("ollama", "m", Media(kind="image", file_id="f1"))
