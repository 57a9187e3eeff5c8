"""The doors of one body in and one body out: embeddings, reranking, moderations, completions.

They are asks on the one spine: reserved, metered, limited, recorded and failed over like
chat. The body is checked for what routing and money need, and is the provider's to judge
otherwise. Errors are in OpenAI's shape, which the SDKs of all four read. Completions may be
streamed, which goes chat's way (`chat.streamed`).
"""

import msgspec
from msgspec import Raw

from octoplex.dialects.members import UNREADABLE, count_of, model_of, stream_of, wrong
from octoplex.dialects.single.gemini_face import VERBS, read_embed, write_embed
from octoplex.dialects.single.ranking import most_of
from octoplex.dialects.verbatim import split
from octoplex.gateway import Gateway
from octoplex.server import out
from octoplex.server.chat import generate, pass_on, streamed, travelling
from octoplex.server.headers import answer_headers, trailing
from octoplex.server.inbound import JSON, Inbound, read_body
from octoplex.wire.answer import Answer
from octoplex.wire.ask import Ask, Operation, Single, Trail
from octoplex.wire.beside import beside

NEEDS: dict[Operation, tuple[tuple[str, str], ...]] = {
    "embed": (("input", "a text, or a list of texts"),),
    "rerank": (("query", "a text"), ("documents", "a list of texts")),
    "moderate": (("input", "a text, or a list of inputs"),),
    "complete": (("prompt", "a text"),),
}
EXAMPLES: dict[Operation, str] = {
    "embed": "openai/text-embedding-3-small",
    "rerank": "cohere/rerank-v3.5",
    "moderate": "openai/omni-moderation-latest",
    "complete": "openai/gpt-3.5-turbo-instruct",
}
USUAL_COMPLETION = 16
"""Tokens that a completion has when nobody says otherwise (OpenAI's reference)."""

_list = msgspec.json.Decoder(list[Raw]).decode


async def embeddings(inbound: Inbound, gateway: Gateway) -> None:
    """Turn texts into vectors, in OpenAI's shape."""
    await _serve("embed", inbound, gateway)


async def rerank(inbound: Inbound, gateway: Gateway) -> None:
    """Rank documents by a query, in the shape that Cohere and Jina share."""
    await _serve("rerank", inbound, gateway)


async def moderations(inbound: Inbound, gateway: Gateway) -> None:
    """Say what a moderation model finds in texts or images, in OpenAI's shape."""
    await _serve("moderate", inbound, gateway)


async def completions(inbound: Inbound, gateway: Gateway) -> None:
    """Complete a text (OpenAI's older dialect), streamed or whole."""
    await _serve("complete", inbound, gateway)


async def of_gemini(inbound: Inbound, gateway: Gateway) -> None:
    """Answer a request whose URL names the model and the operation, as Gemini's do."""
    model, _, verb = inbound.rest.rpartition(":")
    if verb not in VERBS:
        await generate(inbound, gateway)
        return
    body = await read_body(inbound, gateway.max_body)

    def read() -> Single:
        return _asked("embed", inbound, gateway, body, read_embed(split(body), model, verb))

    ask = await beside(len(body), read)
    answer = await gateway.answer(ask)
    block = JSON + answer_headers(inbound, ask, answer.head, gateway)
    await inbound.line.whole(200, block, write_embed(answer.body or b"{}", verb))


async def _serve(op: Operation, inbound: Inbound, gateway: Gateway) -> None:
    body = await read_body(inbound, gateway.max_body)
    ask = await beside(len(body), lambda: _asked(op, inbound, gateway, body, split(body)))
    if ask.stream:
        inbound.verbatim = True  # a failure before the answer opens is told as after it
        await streamed(inbound, gateway, ask, passing=_pass_on)
        return
    answer = await gateway.answer(ask)
    block = JSON + answer_headers(inbound, ask, answer.head, gateway)
    await inbound.line.whole(200, block, answer.body or b"{}")


async def _pass_on(inbound: Inbound, ask: Ask, answer: Answer, stream: out.Stream) -> None:
    if answer.body is None:
        await pass_on(inbound, ask, answer, stream)
        return
    # It came whole although a stream was asked for: it has the form of a chunk.
    chunk = b"data: %b\n\ndata: [DONE]\n\n" % msgspec.json.format(answer.body, indent=-1)
    await stream.write(chunk + trailing(ask), last=True)


def _asked(
    op: Operation, inbound: Inbound, gateway: Gateway, body: bytes, fields: dict[str, Raw]
) -> Single:
    """Check what routing and money need.

    Raises:
        InvalidCall: naming the field, its value and what to send.
    """
    if op == "moderate" and "model" not in fields:  # the SDKs leave it out
        fields["model"] = Raw(b'"%b"' % EXAMPLES[op].encode())
    model = model_of(fields, EXAMPLES[op])
    for name, wanted in NEEDS[op]:
        if bytes(fields.get(name) or b"null") in (b"null", b"[]", b'""'):
            raise wrong(name, None, wanted)
    output, n, stream, patience_s = 0, 1, False, gateway.patience.plain_s
    if op == "complete":
        output, stream = count_of(fields, "max_tokens") or USUAL_COMPLETION, stream_of(fields)
        n = max(count_of(fields, "n") or 1, count_of(fields, "best_of") or 1) * _prompts(fields)
        patience_s = gateway.patience.stream_s if stream else patience_s
    added, searches = most_of(fields) if op == "rerank" else (0, 0)
    ask = Single(
        inbound.id,
        inbound.face.name,
        model,
        body,
        inbound.started_at + patience_s,
        inbound.started_at,
        op,
        stream,
        inbound.caller,
        travelling(inbound.line.headers),
        Trail(),
        "",
        fields,
        output,
        n,
        added,
        searches,
    )
    inbound.trail = ask.trail
    return ask


def _prompts(fields: dict[str, Raw]) -> int:
    """How many texts are to be completed: a list of numbers is one, of tokens."""
    try:
        found = _list(fields["prompt"])
    except UNREADABLE:
        return 1
    return len(found) if found and bytes(found[0])[:1] in b'["' else 1
