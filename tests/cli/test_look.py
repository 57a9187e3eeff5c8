"""Commands that look and change nothing: check, explain, models, providers, doctor, help."""

import json
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from octoplex.catalog.provider import catalogue
from octoplex.cli import main
from octoplex.cli.main import COMMANDS
from tests.shell import Home, run, serving, until

SECRET = "sk-proj-never-to-be-printed"


def test_help_is_quick_and_tells_the_truth() -> None:
    shown = CliRunner().invoke(main, ["--help"])
    assert shown.exit_code == 0
    for name, (_, says) in COMMANDS.items():
        assert f"{name} " in shown.output
        inner = main.get_command(None, name)  # type: ignore[arg-type]
        assert inner is not None
        assert (inner.help or "").partition("\n")[0] == says
    program = (
        "import sys, octoplex.cli as cli\n"
        "cli.main(['--help'], standalone_mode=False)\n"
        "slow = ('rich', 'asyncio', 'msgspec.json', 'octoplex.settings', 'octoplex.gateway')\n"
        "sys.exit(str([name for name in slow if name in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.stderr == b"[]\n"


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_help(name: str) -> None:
    shown = CliRunner().invoke(main, [name, "--help"])
    assert shown.exit_code == 0, shown.output
    groups = ("keys", "prices", "cache", "config", "optimize", "experiments", "sandbox")
    of_agents = ("mcp", "memory", "runs")
    if name not in ("mock", "import", *groups, *of_agents):
        assert "--config" in shown.output


def test_a_missing_file_is_a_sentence(bare: Home) -> None:
    for words in (["check"], ["models"], ["providers"], ["spend"], ["logs"], ["keys", "list"],
                  ["explain", "x"], ["chat", "x"]):  # fmt: skip
        said = run(bare, *words, "--config", "nowhere.toml").failed_with_a_sentence()
        assert "nowhere.toml" in said


def test_check_says_what_is_fine_and_what_is_not(home: Home) -> None:
    text = (home.path / "octoplex.toml").read_text()
    home.more["APP_KEY"] = "a-long-enough-secret-1"
    home.config(
        text.replace('["mock/m"]', '["mock/m", "openai/gpt-5-mini", "mock/unpriced"]')
        + '[keys.app]\nsecret = "env:APP_KEY"\nlimits = "$5/month"\n'
    )
    done = run(home, "check", status=0)
    assert "fine     keys: app" in done.out
    assert "cannot ask openai/gpt-5-mini (set OPENAI_API_KEY)" in done.out
    assert "mock/unpriced has no price" in done.out
    shown = json.loads(run(home, "check", "--json", status=0).out)
    assert len(shown["warnings"]) == 2
    home.config('[models.main]\ntry = ["openai/gpt-5-mini"]\n')
    assert "OPENAI_API_KEY" in run(home, "check").failed_with_a_sentence()
    home.config('[keys.app]\nsecret = "env:APP_KEY"\nlimits = "5 dogs/day"\n')
    assert "dogs" in run(home, "check").failed_with_a_sentence()
    assert not home.data.exists()


def test_check_and_explain_say_which_host_and_which_model(home: Home) -> None:
    home.more["K"] = SECRET
    text = (home.path / "octoplex.toml").read_text()
    home.config(
        text.replace('["mock/m"]', '["mistral/mistral-large-latest@eu", "bedrock/x@us-east-1"]')
        + '[providers.mistral]\napi_key = "env:K"\nregion = "eu"\nbase_url = "https://mine.test"\n'
    )
    host = 'base_url is asked, and region "eu" only says where that is'
    name = 'write "mistral/mistral-large-latest", and region = "eu" under [providers.mistral]'
    checked = run(home, "check", status=0).out
    for said in (host, name, 'write "bedrock/x", and region = "us-east-1"'):
        assert said in checked
    way = json.loads(run(home, "explain", "main", "--json", status=0).out)
    values = {v["what"]: (v["value"], v["origin"]) for v in way["targets"][0]["values"]}
    assert values["base_url"] == ("https://mine.test", "octoplex.toml [providers.mistral]")
    assert host in values["region"][1]
    assert name in values["warning"][1]
    other = '["mock/m@eu", "mistral/m@2"]'
    home.config(text.replace('["mock/m"]', other) + '[providers.mistral]\napi_key = "env:K"\n')
    assert "a part of the model" not in run(home, "check", status=0).out


def test_explain_names_every_origin(home: Home) -> None:
    home.more["OPENAI_API_KEY"] = SECRET
    text = (home.path / "octoplex.toml").read_text()
    home.config(
        text.replace('["mock/m"]', '["mock/m", "openai/gpt-5-mini"]\npick = "cheapest"')
        + "[models.main.timeouts]\nheader_s = 7.0\n[models.main.retry]\nattempts = 2\n"
        + "[models.main.health]\npanic = 0.2\n"
        + "[experiments.cheap]\nroute = 'main'\n[experiments.cheap.variants]\ntoday = {}\n"
        + "small = { target = 'mock/m', verify = ['json-schema', 'tool-calls'], "
        + "escalate = 'openai/gpt-5-mini' }\n"
    )
    way = json.loads(run(home, "explain", "main", "--json", status=0).out)
    assert way["means"] == "the route [models.main]"
    route = {v["what"]: (v["value"], v["origin"]) for v in way["route"]}
    assert route["pick"] == ("cheapest", "octoplex.toml [models.main]")
    assert route["retry.attempts"] == (2, "octoplex.toml [models.main.retry]")
    assert route["retry.backoff_s"] == (0.5, "default")
    assert route["health.panic"] == (0.2, "octoplex.toml [models.main.health]")
    assert route["health.eject_s"] == (30.0, "default")
    tried = "target mock/m; verify json-schema, tool-calls; escalate openai/gpt-5-mini"
    assert route["cheap: small"] == (tried, "octoplex.toml [experiments.cheap.variants]")
    mock, openai = ({v["what"]: (v["value"], v["origin"]) for v in t["values"]}
                    for t in way["targets"])  # fmt: skip
    assert mock["input $/M"] == ("1", "octoplex.toml [prices]")
    assert mock["base_url"][1] == "octoplex.toml [providers.mock]"
    assert mock["timeouts.header_s"] == (7.0, "octoplex.toml [models.main.timeouts]")
    assert openai["keys"] == (["OPENAI_API_KEY"], "OPENAI_API_KEY")
    assert openai["base_url"][1] == "catalogue providers/openai.toml"
    assert openai["context"][1].startswith("catalogue families.toml")
    assert "genai-prices" in openai["input $/M"][1]
    human = run(home, "explain", "main", status=0).out
    assert SECRET not in human
    assert "1. mock/m" in human


def test_explain_says_why_not(bare: Home) -> None:
    said = run(bare, "explain", "openai/gpt-5-mini").failed_with_a_sentence()
    assert "set OPENAI_API_KEY" in said
    assert "nowhere" in run(bare, "explain", "nowhere").failed_with_a_sentence()
    assert "on this machine" in run(bare, "explain", "octoplex/smollm2", status=0).out


def test_explain_and_providers_name_the_file_by_its_own_name(home: Home) -> None:
    home.config((home.path / "octoplex.toml").read_text(), "mine.toml")
    said = run(home, "explain", "mock/m", "--config", "mine.toml", status=0).out
    assert "mine.toml [providers.mock]" in said
    said += run(home, "providers", "--config", "mine.toml", status=0).out
    assert "octoplex.toml" not in said


def test_explain_shows_a_target_that_lacks_a_part_of_its_url(home: Home) -> None:
    text = (home.path / "octoplex.toml").read_text()
    azure = '[providers.azure-openai]\napi_key = "env:K"\n'
    home.config(text.replace('["mock/m"]', '["mock/m", "azure-openai/gpt-5"]') + azure)
    home.more["K"] = SECRET
    way = json.loads(run(home, "explain", "main", "--json", status=0).out)
    mock, azure = way["targets"]
    assert mock["usable"]
    assert (azure["usable"], azure["why"]) == (False, "set AZURE_RESOURCE_NAME")
    assert "timeouts.header_s" in {value["what"] for value in azure["values"]}


def test_explain_for_a_key_that_may_not_ask(home: Home) -> None:
    text = (home.path / "octoplex.toml").read_text()
    home.config(text + '[keys.app]\nsecret = "env:APP_KEY"\nmodels = ["main", "anthro/*"]\n')
    home.more["APP_KEY"] = "a-long-enough-secret-1"
    for name in ("main", "anthro/m"):
        assert "cannot be asked" not in run(home, "explain", name, "--key", "app", status=0).out
    said = run(home, "explain", "mock/m", "--key", "app", status=0).out
    why = 'the key "app" may not ask for mock/m; it may ask for main, anthro/*'
    assert f"1. mock/m: cannot be asked: {why}\n" in said
    way = json.loads(run(home, "explain", "mock/m", "--key", "app", "--json", status=0).out)
    assert [leg["usable"] for leg in way["targets"]] == [False]


def test_providers_show_names_of_keys_never_keys(home: Home) -> None:
    home.more |= {"OPENAI_API_KEY": SECRET, "GROQ_API_KEY": SECRET}
    done = run(home, "providers", "--json", status=0)
    rows = {row["id"]: row for row in json.loads(done.out)}
    needed = {"id", "dialects", "modalities", "regions", "key", "usable", "evidence"}
    assert all(needed <= set(row) for row in rows.values())
    assert (rows["openai"]["key"], rows["openai"]["usable"]) == ("OPENAI_API_KEY", True)
    assert (rows["anthropic"]["key"], rows["anthropic"]["usable"]) == ("ANTHROPIC_API_KEY", False)
    assert rows["mock"]["found"] == "octoplex.toml [providers.mock]"
    table = run(home, "providers", status=0).out
    assert SECRET not in done.out + table
    assert len(table.splitlines()) == len(rows) + 1
    assert "set ANTHROPIC_API_KEY" in table
    usable = run(home, "providers", "--usable", "--json", status=0).out
    assert {row["id"] for row in json.loads(usable)} >= {"openai", "groq", "mock", "anthro"}


def test_references_in_headers_and_query_are_read_and_never_shown(home: Home) -> None:
    text = (home.path / "octoplex.toml").read_text()
    more = 'headers = { x-tenant = "env:TENANT_KEY" }\nquery = { sign = "env:TENANT_KEY" }'
    home.config(text.replace("[providers.mock]\n", f"[providers.mock]\n{more}\n"))
    said = run(home, "check").failed_with_a_sentence()
    assert "[providers.mock] headers.x-tenant: the environment variable TENANT_KEY" in said
    home.more["TENANT_KEY"] = SECRET
    for words in (["check"], ["explain", "main"], ["explain", "main", "--json"],
                  ["providers", "--json"], ["models", "--json"], ["doctor"]):  # fmt: skip
        done = run(home, *words, status=0)
        assert SECRET not in done.out + done.err, words


def test_providers_show_every_row_and_why_not(home: Home) -> None:
    home.more |= {"GOOGLE_APPLICATION_CREDENTIALS": SECRET, "JINA_API_KEY": SECRET}
    rows = {row["id"]: row for row in json.loads(run(home, "providers", "--json", status=0).out)}
    assert set(rows) >= set(catalogue())
    for row in catalogue().values():
        shown = rows[row.id]
        assert (shown["title"], shown["evidence"], shown["docs"]) == (
            row.title,
            row.evidence,
            row.docs,
        )
        if row.obstacle:
            assert (shown["usable"], shown["missing"]) == (False, row.obstacle)
    assert rows["llama-api"]["missing"].startswith("Meta closed this API")
    assert rows["watsonx"]["missing"] == "set WATSONX_REGION"
    assert rows["chatlaw"]["missing"] == "set QIANFAN_AK and QIANFAN_SK"
    assert rows["latamgpt"]["missing"] == "set LATAMGPT_BASE_URL"
    assert rows["localai"]["missing"] == "set LOCALAI_BASE_URL"
    assert rows["lighton"]["residency"] == ["eu", "fr"]
    assert "eu-central-1" in rows["bedrock"]["regions"]
    assert (rows["mock"]["evidence"], rows["openai"]["evidence"]) == ("", "verified")
    assert rows["bedrock"]["modalities"] == ["chat"]  # its others are not asked for here
    assert rows["gemini"]["modalities"] == ["chat", "embed"]
    lines = run(home, "providers", status=0).out.splitlines()
    assert lines[0].split() == ["provider", "usable", "dialects", "serves", "region", "key", "what"]
    cells = {line.split()[0]: line for line in lines[1:]}
    assert "unknown; or choose eu, us" in cells["mistral"]
    assert " eu, fr " in cells["lighton"]
    assert "unknown; or choose 35 regions" in cells["bedrock"]
    assert " unknown  " in cells["deepseek"]
    assert " here " in cells["ollama"]
    assert "set GIGACHAT_CREDENTIALS or" in cells["gigachat"]


def test_models_show_what_can_be_asked(home: Home) -> None:
    rows = json.loads(run(home, "models", "--json", status=0).out)
    assert rows[0]["id"] == "main"
    assert rows[0]["targets"] == ["mock/m"]
    named = {row["id"]: row for row in rows}
    assert named["mock/m"]["input_per_million"] == "1"
    built_in = named["octoplex/smollm2"]
    assert built_in["available"] or "octoplex models add smollm2" in built_in["why"]
    assert "main" in run(home, "models", status=0).out
    assert "nope" in run(home, "models", "add", "nope").failed_with_a_sentence()


def test_doctor_finds_nothing_wrong(home: Home) -> None:
    done = run(home, "doctor", status=0)
    for what in ("python", "sqlite", "clock", "config", "disk", "engine", "providers"):
        assert what in done.out
    assert not home.data.exists()


def test_doctor_sees_a_server_and_its_refused_reload(home: Home) -> None:
    with serving(home) as (process, url):
        rows = json.loads(run(home, "doctor", "--json", status=0).out)
        says = {row["what"]: row["says"] for row in rows}
        assert says["server"] == f"process {process.process.pid} at {url}"
        assert says["health"].startswith("ready")
        text = (home.path / "octoplex.toml").read_text()
        home.config(text.replace('["mock/m"]', '["mokc/m"]'))
        process.process.send_signal(signal.SIGHUP)
        until(lambda: "broken  reload" in run(home, "doctor", status=1).out, "the refused reload")
        said = run(home, "doctor").out
        assert said.count('there is no provider "mokc"; did you mean "mock"?') == 2


def test_a_reload_of_a_wrong_file_is_the_servers_to_tell(home: Home) -> None:
    with serving(home) as (_, url):
        text = (home.path / "octoplex.toml").read_text()

        def problem() -> Any:
            with urllib.request.urlopen(f"{url}/health/ready", timeout=10) as reply:
                return json.load(reply)["config_error"]

        for wrong in ("\n[nonsense]\nx = 1\n", "\n[models\n"):
            home.config(text + wrong)
            assert run(home, "reload", status=1).failed_with_a_sentence()
            assert problem()
            home.config(text)
            assert run(home, "reload", status=0).out == "reloaded\n"
            assert problem() is None


def test_doctor_fails_when_something_is_broken(home: Home) -> None:
    home.config("[serverr]\n")
    done = run(home, "doctor", status=1)
    assert "broken  config" in done.out
    (home.path / "file").write_text("")
    home.config(f'[server]\ndata = "{home.path}/file"\n')
    assert "broken  data" in run(home, "doctor", status=1).out


def test_a_folder_that_cannot_be_written(home: Home) -> None:
    home.config('[server]\ndata = "/proc/octoplex"\n')  # nobody may write there, root neither
    assert "/proc/octoplex" in run(home, "keys", "new", "app").failed_with_a_sentence()


def test_damaged_state_is_a_sentence(home: Home) -> None:
    home.data.mkdir(parents=True, mode=0o700)
    for name in ("ledger.db", "control.db"):
        (home.data / name).write_bytes(b"no database" * 1000)
    for words in (["spend"], ["keys", "list"], ["keys", "new", "app"], ["serve", "--port", "0"]):
        run(home, *words).failed_with_a_sentence()
    assert "broken  ledger" in run(home, "doctor", status=1).out


def test_a_bug_is_a_sentence_unless_asked(home: Home, tmp_path: Path) -> None:
    program = (
        "import octoplex.cli, sys\n"
        "m = sys.modules['octoplex.cli.main']\n"
        "m.COMMANDS = {'boom': ('nowhere:boom', '')}\n"
        "m.main(sys.argv[1:])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "boom"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "--debug" in done.stderr
