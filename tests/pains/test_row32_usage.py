"""Row 32: usage is missing on streams.

Every dialect's usage through every SDK: `tests/sdk/test_lattice.py`. Here a provider that gives
none: the ledger has an estimate that is flagged, and the SDK's own reading of the stream works.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.sdk import vendors as v
from tests.sdk.conftest import Tee
from tests.sdk.faces import Sdks
from tests.sdk.house import PRICED, SPEAKERS, Vendor
from tests.sdk.house import words as words_of
from tests.sdk.others import OTHERS, chunks
from tests.sdk.sides import every_face, every_target
from tests.sdk.test_lattice import settled
from tests.upstream_server import Play, says, streams

WORDS = "Grüße! How can I assist you today?"
OWN = {"openai-chat": "oai", "openai-responses": "resp", "anthropic": "claude", "gemini": "gem"}
FRAMED = {t for t, (d, _) in SPEAKERS.items() if "amazon" in OTHERS.get(d, ("", "", ""))[2]}
UNCOUNTED = sorted(PRICED.keys() - (FRAMED - {"rock", "inv"}))
"""Those whose counts can be taken out here; the others' frames hold one of their dialects."""
COUNTS = {"usage", "usageMetadata", "prompt_eval_count", "eval_count"}


def without(value: Any) -> Any:
    """The same without its counts, wherever they stand."""
    if isinstance(value, list):
        return [without(one) for one in value]
    if isinstance(value, dict):
        return {name: without(one) for name, one in value.items() if name not in COUNTS}
    return value


def uncounted(wire: bytes) -> bytes:
    """An SSE event or a line of JSON without its counts."""
    return re.sub(rb"\{.*\}", lambda m: json.dumps(without(json.loads(m[0]))).encode(), wire)


def silent(target: str, stream: bool) -> Play:
    """A whole answer that says nothing of what it cost."""
    block = v.text(WORDS)
    if target in ("oai", "claude"):
        if not stream:
            play = v.chat({"content": WORDS}, usage={}) if target == "oai" else None
            return play or v.message([block], usage={})
        if target == "oai":
            wires = v.chat_events([{"content": WORDS[:9]}, {"content": WORDS[9:]}], "stop")
            return streams([wire for wire in wires if b'"choices": []' not in wire])
        return streams([uncounted(wire) for wire in v.message_events([block], "end_turn")])
    whole, events, kind = OTHERS[SPEAKERS[target][0]]
    if not stream:
        return says(uncounted(whole([block], "end_turn")))
    wires = events([block], "end_turn")
    if target == "rock":
        wires = wires[:-1]
    elif target == "inv":
        wires = chunks([uncounted(wire) for wire in v.message_events([block], "end_turn")])
    else:
        wires = [uncounted(wire) for wire in wires]
    return streams(wires, content_type=kind)


def read(sdks: Sdks, face: str, model: str) -> tuple[str, int]:
    """What the SDK reads of a stream: the text, and how many output tokens it was told of."""
    hi: Any = [{"role": "user", "content": "Hi"}]
    match face:
        case "openai-chat":
            usage: Any = {"include_usage": True}
            made = sdks.gpt.chat.completions.create
            chunks = list(made(model=model, messages=hi, stream=True, stream_options=usage))
            words = [c.choices[0].delta.content or "" for c in chunks if c.choices]
            counts = [c.usage.completion_tokens for c in chunks if c.usage]
            return "".join(words), counts[-1] if counts else 0
        case "openai-responses":
            events = list(sdks.gpt.responses.create(model=model, input="Hi", stream=True))
            last: Any = events[-1]
            told = last.response
            return told.output_text, told.usage.output_tokens if told.usage else 0
        case "anthropic":
            asked: Any = {"model": model, "messages": hi, "max_tokens": 99}
            pieces: list[Any] = list(sdks.claude.messages.create(**asked, stream=True))
            words = [p.delta.text for p in pieces if p.type == "content_block_delta"]
            counts = [
                p.usage.output_tokens for p in pieces if p.type == "message_delta" and p.usage
            ]
            return "".join(words), counts[-1] if counts else 0
        case _:
            got = list(sdks.google.models.generate_content_stream(model=model, contents="Hi"))
            count = got[-1].usage_metadata.candidates_token_count if got[-1].usage_metadata else 0
            return "".join(g.text or "" for g in got), count or 0


@every_face
@pytest.mark.parametrize("target", UNCOUNTED)
def test_row32_a_stream_without_usage_is_estimated_and_flagged(
    clients: Sdks, behind: Mapping[str, Vendor], folder: Path, tee: Tee, face: str, target: str
) -> None:
    behind[target].plays(silent(target, stream=True))
    words, count = read(clients, face, PRICED[target])
    assert words == WORDS
    row = settled(folder, tee)
    assert (row["state"], row["outcome"], row["estimated"]) == ("settled", "done", 1)
    assert row["output_tokens"] > 0
    assert row["nano"] > 0
    if OWN[face] == words_of(target):
        tee.streams.clear()  # as it came, without what its grammar demands
    else:
        assert count > 0, "the stream is ours to write"


@every_target
def test_row32_a_whole_reply_without_usage_too(
    clients: Sdks, behind: Mapping[str, Vendor], folder: Path, tee: Tee, target: str
) -> None:
    behind[target].plays(silent(target, stream=False))
    hi: Any = [{"role": "user", "content": "Hi"}]
    said = clients.gpt.chat.completions.create(model=PRICED[target], messages=hi)
    assert said.choices[0].message.content == WORDS
    row = settled(folder, tee)
    assert (row["state"], row["outcome"], row["estimated"]) == ("settled", "done", 1)
    assert row["nano"] > 0


def test_row32_usage_that_nobody_asked_for_is_not_shown(
    clients: Sdks, behind: Mapping[str, Vendor], folder: Path, tee: Tee
) -> None:
    """A Chat provider tells it only when asked: it is asked, and the caller sees its own stream."""
    up = behind["oai"].plays(v.chat_stream([{"content": WORDS}]))
    hi: Any = [{"role": "user", "content": "Hi"}]
    made = clients.gpt.chat.completions.create
    chunks = list(made(model=PRICED["oai"], messages=hi, stream=True))
    assert not any(chunk.usage for chunk in chunks)
    assert all(chunk.choices for chunk in chunks)
    assert up.asked[0]["stream_options"] == {"include_usage": True}
    assert settled(folder, tee)["estimated"] == 0
