"""A hit through the vendors' own SDKs: every face in front of every dialect, plain and streamed.

What the SDK makes of the hit is what it made of the miss, also for tool calls where they are
kept; every stream is checked against its face's grammar (`Tee`).
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.sdk import vendors as v
from tests.sdk.conftest import Tee, Through
from tests.sdk.faces import Caller, Said, callers, made
from tests.sdk.house import SPEAKERS, Vendor, configured, running
from tests.sdk.sides import TARGETS, answer, every_face, streamed_or_not

MODEL = "gpt-or-claude"
NATIVE = ("oai", "claude", "resp", "gem")
"""Those whose own face passes verbatim."""


@pytest.fixture(scope="module")
def caching(
    all_vendors: Mapping[str, Vendor], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("caching")
    more = "".join(
        f'[models.{kind}-{name}]\ntry = ["{name}/{MODEL}"]\n'
        f'[models.{kind}-{name}.cache]\nttl = "1 hour"\n{table}\n'
        for name in SPEAKERS
        for kind, table in (("words", ""), ("tools", "tool_calls = true"))
    )
    with running(folder, configured(folder, all_vendors) + "\n" + more) as url:
        yield url


@pytest.fixture(scope="module")
def own(caching: str) -> tuple[Through, Mapping[str, Caller]]:
    through = Through()
    return through, callers(made(caching, through))


def _said(said: Said) -> tuple[object, ...]:
    calls = [(call.name, call.given) for call in said.calls]
    return said.text, said.stop, said.usage, calls, said.thoughts


CASES = [(target, "words") for target in TARGETS] + [(target, "tools") for target in NATIVE]


@every_face
@pytest.mark.parametrize(("target", "kind"), CASES)
@streamed_or_not
def test_the_sdk_is_told_the_same_again(
    own: tuple[Through, Mapping[str, Caller]],
    tee: Tee,
    behind: Mapping[str, Vendor],
    face: str,
    target: str,
    stream: bool,
    kind: str,
) -> None:
    through, call = own
    through.tee = tee
    tools = kind == "tools"
    blocks = [v.text("Hello! How can I assist you today?")]
    blocks += [v.use("call_1", "weather", city="Paris")] if tools else []
    vendor = behind[target].plays(
        answer(target, *blocks, stop="tool_use" if tools else "end_turn", stream=stream)
    )
    first, again = (
        call[face](model=f"{kind}-{target}", stream=stream, tools=tools).turn("Hello")
        for _ in range(2)
    )
    results = [response.headers["x-octoplex-cache"] for response in tee.got]
    assert (results, len(vendor.asked)) == (["miss", "hit"], 1)
    assert _said(first) == _said(again)
    assert [c.given for c in again.calls] == [{"city": "Paris"}] * tools
