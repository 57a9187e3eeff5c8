"""`octoplex mock`: a scripted provider that the vendors' own SDKs believe."""

import json
import urllib.request

import anthropic
import openai
import pytest

from tests.shell import Home, run, started

TURNS = """
[[turn]]
status = 429
headers = { retry-after = "7" }
message = "Slow down."
[[turn]]
thinking = "Hm."
text = "Hello there."
input_tokens = 12
output_tokens = 3
[[turn]]
tools = [{ name = "weather", arguments = { city = "Rome" } }]
"""


def test_the_sdks_believe_it(bare: Home) -> None:
    bare.config(TURNS, "turns.toml")
    with started(bare, "mock", "--script", "turns.toml", "--key", "right") as process:
        url = process.wait_for(r"listening on (http://\S+)")[1]
        chat = openai.OpenAI(base_url=f"{url}/v1", api_key="right", max_retries=0)
        messages = anthropic.Anthropic(base_url=url, api_key="right", max_retries=0)
        asked = {"model": "any", "messages": [{"role": "user", "content": "Hi"}]}
        with pytest.raises(openai.RateLimitError) as limited:
            chat.chat.completions.create(**asked)  # type: ignore[call-overload]
        assert limited.value.response.headers["retry-after"] == "7"
        reply = messages.messages.create(max_tokens=9, **asked)  # type: ignore[arg-type]
        assert reply.content[-1].text == "Hello there."  # type: ignore[union-attr]
        assert (reply.usage.input_tokens, reply.usage.output_tokens) == (12, 3)
        stream = chat.chat.completions.create(stream=True, **asked)  # type: ignore[call-overload]
        names = [c.choices[0].delta.tool_calls[0].function.name for c in stream
                 if c.choices and c.choices[0].delta.tool_calls]  # fmt: skip
        assert names[0] == "weather"
        with pytest.raises(openai.AuthenticationError):
            openai.OpenAI(base_url=f"{url}/v1", api_key="wrong").models.list()
        request = urllib.request.Request(f"{url}/book", headers={"x-api-key": "right"})
        with urllib.request.urlopen(request, timeout=5) as page:
            book = json.loads(page.read())
        assert [(e["dialect"], e["stream"], e["outcome"]) for e in book] == [
            ("openai-chat", False, "refused"),
            ("anthropic", False, "done"),
            ("openai-chat", True, "done"),
        ]
        chat.close()
        messages.close()


def test_a_broken_script_is_a_sentence(bare: Home) -> None:
    bare.config('[[turn]]\ntxt = "x"\n', "turns.toml")
    assert "txt" in run(bare, "mock", "--script", "turns.toml").failed_with_a_sentence()
    assert "nowhere" in run(bare, "mock", "--script", "nowhere").failed_with_a_sentence()


def test_one_sentence_is_enough(bare: Home) -> None:
    with started(bare, "mock", "--text", "Always this.") as process:
        url = process.wait_for(r"listening on (http://\S+)")[1]
        for _ in range(2):
            done = run(bare, "chat", "--url", url, "-m", "x", "Hi", status=0)
            assert done.out == "Always this.\n"
