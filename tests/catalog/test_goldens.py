"""Each row makes the request that its golden says, typed from the vendor's page or a list.

A row that asks plainly, with one key and nothing to fill in, has its golden in the comments at
its head, which no code but this reads: `# POST URL` of each dialect, and of what is no chat, and
`# HEADER: VALUE` as the page's curl has it. Any other, and one with a transcript, has
`goldens/ID.json`: `key` is the first variable that holds the key and `env` what fills the URL;
`header` is how the key travels, or `auth` what takes more than a header, and `scope` for what AWS
signs; `requests` the URL, query and body of one plain chat in every dialect of the row, of
`model` where "m" would not do; `others` URLs of what is no chat, `regions` base URLs. Neither is
ever written from the rest of the row.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import pytest

from octoplex.assembly.dialects import dialects
from octoplex.catalog.provider import (
    FOLDER,
    IMPLEMENTED,
    OPERATIONS,
    Operation,
    Provider,
    catalogue,
)
from octoplex.transport.origin import NO_PROXIES
from octoplex.upstreams.configured import from_row
from octoplex.upstreams.source import Making, Secret, Source
from octoplex.upstreams.upstream import Spec, Wire
from octoplex.wire.chat import Chat, Message, TextPart

GOLDENS = Path(__file__).parent / "goldens"
ROWS = list(catalogue().values())
MAKING = Making(dialects=dialects(), proxies=NO_PROXIES)
HELLO = Chat(model="m", messages=(Message("user", (TextPart("Say hi."),)),), max_tokens=16)

TWINS = {
    "https://api.friendli.ai/serverless/v1/chat/completions": "EXAONE is served by FriendliAI",
    "https://api.publicai.co/v1/chat/completions": "Apertus is served by Public AI",
    "http://127.0.0.1:8000/v1/chat/completions": "vLLM's port is FastChat's and MLC's too",
    "http://127.0.0.1:8080/v1/chat/completions": "the port of four local servers",
    "{server}/chat/completions": "open weights on whichever server serves them",
}
"""Requests that two rows may share, and why."""

UNSEEN = {
    "baichuan": "its pages are drawn by a script; the URL is what public clients of it ask",
    "tencent-hunyuan": "the stored part of its page ends before embeddings; so are public clients'",
}
"""Rows with a URL of what is no chat that no page of their vendor was seen to show, and why. May
only become shorter."""
SAID: list[Mapping[str, str]] = [{"role": "user", "content": "Say hi."}]
PLAIN: Mapping[str, Mapping[str, Any]] = {
    "openai-chat": {"model": "m", "messages": SAID, "max_tokens": 16},
    "openai-responses": {
        "model": "m",
        "input": [{"type": "message", "role": "user", "content": "Say hi."}],
        "max_output_tokens": 16,
        "store": False,
    },
    "anthropic": {"model": "m", "max_tokens": 16, "messages": SAID},
}
"""What `HELLO` is in the dialects that a golden in comments can have."""
OTHER: tuple[Operation, ...] = ("embed", "rerank", "moderation")
ENDINGS = {
    "/chat/completions": "openai-chat",
    "/responses": "openai-responses",
    "/messages": "anthropic",
    "/embeddings": "embed",
    "/rerank": "rerank",
    "/moderations": "moderation",
}


def golden(row: Provider) -> Any:
    path = GOLDENS / f"{row.id}.json"
    if path.exists():
        return msgspec.json.decode(path.read_bytes())
    return commented((FOLDER / f"{row.id}.toml").read_text())


def commented(text: str) -> Any:
    """The golden that stands in the comments of a row, in the form of a golden file."""
    urls = {_asked(url): url for url in re.findall(r"(?m)^# POST (\S+)$", text)}
    header = re.search(r"(?m)^# ([a-z-]+): ((?:Bearer )?)\$([A-Z0-9_]+)$", text)
    return {
        "key": header and header[3],
        "header": header and [header[1], header[2] + "KEY"],
        "env": {},
        "requests": {n: {"url": u, "body": PLAIN[n]} for n, u in urls.items() if n in PLAIN},
        "others": {n: u for n, u in urls.items() if n not in PLAIN},
    }


def _asked(url: str) -> str:
    (name,) = (name for ending, name in ENDINGS.items() if url.endswith(ending))
    return name


def source_of(row: Provider, said: Any) -> Source:
    return from_row(row, said["env"] | ({said["key"]: "KEY"} if said["key"] else {}))


def requested(head: bytes) -> tuple[str, dict[str, str]]:
    """URL without its scheme, and headers, of a request as it is sent."""
    first, *lines = head.decode("ascii").strip().split("\r\n")
    headers = {n.lower(): v for n, v in (line.split(": ", 1) for line in lines)}
    return headers["host"] + first.split()[1], headers


def test_every_row_has_one_golden_and_none_is_left_over() -> None:
    files = {p.stem for p in GOLDENS.glob("*.json")}
    rows = {row.id for row in ROWS}
    commented = {i for i in rows if "\n# POST " in "\n" + (FOLDER / f"{i}.toml").read_text()}
    assert files | commented == rows
    assert not files & commented


@pytest.mark.parametrize("row", ROWS, ids=lambda r: r.id)
def test_a_row_asks_at_the_urls_of_its_golden_file(row: Provider) -> None:
    said = golden(row)
    base_url = source_of(row, said).base_url
    model = quote(_model(said), safe="")
    assert {n: row.url(n, base_url=base_url).format(model=model) for n in row.dialects} == {
        name: request["url"] for name, request in said["requests"].items()
    }
    for name, url in said.get("others", {}).items():
        path = row.path_of(name)
        assert path is not None
        assert base_url + path.format(model=model) == url
    for name, url in said.get("regions", {}).items():
        assert row.base_url_in(name) == url
    assert set(row.regions) <= set(said.get("regions", ()))


@pytest.mark.parametrize("row", ROWS, ids=lambda r: r.id)
def test_a_golden_has_the_url_of_each_operation_that_is_no_chat(row: Provider) -> None:
    asked = {op for op in OTHER if op in row.modalities and row.path_of(op) and not row.obstacle}
    assert asked <= set(golden(row).get("others", ()))
    assert row.id not in UNSEEN or asked


def _model(said: Any) -> str:
    return str(said.get("model", "m"))


def wires_of(spec: Spec) -> dict[str, Wire]:
    """By the names that rows have for dialects."""
    return {wire.dialect.name: wire for wire in spec.wires.values()}


@pytest.mark.parametrize("row", ROWS, ids=lambda r: r.id)
def test_a_row_is_authorised_as_its_golden_file_says(row: Provider) -> None:
    said = golden(row)
    assert (row.key_env[0] if row.key_env else None) == said["key"]
    if "auth" in said:
        assert row.auth == said["auth"]
        return
    assert row.auth in {"bearer", "none", said["header"] and said["header"][0]}
    source = source_of(row, said)
    assert source.missing == row.obstacle
    if row.obstacle or not row.dialects:
        return
    key = source.keys[0] if source.keys else None
    wires = wires_of(source.spec(_model(said), key, MAKING))
    assert set(wires) == set(row.dialects) & IMPLEMENTED
    for name, wire in wires.items():
        url, headers = requested(wire.head)
        asked = said["requests"][name]
        assert url == asked["url"].split("://")[1] + asked.get("query", "")
        keyed = {n: v for n, v in headers.items() if "KEY" in v}
        assert keyed == (dict([said["header"]]) if said["header"] else {})


@pytest.mark.parametrize("row", [r for r in ROWS if "auth" in golden(r)], ids=lambda r: r.id)
def test_a_key_that_is_no_header_is_in_none(row: Provider) -> None:
    said = golden(row)
    key = None if row.auth == "oci" else Secret("k", "KEY")  # its key is a file; it signs
    spec = source_of(row, said).spec(_model(said), key, MAKING)
    if not row.obstacle:
        assert not any(
            "KEY" in v for w in spec.wires.values() for v in requested(w.head)[1].values()
        )
    assert ("scope" in said) is (row.auth == "sigv4")


@pytest.mark.parametrize("row", [r for r in ROWS if "scope" in golden(r)], ids=lambda r: r.id)
def test_a_request_to_aws_is_signed_for_the_scope_of_its_golden_file(row: Provider) -> None:
    said = golden(row)
    source = from_row(row, said["env"] | {said["key"]: "KEY", "AWS_SECRET_ACCESS_KEY": "SECRET"})
    spec = source.spec(_model(said), None, MAKING)
    assert spec.sign is not None
    signed = {n.lower(): v for n, v in spec.sign("/model/m/converse", b"{}")}["authorization"]
    assert re.match(rf"AWS4-HMAC-SHA256 Credential=KEY/\d{{8}}/{said['scope']},", signed)


@pytest.mark.parametrize("row", ROWS, ids=lambda r: r.id)
def test_a_row_sends_the_body_of_its_golden_file(row: Provider) -> None:
    said = golden(row)
    source = source_of(row, said)
    spec = source.spec(_model(said), None, MAKING)
    for name, wire in wires_of(spec).items():
        body = wire.dialect.encode_chat(HELLO, spec.traits).body
        assert msgspec.json.decode(body) == said["requests"][name]["body"], name


def test_operations_are_those_of_the_dialects() -> None:
    for name, dialect in dialects().items():
        path = OPERATIONS[name]  # type: ignore[index]
        assert path.format(model="m") == dialect.path_for("m", stream=False)


def test_no_two_rows_ask_at_one_url_but_the_listed_twins() -> None:
    seen: dict[str, list[str]] = {}
    for row in ROWS:
        for name in row.dialects:
            seen.setdefault(row.url(name), []).append(row.id)
    assert {url for url, ids in seen.items() if len(ids) > 1} == set(TWINS)
