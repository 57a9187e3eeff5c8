"""A better prompt is looked for on what went badly: the real package, a model that is scripted."""

import asyncio
import gzip
import json
import sys
from pathlib import Path

import pytest

from octoplex.optimizer.prompts import Case, Cast, kept_cases, read_cases, search
from octoplex.settings import parse
from octoplex.wire.error import BadConfig
from tests.server.gate import file
from tests.server.provider import chat_body
from tests.shell import Done, Home, run
from tests.upstream_server import Exchange, Upstream, head

WORDS = ("pool", "river", "stone", "price", "order", "refund", "sum", "proof")
CASES = [Case([{"role": "user", "text": word}], word.upper(), True) for word in WORDS]
LOUD = "Answer in CAPITALS."


class Model:
    """Answers in capitals where it is told to; reflects as told."""

    def __init__(self, idea: str = LOUD) -> None:
        self.idea = idea
        self.reflected: list[str] = []

    async def answer(self, prompt: str, case: Case) -> str:
        text = case.turns[-1]["text"]
        return text.upper() if "CAPITALS" in prompt else text

    async def judge(self, case: Case, text: str) -> float:
        return float(text == case.good)

    def reflect(self, asked: str) -> str:
        self.reflected.append(asked)
        return f"That was too quiet.\n```\n{self.idea}\n```"

    @property
    def cast(self) -> Cast:
        return Cast(self.answer, self.judge, self.reflect)


def test_a_prompt_that_is_better_is_found() -> None:
    model = Model()
    found = search(CASES, "Answer.", model.cast, calls=40)
    assert (found.prompt, found.before, found.after) == (LOUD, 0.0, 1.0)
    assert "A good answer is: " in model.reflected[0]
    assert "Answer." in model.reflected[0]


def test_one_that_is_no_better_is_not() -> None:
    found = search(CASES, "", Model("Answer quietly.").cast, calls=40)
    assert (found.prompt, found.after) == ("", 0.0)


def test_too_few_cases_and_no_package_are_sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadConfig, match="There are 3 cases"):
        search(CASES[:3], "", Model().cast, calls=40)
    monkeypatch.setitem(sys.modules, "gepa.api", None)
    with pytest.raises(BadConfig, match=r"octoplex\[prompts\]"):
        search(CASES, "", Model().cast, calls=40)


def test_cases_are_what_a_candidate_lost_first(tmp_path: Path) -> None:
    def texts(word: str) -> bytes:
        turns = [{"role": "user", "text": word}]
        said = {"conversation": turns, "reference": {"text": word.upper()}, "rival": {"text": ""}}
        return json.dumps(said).encode()

    kept = {word: texts(word) for word in WORDS[:4]}
    worth = {"pool": (1.0, 0.9), "river": (1.0, 0.0), "stone": (0.2, 0.0), "gone": (1.0, 0.0)}
    found = kept_cases(kept, worth, 9)
    assert [(one.turns[0]["text"], one.good) for one in found] == [
        ("river", "RIVER"),
        ("pool", "POOL"),
    ]
    rows = tmp_path / "rows.csv"
    rows.write_text("prompt,expected\nhow?,so\n")
    assert read_cases(rows, "prompt", "expected") == [
        Case([{"role": "user", "text": "how?"}], "so", True)
    ]
    long = "how? " * 40_000
    small = tmp_path / "rows.csv.gz"
    small.write_bytes(
        gzip.compress(f"expected,prompt\nso,{long}\nno prompt\n,no answer\n".encode())
    )
    (case,) = read_cases(small, "prompt", "expected")
    assert (case.turns[0]["text"], case.good) == (long, "so")
    with pytest.raises(BadConfig, match='no column "answer"; it has prompt, expected'):
        read_cases(rows, "prompt", "answer")
    with pytest.raises(BadConfig, match="cannot be read"):
        read_cases(tmp_path / "none.csv", "prompt", "expected")


async def plays(exchange: Exchange) -> None:
    """Says more where the system's turn asks for capitals; asked for a prompt, it has one."""
    turns = json.loads(exchange.entry.body)["messages"]
    text = turns[-1]["content"]
    if "A good answer is" in text:
        text = f"```\n{LOUD}\n```"
    elif turns[0]["role"] == "system" and "CAPITALS" in turns[0]["content"]:
        text = f"{text} indeed"
    body = chat_body(text)
    lines = [("content-type", "application/json"), ("content-length", str(len(body)))]
    exchange.send(head(200, lines) + body)


ROUTE = """
"up/big" = { input = 10, output = 30 }
"up/small" = { input = 1, output = 3 }
[models.support]
try = ["up/big", "up/small"]
pick = "learned"
reference = "up/big"
learn = { judge = ["exact-match"] }
"""


def test_the_shell_writes_a_prompt_and_what_tries_it(tmp_path: Path) -> None:
    home = Home(tmp_path, {"UP_KEY": "sk-up"})
    rows = "".join(f"{word},{word} indeed\n" for word in WORDS)
    (tmp_path / "rows.csv").write_text(f"prompt,expected\n{rows}")

    async def main() -> Done:
        async with Upstream(plays) as up:
            home.config(file(ROUTE, up=up))
            words = ("optimize", "prompts", "support", "--data", "rows.csv", "--calls", "30")
            done = await asyncio.to_thread(run, home, *words, status=0)
            asked = [json.loads(one.body)["model"] for one in up.book]
            assert set(asked) == {"big", "small"}
            again = await asyncio.to_thread(run, home, *words)
            assert "prompts/support.md is there already" in again.failed_with_a_sentence()
            assert len(up.book) == len(asked), "it is refused before anything is paid"
            return done

    done = asyncio.run(main())
    told = done.out
    assert "0.000 of 1 before, 1.000 with prompts/support.md" in told
    assert (tmp_path / "prompts" / "support.md").read_text() == LOUD
    tables = told[told.index("# A candidate") :]
    assert "8 cases, up to 30 answers of up/small" in done.err
    settings = parse(f"{(tmp_path / 'octoplex.toml').read_text()}\n{tables}")
    variants = settings.experiments["support-prompt"].variants
    assert variants["found"].prompt == f"file:{tmp_path.resolve()}/prompts/support.md"
    assert settings.models["support"].variants["support-prompt"] == variants["found"]
    assert variants["today"].target == variants["found"].target == "up/small"


def test_a_route_may_have_no_candidate_but_variants(tmp_path: Path) -> None:
    home = Home(tmp_path)
    alone = ROUTE.replace(', "up/small"]', "]")
    home.config("[providers.up]\ndialect = 'openai-chat'\nbase_url = 'http://127.0.0.1:9/v1'\n"
                f"[prices]\n{alone}"
                "variants = { short = { target = 'up/big', max_tokens = 9 } }\n")  # fmt: skip
    (tmp_path / "rows.csv").write_text("prompt,expected\nq,a\n")
    said = run(home, "optimize", "prompts", "support", "--data", "rows.csv")
    assert "answers of up/big" in said.err
    assert "There are 1 cases" in said.err


def test_where_nothing_is_kept_it_says_how(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.config("[providers.up]\ndialect = 'openai-chat'\nbase_url = 'http://127.0.0.1:9/v1'\n"
                f"[prices]\n{ROUTE}")  # fmt: skip
    said = run(home, "optimize", "prompts", "support").failed_with_a_sentence()
    assert "learn.labels keeps some" in said
