"""Row 33: hidden caps. What a caller asks for is what is asked of the provider.

The output limit goes out as it came, whole or streamed, however large; without one none is made
up, except in the dialect that must have one: there the model's own cap, never a smaller one.
"""

from collections.abc import Mapping
from typing import Any

import pytest

from octoplex.catalog.families import family
from tests.sdk import vendors as v
from tests.sdk.conftest import Tee
from tests.sdk.faces import Sdks
from tests.sdk.house import PRICED, Vendor, words
from tests.sdk.sides import FACES, answer, every_face, every_target

HI: Any = [{"role": "user", "content": "Hi"}]
MUST_SAY = {target for target in PRICED if words(target) == "claude"}
"""Those whose dialect cannot be asked without a limit."""


def unknown(target: str) -> str:
    """A model of this target that the catalogue does not know."""
    return f"{target}/served-7b"


def asks(sdks: Sdks, face: str, model: str, limit: int | None, stream: bool) -> None:
    match face:
        case "openai-chat":
            more: Any = {} if limit is None else {"max_tokens": limit}
            made: Any = sdks.gpt.chat.completions.create(
                model=model, messages=HI, stream=stream, **more
            )
        case "openai-responses":
            more = {} if limit is None else {"max_output_tokens": limit}
            made = sdks.gpt.responses.create(model=model, input="Hi", stream=stream, **more)
        case "anthropic":
            assert limit is not None, "its SDK demands one"
            if stream:
                asked: Any = {"model": model, "messages": HI, "max_tokens": limit}
                made = sdks.claude.messages.create(**asked, stream=True)
            else:
                made = sdks.claude.messages.create(
                    model=model, messages=HI, max_tokens=limit, timeout=30
                )
        case _:
            config: Any = {} if limit is None else {"max_output_tokens": limit}
            models = sdks.google.models
            call = models.generate_content_stream if stream else models.generate_content
            made = call(model=model, contents="Hi", config=config)
    if stream:
        assert list(made)


LIMITS = {
    *("max_tokens", "max_completion_tokens", "max_output_tokens", "max_new_tokens"),
    *("maxTokens", "maxCompletionTokens", "maxOutputTokens", "num_predict"),
}
"""What the limit is called in one dialect or another."""


def limit_of(body: Any) -> int | None:
    """The output limit that a provider was given, wherever it stands."""
    if not isinstance(body, dict):
        return None
    own = [value for name, value in body.items() if name in LIMITS]
    deeper = [limit_of(value) for value in body.values()]
    return next((limit for limit in (*own, *deeper) if limit is not None), None)


@every_face
@every_target
@pytest.mark.parametrize("known", [False, True], ids=["unknown", "known"])
@pytest.mark.parametrize(("limit", "stream"), [(77, True), (1_000_000, False)])
def test_row33_a_limit_goes_out_as_it_came(
    clients: Sdks, behind: Mapping[str, Vendor], tee: Tee,
    face: str, target: str, stream: bool, limit: int, known: bool,
) -> None:  # fmt: skip
    """However much less the catalogue says that the model can: it may have been raised since."""
    up = behind[target].plays(answer(target, v.text("Hello"), stream=stream))
    asks(clients, face, PRICED[target] if known else unknown(target), limit, stream)
    assert limit_of(up.asked[0]) == limit
    head = tee.got[-1].headers
    assert "x-octoplex-added" not in head
    assert "max" not in head.get("x-octoplex-dropped", "")


@pytest.mark.parametrize("face", [face for face in FACES if face != "anthropic"])
@every_target
@pytest.mark.parametrize("known", [False, True], ids=["unknown", "known"])
def test_row33_no_limit_is_made_up(
    clients: Sdks, behind: Mapping[str, Vendor], face: str, target: str, known: bool
) -> None:
    stream = known  # each in one of the two forms
    up = behind[target].plays(answer(target, v.text("Hello"), stream=stream))
    model = PRICED[target] if known else unknown(target)
    asks(clients, face, model, None, stream)
    given = limit_of(up.asked[0])
    if target not in MUST_SAY:
        assert given is None
        return
    cap = family(target, model.partition("/")[2]).output_cap
    assert given == (cap or 4_096)
    assert cap is None or cap >= 32_000


@every_target
def test_row33_what_a_limit_cuts_is_told(
    clients: Sdks, behind: Mapping[str, Vendor], target: str
) -> None:
    behind[target].plays(answer(target, v.text("Half a"), stop="max_tokens"))
    said = clients.gpt.chat.completions.create(
        model=unknown(target), messages=HI, max_completion_tokens=5
    )
    assert said.choices[0].finish_reason == "length"
