"""Text, system, images, stop reasons and usage over all four crossings."""

from typing import Any

import anthropic
import openai
import pytest

from tests.sdk import vendors as v
from tests.sdk.house import Vendor
from tests.sdk.sides import MODELS, answer, both_targets, streamed_or_not, vendor

PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5E"
    "rkJggg=="
)
SAID = "Hello! How can I assist you today?"


def gpt_says(gpt: openai.OpenAI, stream: bool, **asked: Any) -> Any:
    """The completion, plainly or gathered by the SDK's own stream helper."""
    if not stream:
        return gpt.chat.completions.create(**asked)
    with gpt.chat.completions.stream(**asked, stream_options={"include_usage": True}) as events:
        events.until_done()
        return events.current_completion_snapshot


def claude_says(sonnet: anthropic.Anthropic, stream: bool, **asked: Any) -> Any:
    asked = {"max_tokens": 512, **asked}
    if not stream:
        return sonnet.messages.create(**asked)
    with sonnet.messages.stream(**asked) as events:
        return events.get_final_message()


@both_targets
@streamed_or_not
def test_openai_text_system_and_image(
    gpt: openai.OpenAI, oai: Vendor, claude: Vendor, target: str, stream: bool
) -> None:
    behind = vendor(target, oai, claude).plays(answer(target, v.text(SAID), stream=stream))
    messages = [
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
            ],
        },
    ]
    said = gpt_says(gpt, stream, model=MODELS[target], messages=messages, max_tokens=99)
    assert said.choices[0].message.content == SAID
    assert said.choices[0].finish_reason == "stop"
    assert (said.usage.prompt_tokens, said.usage.completion_tokens) == (19, 10)
    (body,) = behind.asked
    # gpt-5 refuses the older name of the limit, within its dialect too.
    assert body["max_completion_tokens" if target == "oai" else "max_tokens"] == 99
    assert body.get("stream", False) == stream
    if target == "oai":
        assert body["messages"] == messages
    else:
        assert body["system"] in ("Be brief.", [{"type": "text", "text": "Be brief."}])
        source = body["messages"][0]["content"][1]["source"]
        assert source == {"type": "base64", "media_type": "image/png", "data": PNG}


@both_targets
@streamed_or_not
def test_anthropic_text_system_and_image(
    sonnet: anthropic.Anthropic, oai: Vendor, claude: Vendor, target: str, stream: bool
) -> None:
    behind = vendor(target, oai, claude).plays(answer(target, v.text(SAID), stream=stream))
    source = {"type": "base64", "media_type": "image/png", "data": PNG}
    content = [{"type": "text", "text": "What is this?"}, {"type": "image", "source": source}]
    messages = [{"role": "user", "content": content}]
    said = claude_says(sonnet, stream, model=MODELS[target], system="Be brief.", messages=messages)
    assert said.content[0].text == SAID
    assert said.stop_reason == "end_turn"
    assert (said.usage.input_tokens, said.usage.output_tokens) == (19, 10)
    (body,) = behind.asked
    if target == "claude":
        assert (body["system"], body["messages"]) == ("Be brief.", messages)
    else:
        assert body["messages"][0] == {"role": "system", "content": "Be brief."}
        image = body["messages"][1]["content"][1]["image_url"]
        assert image["url"] == f"data:image/png;base64,{PNG}"


CUT = [("max_tokens", "length"), ("end_turn", "stop")]


@both_targets
@streamed_or_not
@pytest.mark.parametrize("stop", CUT, ids=[s for s, _ in CUT])
def test_stop_reasons(
    gpt: openai.OpenAI,
    sonnet: anthropic.Anthropic,
    oai: Vendor,
    claude: Vendor,
    target: str,
    stream: bool,
    stop: tuple[str, str],
) -> None:
    play = answer(target, v.text("Half a"), stop=stop[0], stream=stream)
    vendor(target, oai, claude).plays(play)
    ask: dict[str, Any] = {
        "model": MODELS[target],
        "messages": [{"role": "user", "content": "Hi"}],
    }
    assert gpt_says(gpt, stream, **ask).choices[0].finish_reason == stop[1]
    assert claude_says(sonnet, stream, **ask).stop_reason == stop[0]


@streamed_or_not
def test_a_refusal_of_either_vendor(
    gpt: openai.OpenAI, sonnet: anthropic.Anthropic, oai: Vendor, claude: Vendor, stream: bool
) -> None:
    no = "I can't help with that."
    if stream:
        oai.plays(v.chat_stream([{"refusal": "I can't help "}, {"refusal": "with that."}]))
        claude.plays(v.message_stream([v.text(no)], "refusal"))
    else:
        oai.plays(v.chat({"content": None, "refusal": no}))
        claude.plays(v.message([v.text(no)], "refusal"))
    ask: dict[str, Any] = {"messages": [{"role": "user", "content": "Hi"}]}
    native = gpt_says(gpt, stream, model=MODELS["oai"], **ask).choices[0]
    assert (native.message.refusal, native.finish_reason) == (no, "stop")
    crossed = gpt_says(gpt, stream, model=MODELS["claude"], **ask).choices[0]
    assert (crossed.message.content, crossed.finish_reason) == (no, "content_filter")
    for target in MODELS:
        said = claude_says(sonnet, stream, model=MODELS[target], **ask)
        assert (said.content[0].text, said.stop_reason) == (no, "refusal")


@streamed_or_not
def test_cached_usage_both_ways(
    gpt: openai.OpenAI, sonnet: anthropic.Anthropic, oai: Vendor, claude: Vendor, stream: bool
) -> None:
    chat_usage = {
        **v.CHAT_USAGE,
        "prompt_tokens": 2006,
        "completion_tokens": 300,
        "total_tokens": 2306,
        "prompt_tokens_details": {"cached_tokens": 1920, "audio_tokens": 0},
        "completion_tokens_details": {**v.CHAT_USAGE["completion_tokens_details"],
                                      "reasoning_tokens": 192},
    }  # fmt: skip
    claude_usage = {
        **v.CLAUDE_USAGE,
        "input_tokens": 50,
        "cache_read_input_tokens": 1800,
        "cache_creation_input_tokens": 248,
        "cache_creation": {"ephemeral_5m_input_tokens": 148, "ephemeral_1h_input_tokens": 100},
        "output_tokens": 503,
    }
    oai.plays(
        v.chat_stream([{"content": "ok"}], usage=chat_usage)
        if stream
        else v.chat({"content": "ok"}, usage=chat_usage)
    )
    claude.plays((v.message_stream if stream else v.message)([v.text("ok")], usage=claude_usage))
    ask: dict[str, Any] = {"messages": [{"role": "user", "content": "Hi"}]}
    native = gpt_says(gpt, stream, model=MODELS["oai"], **ask).usage
    assert native.to_dict() == chat_usage
    crossed = gpt_says(gpt, stream, model=MODELS["claude"], **ask).usage
    assert (crossed.prompt_tokens, crossed.completion_tokens) == (2098, 503)
    assert crossed.prompt_tokens_details.cached_tokens == 1800
    assert crossed.total_tokens == 2601
    back = claude_says(sonnet, stream, model=MODELS["oai"], **ask).usage
    assert (back.input_tokens, back.cache_read_input_tokens) == (86, 1920)
    assert (back.output_tokens, back.cache_creation_input_tokens) == (300, 0)
    own = claude_says(sonnet, stream, model=MODELS["claude"], **ask).usage
    assert (own.input_tokens, own.cache_read_input_tokens) == (50, 1800)
    assert (own.cache_creation_input_tokens, own.output_tokens) == (248, 503)


def test_the_stream_helper_raises_its_own_errors(
    gpt: openai.OpenAI, oai: Vendor, claude: Vendor
) -> None:
    hi: Any = [{"role": "user", "content": "Hi"}]
    ends = {"max_tokens": openai.LengthFinishReasonError,
            "refusal": openai.ContentFilterFinishReasonError}  # fmt: skip
    for stop, kind in ends.items():
        claude.plays(v.message_stream([v.text("Half a")], stop))
        with (
            gpt.chat.completions.stream(model=MODELS["claude"], messages=hi) as events,
            pytest.raises(kind),
        ):
            events.get_final_completion()


def test_iterating_over_raw_chunks_and_events(
    gpt: openai.OpenAI, sonnet: anthropic.Anthropic, oai: Vendor, claude: Vendor
) -> None:
    hi: Any = [{"role": "user", "content": "Hi"}]
    for target, behind in (("oai", oai), ("claude", claude)):
        behind.plays(answer(target, v.text(SAID), stream=True))
        chunks = list(gpt.chat.completions.create(model=MODELS[target], messages=hi, stream=True))
        assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == SAID
        assert all(c.usage is None for c in chunks), "usage was not asked for"
        events = list(
            sonnet.messages.create(model=MODELS[target], messages=hi, max_tokens=9, stream=True)
        )
        assert (events[0].type, events[-1].type) == ("message_start", "message_stop")
        with sonnet.messages.stream(model=MODELS[target], messages=hi, max_tokens=9) as stream:
            assert "".join(stream.text_stream) == SAID


def test_within_a_dialect_bytes_pass_as_they_came(
    gpt: openai.OpenAI, sonnet: anthropic.Anthropic, oai: Vendor, claude: Vendor
) -> None:
    hi: Any = [{"role": "user", "content": "Hi  ü \u2028"}]
    odd: Any = {"not_yet_invented": {"a": [1, 2.50, None]}}
    oai.plays(v.chat({"content": "ok", "not_yet_invented": 1}))
    said = gpt.chat.completions.create(model=MODELS["oai"], messages=hi, extra_body=odd)
    assert said.choices[0].message.model_extra["not_yet_invented"] == 1  # type: ignore[index]
    assert oai.asked[0] == {"messages": hi, "model": "gpt-5-mini", **odd}
    claude.plays(v.message([v.text("ok")]))
    sonnet.messages.create(model=MODELS["claude"], messages=hi, max_tokens=5, extra_body=odd,
                           extra_headers={"anthropic-beta": "fine-2031-01-01"})  # fmt: skip
    asked = claude.asked[0]
    assert asked == {"messages": hi, "model": "claude-haiku-4-5", "max_tokens": 5, **odd}
    assert claude.book[0].headers[b"anthropic-beta"] == b"fine-2031-01-01"
    assert claude.book[0].headers[b"x-api-key"] == b"sk-vendor-1"
