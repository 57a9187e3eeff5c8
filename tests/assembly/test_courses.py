"""`pick = "learned"` as it is read and compiled, and what is refused."""

import asyncio
import importlib.util
from pathlib import Path
from typing import Any

import pytest

from octoplex.assembly import courses as made
from octoplex.assembly.sketch import Sketch
from octoplex.optimizer.course import Course
from octoplex.sandbox import bubblewrap
from octoplex.settings import parse
from octoplex.wire.error import BadConfig

PROVIDERS = """
[providers.a]
dialect = "openai-chat"
base_url = "http://127.0.0.1:9/v1"
api_key = "env:A_KEY"
[providers.b]
dialect = "openai-chat"
base_url = "http://127.0.0.1:9/v1"
[prices]
"a/ref" = { input = 10.0, output = 30.0 }
"a/mini" = { input = 1.0, output = 3.0 }
"b/m" = { input = 0.1, output = 0.3 }
[models.judge]
try = ["a/ref"]
"""
ROUTE = """
[models.main]
try = ["a/mini", "a/ref", "b/m"]
pick = "learned"
reference = "a/ref"
learn = { shadow = 0.02, judge = ["exact-match", "models.judge"] }
"""


def compiled(folder: Path, text: str) -> dict[str, Course]:
    async def whole() -> dict[str, Course]:
        return Sketch({"A_KEY": "sk-1"}, folder).plan(parse(PROVIDERS + text)).courses

    return asyncio.run(whole())


def test_a_course_says_what_the_table_says(tmp_path: Path) -> None:
    (course,) = compiled(tmp_path, ROUTE).values()
    assert course.variants == ("a/ref", "a/mini", "b/m")
    assert [t.name for t in course.targets] == ["a/ref", "a/mini", "b/m"]
    assert course.able == (True, True, True)
    assert course.table.learn.shadow == 0.02
    assert (course.spend.share, course.spend.cap) == (0.2, None)
    assert (course.caller.id, course.caller.budgeted) == ("shadow:main", False)


def test_what_changes_answers_changes_the_version(tmp_path: Path) -> None:
    def version(text: str) -> str:
        return compiled(tmp_path, text)["main"].version

    assert version(ROUTE) == version(ROUTE.replace("0.02", "0.03"))
    assert version(ROUTE) == version(ROUTE + 'rescue = "off"\n')
    assert version(ROUTE) != version(ROUTE + "defaults = { temperature = 0.5 }\n")


def test_what_changes_verdicts_changes_the_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def version(text: str, judge: str = "[models.judge]\ntry = ['a/ref']\n") -> str:
        plain = PROVIDERS.replace('[models.judge]\ntry = ["a/ref"]\n', judge)
        assert plain != PROVIDERS or "a/ref']" in judge
        settings = parse(plain.replace("'", '"') + text)

        async def whole() -> str:
            return Sketch({"A_KEY": "sk-1"}, tmp_path).plan(settings).courses["main"].version

        return asyncio.run(whole())

    same = "[models.judge]\ntry = ['a/ref']\nretry = { attempts = 2 }\n"
    other = "[models.judge]\ntry = ['a/mini']\n"
    told = "[models.judge]\ntry = ['a/ref']\ndefaults = { temperature = 0.0 }\n"
    assert version(ROUTE) == version(ROUTE, same)
    assert len({version(ROUTE), version(ROUTE, other), version(ROUTE, told)}) == 3
    verified = ROUTE.replace(', "models.judge"', "")
    assert version(verified) == version(verified, other)
    before = version(ROUTE), version(verified)
    monkeypatch.setattr(made, "INSTRUCTION", "Say which is better.")
    after = version(ROUTE), version(verified)
    assert before[0] != after[0], "it is told something else"
    assert before[1] == after[1]


def test_dollars_are_a_budget_of_the_shadows_own(tmp_path: Path) -> None:
    text = ROUTE.replace('["exact-match", "models.judge"]', '["exact-match"], spend = "$5/day"')
    (course,) = compiled(tmp_path, text).values()
    assert course.spend.cap is not None
    assert course.spend.cap.nano == 5_000_000_000
    assert course.caller.budgeted


def test_other_routes_have_no_course(tmp_path: Path) -> None:
    assert compiled(tmp_path, '[models.main]\ntry = ["a/ref", "b/m"]') == {}


WRONG = {
    "no reference": (('reference = "a/ref"', ""), "reference: .* needs the target"),
    "another reference": (('reference = "a/ref"', 'reference = "a/rf"'), 'did you mean "a/ref"'),
    "one target": (('"a/mini", "a/ref", "b/m"', '"a/ref"'), "nothing to learn"),
    "no price": (('"b/m"', '"b/other"'), r'"b/other" has no price.*\[prices\]'),
    "affinity": (("learn =", "affinity = true\nlearn ="), "affinity: .*leave it out"),
    "no judge": (('"exact-match", "models.judge"', ""), "nobody says which"),
    "no route to judge": (('"models.judge"', '"models.jugde"'), 'did you mean "models.judge"'),
    "judges itself": (('"models.judge"', '"models.main"'), "learns itself"),
    "nobody to doubt": (
        ('"exact-match", "models.judge"]', '"exact-match"], labels = 0.2'),
        "none of learn.judge is one",
    ),
    "no such provider": (('"models.judge"', '"nobody/m"'), 'no provider "nobody"'),
    "spend": (("shadow = 0.02", 'spend = "some"'), '"some" cannot be read'),
    "segments": (("learn =", 'segments = ["ky"]\nlearn ='), 'did you mean "key"'),
    "other pick": (('"learned"', '"cheapest"'), 'says nothing without pick = "learned"'),
    "region": (("learn =", 'region = "eu"\nlearn ='), "cannot be learned of"),
    "a rule": (
        ("learn =", 'rules = [{ when = "p95 > 4", then = { alert = true } }]\nlearn ='),
        r"\[models.main\] rules when",
    ),
}


@pytest.mark.parametrize(("change", "says"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_learned_is_refused(
    tmp_path: Path, change: tuple[str, str], says: str
) -> None:
    text = ROUTE.replace(*change)
    assert text != ROUTE
    with pytest.raises(BadConfig, match=says):
        compiled(tmp_path, text)


def test_a_rule_of_any_route_is_read(tmp_path: Path) -> None:
    text = '[models.main]\ntry = ["a/ref"]\n[[models.main.rules]]\nwhen = "p95 > 4"\n'
    with pytest.raises(BadConfig, match=r"\[models.main\] rules when"):
        compiled(tmp_path, text + "then = { alert = true }")
    with pytest.raises(BadConfig, match=r'\[models.main.rules\] has no key "wen".*"when"'):
        compiled(tmp_path, text.replace("when", "wen") + "then = { alert = true }")


def test_without_numpy_it_is_said_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str, *more: Any) -> Any:
        return None if name == "numpy" else importlib.util.find_spec(name, *more)

    monkeypatch.setattr(made, "find_spec", missing)
    with pytest.raises(BadConfig, match=r'pip install "octoplex\[optimizer\]"'):
        compiled(tmp_path, ROUTE)
    compiled(tmp_path, '[models.main]\ntry = ["a/ref", "b/m"]')


def test_tests_are_refused_as_judge_where_no_sandbox_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cascade = '{ target = "b/m", verify = ["tests"], escalate = "a/ref" }'
    for text, where in (
        (ROUTE.replace('"exact-match"', '"tests"'), "learn.judge"),
        (f"{ROUTE}variants = {{ first = {cascade} }}\n", "variants.first verify"),
    ):
        monkeypatch.setattr(bubblewrap, "found", lambda: "/usr/bin/bwrap")
        assert compiled(tmp_path, text)
        monkeypatch.setattr(bubblewrap, "found", lambda: None)
        said = rf"\[models.main\] {where}: .*apt install bubblewrap"
        with pytest.raises(BadConfig, match=said):
            compiled(tmp_path, text)
        assert compiled(tmp_path, f"{text}\n[sandbox]\nunsafe = true\n")
