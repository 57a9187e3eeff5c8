"""The sources under semgrep and the rules of this project (`rules.yml`)."""

import json
import os
import subprocess
from functools import cache
from pathlib import Path

import pytest
import yaml

from tests.test_house import ROOT

RULES = Path(__file__).with_name("rules.yml")
SEMGREP = ROOT / ".venv-semgrep/bin/semgrep"
BAD: dict[str, list[str]] = {
    "run-what-was-read": [
        "eval(text)", "exec(text)", "yaml.load(text)", "os.system(text)",
        "subprocess.run(text, shell=True)", "archive.extractall(folder)",
        "await asyncio.create_subprocess_shell(text)",
    ],
    "import-what-runs-data": ["import pickle", "from jinja2 import Template"],
    "trust-any-certificate": [
        "ssl.CERT_NONE", "ask(url, verify=False)", "context.check_hostname = False",
    ],
    "value-in-statement": [
        'db.execute(f"select * from keys where id = {id_}")',
        'await link.fetch("select * from keys where name = \'%s\'" % name)',
        'text = "delete from keys where id = " + key_id; db.execute(text)',
    ],
    "secret-in-log": [
        'log.info("key %s", key.secret)', "print(password)", 'BadConfig(f"{token} is no token")',
    ],
    "secret-compared-by-letter": ["given == row.secret", "signature != given"],
    "path-of-a-caller": [
        "Path(inbound.rest).read_bytes()", "open(folder / parts.filename)",
        'name = inbound.query["name"]; os.unlink(name)',
    ],
}  # fmt: skip
GOOD = [
    'db.execute("select * from keys where id = ?", (id_,))',
    'log.info("key %s", key.name)',
    "hmac.compare_digest(given, row.secret)",
    "Path(settings.folder).read_bytes()",
    "subprocess.run([sys.executable, text])",
    'secret == ""',
]
pytestmark = pytest.mark.skipif(
    not SEMGREP.exists(), reason="semgrep is not installed; `tools/setup semgrep` does it"
)


def _lines() -> list[tuple[str, str]]:
    return [(rule, line) for rule, lines in BAD.items() for line in lines]


def _function(line: str) -> str:
    return f"async def f(id_, key_id, name):\n    {line}\n"


@cache
def found(folder: Path) -> list[tuple[str, str, int]]:
    """(rule, file, line) of all that semgrep finds in the sources and in a folder."""
    done = subprocess.run(
        [SEMGREP, "scan", "--json", "--metrics", "off", "--no-git-ignore", "--config", RULES,
         ROOT / "src", folder],
        capture_output=True, text=True, timeout=240, check=False,
        env=os.environ | {"SEMGREP_ENABLE_VERSION_CHECK": "0", "HOME": str(folder)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["errors"] == []
    assert len(said["paths"]["scanned"]) > 300
    results = said["results"]
    return [(r["check_id"].rpartition(".")[2], r["path"], r["start"]["line"]) for r in results]


@pytest.fixture(scope="session")
def everything(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[str, str, int]]]:
    folder = tmp_path_factory.mktemp("semgrep")
    for n, (_, line) in enumerate(_lines()):
        (folder / f"bad_{n}.py").write_text(_function(line))
    for n, line in enumerate(GOOD):
        (folder / f"good_{n}.py").write_text(_function(line))
    return folder, found(folder)


Everything = tuple[Path, list[tuple[str, str, int]]]


def test_s45_the_sources_break_no_rule(everything: Everything) -> None:
    folder, results = everything
    assert [r for r in results if not r[1].startswith(str(folder))] == []


@pytest.mark.parametrize(("place", "rule"), list(enumerate(rule for rule, _ in _lines())))
def test_a_rule_finds_what_it_is_for(everything: Everything, place: int, rule: str) -> None:
    folder, results = everything
    assert rule in [r for r, path, _ in results if path == str(folder / f"bad_{place}.py")]


def test_the_rules_let_the_rest_be(everything: Everything) -> None:
    folder, results = everything
    assert [r for r in results if r[1].startswith(str(folder / "good"))] == []


def test_every_rule_has_an_example() -> None:
    rules = yaml.safe_load(RULES.read_text())["rules"]
    assert sorted(BAD) == sorted(rule["id"] for rule in rules)
