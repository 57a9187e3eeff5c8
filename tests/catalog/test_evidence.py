"""A row is "verified" exactly where its golden file holds a transcript of its vendor's own pages.

`transcript` in `goldens/ID.json`, beside the request: `docs` are the pages that it was typed
from, the vendor's own; `reply` is a whole reply with the members and values that they show, only
that a long text may end after its first sentence, and `means` what it says (`Reply`). `cases`
are transcripts of a dialect (`tests/dialects/transcripts`) that were typed from the vendor's pages.

`shape` in its place is typed from the vendor's types or from a page without a reply, or with
other values than a page shows: it holds the reader to the vendor's members, and verifies
nothing. Either may have `stream` and `streamed`, the same in chunks, and of what is no chat
`operation`: `asked` is what a caller sends, `sent` what the vendor is sent, `answer` and `usage`
what its `reply` says. Nothing here is written by the code that it judges.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from itertools import product
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from octoplex.assembly.dialects import dialects, faces
from octoplex.catalog.provider import Provider, catalogue
from octoplex.dialects.dialect import Dialect
from octoplex.dialects.single import shape_of
from octoplex.wire.event import Event, Reply, Usage, fold, unfold
from tests.catalog.test_goldens import golden
from tests.dialects.test_crossings import stream_of
from tests.dialects.test_transcripts import HERE as TRANSCRIPTS
from tests.dialects.typed import build, plain

ROWS = list(catalogue().values())
TYPED = {row.id: golden(row)["transcript"] for row in ROWS if "transcript" in golden(row)}
SHAPED = {row.id: golden(row)["shape"] for row in ROWS if "shape" in golden(row)}
BOTH = TYPED | SHAPED
WHOLE = [id_ for id_, said in BOTH.items() if "means" in said]
STREAMED = [id_ for id_, said in BOTH.items() if "stream" in said]
SINGLE = [id_ for id_, said in BOTH.items() if "operation" in said]
FACES = list(faces())
ELSEWHERE = {
    "ai21": "github.com/AI21Labs",
    "assemblyai": "github.com/AssemblyAI",
    "cerebras": "github.com/Cerebras",
    "digitalocean": "github.com/digitalocean",
    "friendli": "github.com/friendliai",
    "gemini": "github.com/google-gemini",
    "groq": "github.com/groq",
    "lmstudio": "github.com/lmstudio-ai",
    "mistral": "github.com/mistralai",
    "mixedbread": "github.com/mixedbread-ai",
    "ovhcloud": "github.com/ovh",
    "perplexity": "github.com/perplexityai",
    "sagemaker": "github.com/deepjavalibrary",
    "sambanova": "github.com/sambanova",
    "together": "github.com/togethercomputer",
    "voyage": "github.com/voyage-ai",
    "zai": "github.com/zai-org",
    "zhipu": "github.com/MetaGLM",
}
"""Where else vendors publish: what their clients are generated from, or their pages' source."""
MAKERS = {
    r"(gpt-(?!oss)|o\d)": {"openai", "azure-openai-deployments"},
    r"claude": {"anthropic", "bedrock", "vertex-anthropic"},
    r"gemini-": {"gemini"},
    r"grok-": {"xai"},
    r"(command-|embed-|rerank-)": {"cohere"},
    r"(mistral|ministral|magistral|codestral)-": {"mistral"},
    r"deepseek-": {"deepseek"},
    r"GigaChat": {"gigachat"},
}
"""Names of models that only these answer with, where no maker stands before them."""


def test_verified_is_what_has_a_transcript() -> None:
    assert {row.id for row in ROWS if row.evidence == "verified"} == set(TYPED)
    assert not set(TYPED) & set(SHAPED)


def shown(said: Any) -> Iterator[Any]:
    """Every reply, whole or in chunks, that a transcript shows."""
    yield from (said[name] for name in ("reply",) if name in said)
    yield from said.get("stream", ())
    for folder in (TRANSCRIPTS / name for name in said.get("cases", ())):
        for path in (*folder.glob("reply.json"), *folder.glob("stream.sse")):
            text = path.read_text()
            lines = re.findall(r"(?m)^data: (\{.*)$", text) if path.suffix == ".sse" else [text]
            yield from (msgspec.json.decode(line) for line in lines)


def test_no_vendor_is_shown_with_a_reply_of_another() -> None:
    vendors: dict[str, set[str]] = defaultdict(set)
    for id_, said in TYPED.items():
        for reply in shown(said):
            if reply.get("id"):
                # A prefix may be another's: the rest is what one vendor's page shows.
                vendors[reply["id"][-20:]].add(domain(catalogue()[id_].docs))
    assert len(vendors) > 10
    assert not {one: whose for one, whose in vendors.items() if len(whose) > 1}
    assert not [one for one in vendors if re.fullmatch(r"(\w+[-_])?[1-9]", one)], "made up"


@pytest.mark.parametrize("id_", TYPED)
def test_a_transcript_shows_a_model_that_its_vendor_has(id_: str) -> None:
    for reply in shown(TYPED[id_]):
        model = reply.get("model") or ""
        wrong = [n for n, whose in MAKERS.items() if re.match(n, model) and id_ not in whose]
        assert not wrong, model


@pytest.mark.parametrize("id_", BOTH)
def test_a_transcript_links_pages_of_its_vendor(id_: str) -> None:
    row, said = catalogue()[id_], BOTH[id_]
    folders = [TRANSCRIPTS / name for name in said.get("cases", ())]
    links = [*said.get("docs", ()), *(u for f in folders for u in links_of(f))]
    assert links
    assert all(link.startswith("https://") for link in links)
    assert any(is_own(row, link) for link in links), links
    assert all(is_own(row, link) for link in said.get("docs", ())[:1])
    showing = [f for f in folders if list(f.glob("reply.*")) or list(f.glob("stream.*"))]
    assert "reply" in said or "stream" in said or showing, "it shows no reply"
    assert all(any(is_own(row, link) for link in links_of(f)) for f in showing[:1])
    assert "operation" in said or golden(row)["requests"], "it shows no request"


def links_of(folder: Any) -> list[str]:
    return (folder / "doc.url").read_text().split()  # type: ignore[no-any-return]


def is_own(row: Provider, link: str) -> bool:
    """Whether a page is at the domain of the row's documentation or API, or at `ELSEWHERE`."""
    domains = {domain(row.docs), domain(row.base_url)} - {"github.com"}
    own = link.removeprefix("https://")
    return domain(link) in domains or own.startswith(ELSEWHERE.get(row.id, row.docs[8:]))


def domain(url: str) -> str:
    return ".".join((urlsplit(url).hostname or "").split(".")[-2:])


def spoken(id_: str) -> tuple[Dialect, Any]:
    said = BOTH[id_]
    assert said["dialect"] in catalogue()[id_].dialects
    return dialects()[said["dialect"]], said


@pytest.mark.parametrize("id_", WHOLE)
def test_a_reply_means_what_its_vendor_says(id_: str) -> None:
    dialect, said = spoken(id_)
    body = msgspec.json.encode(said["reply"])
    reply, seen = dialect.decode_reply(body), dialect.read_whole(body)
    assert plain(reply) == plain(build(Reply, said["means"]))
    assert seen.model == reply.model
    assert seen.usage == (None if reply.usage.estimated else reply.usage)


@pytest.mark.parametrize("id_", STREAMED)
def test_a_stream_means_what_its_vendor_says(id_: str) -> None:
    dialect, said = spoken(id_)
    wire = wire_of(said)
    assert plain(fold(events_of(dialect, wire))) == plain(build(Reply, said["streamed"]))
    scanner = dialect.scanner(hide_usage=False)
    assert scanner.feed(wire) == wire
    assert scanner.error is None
    assert scanner.stop == said["streamed"]["stop"]
    if not said["streamed"]["usage"].get("estimated"):
        assert plain(scanner.usage) == said["streamed"]["usage"]


def wire_of(said: Any) -> bytes:
    chunks = [b"data: " + msgspec.json.encode(chunk) for chunk in said["stream"]]
    return b"\n\n".join([*chunks, b"data: [DONE]\n\n"])


def events_of(dialect: Dialect, wire: bytes) -> list[Event]:
    decoder = dialect.decoder()
    return [*decoder.feed(wire), *decoder.end()]


@pytest.mark.parametrize(
    ("id_", "face"), list(product({**dict.fromkeys(WHOLE), **dict.fromkeys(STREAMED)}, FACES))
)
def test_every_caller_can_be_given_it(id_: str, face: str) -> None:
    dialect, said = spoken(id_)
    told: list[list[Event]] = []
    if "means" in said:
        reply = dialect.decode_reply(msgspec.json.encode(said["reply"]))
        assert msgspec.json.decode(faces()[face].encode_reply(reply))
        told.append(unfold(reply))
    if "stream" in said:
        told.append(events_of(dialect, wire_of(said)))
    for events in told:
        stream_of(face, events)  # judged by the grammar of the face


@pytest.mark.parametrize("id_", SINGLE)
def test_what_is_no_chat_goes_out_and_comes_back_as_its_vendor_says(id_: str) -> None:
    row, said = catalogue()[id_], BOTH[id_]
    shape = shape_of(said["operation"], row.body_of(said["operation"]))
    assert shape is not None
    fields = msgspec.json.decode(msgspec.json.encode(said["asked"]), type=dict[str, msgspec.Raw])
    assert msgspec.json.decode(shape.write(fields, "m").body) == said["sent"]
    told = shape.read(msgspec.json.encode(said["reply"]), fields, "m")
    assert msgspec.json.decode(told.body) == said["answer"]
    assert told.usage == Usage(**said["usage"])
