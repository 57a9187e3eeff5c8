"""`octoplex import`: files of other gateways as their documentation has them, carried over whole.

A folder of `imported/GATEWAY/` is one transcript: `given.*` typed from the page that `doc.url`
names, and what must come of it, `octoplex.toml` and `notes.txt`. A new case adds files, not code.
What the catalogue says today stands there as `{{quirks ID}}` and `{{price ID/MODEL}}`.
"""

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from octoplex.catalog.prices import Prices
from octoplex.catalog.provider import catalogue
from octoplex.cli import main
from octoplex.cli.importing.command import SOURCES, Carried, carry
from octoplex.cli.importing.endpoints import FIGURES
from octoplex.cli.importing.written import value
from octoplex.settings import Settings, parse
from tests.shell import Home, run

CASES = sorted(path.parent for path in Path(__file__).parent.glob("imported/*/*/given.*"))
CLOUD = {
    "AWS_ACCESS_KEY_ID": "canary-aws-1",
    "AWS_SECRET_ACCESS_KEY": "canary-aws-2",
    "AWS_REGION": "us-east-1",
    "OPENAI_API_KEY": "canary-openai",
    "ANTHROPIC_API_KEY": "canary-anthropic",
    "XAI_API_KEY": "canary-xai",
}


def name(case: Path) -> str:
    return f"{case.parent.name}-{case.name}"


def carried(case: Path) -> Carried:
    (given,) = case.glob("given.*")
    return carry(case.parent.name, given.read_bytes(), given.name, {})


def expected(case: Path) -> str:
    """The file that must come of it, with what the catalogue says of its copies."""

    def quirks(found: re.Match[str]) -> str:
        return value(sorted(catalogue()[found[1]].quirks))

    def price(found: re.Match[str]) -> str:
        known = Prices.load().price(found[1], found[2])
        assert known is not None
        pico = {name: getattr(known, figure) for name, figure in FIGURES.items()}
        return value({name: Decimal(p) / 10**6 for name, p in pico.items() if p is not None})

    text = (case / "octoplex.toml").read_text()
    text = re.sub(r"\{\{quirks (\S+)\}\}", quirks, text)
    return re.sub(r"\{\{price ([^/}]+)/(\S+)\}\}", price, text)


def lines(carried: Carried) -> str:
    return "".join(f"{note.kind} | {note.where} | {note.says}\n" for note in carried.notes)


def said(gateway: str, text: str, env: dict[str, str] | None = None) -> Carried:
    return carry(gateway, text.encode(), "given", env or {})


def settings(gateway: str, text: str, env: dict[str, str] | None = None) -> Settings:
    return parse(said(gateway, text, env).octoplex_toml)


def note(carried: Carried, where: str) -> str:
    (found,) = [n for n in carried.notes if where in n.where.split(", ")]
    return f"{found.kind}: {found.says}"


def looked_at(folder: Path, text: str, *words: str) -> Result:
    """Run a command on a file, every variable that it names set."""
    path = folder / "octoplex.toml"
    path.write_text(text, encoding="utf-8")
    named = {n: f"canary-0123456789-{n}" for n in re.findall(r"env:(\w+)", text)}
    env = {"HOME": str(folder), "XDG_DATA_HOME": str(folder / "share"), **CLOUD, **named}
    result = CliRunner().invoke(main, [*words, "--config", str(path)], env=env)
    assert result.exit_code == 0, result.output
    return result


@pytest.mark.parametrize("case", CASES, ids=name)
def test_a_documented_file_is_carried_over(case: Path) -> None:
    found = carried(case)
    assert found.octoplex_toml == expected(case)
    assert lines(found) == (case / "notes.txt").read_text()
    assert (case / "doc.url").read_text().startswith("https://")


@pytest.mark.parametrize("case", CASES, ids=name)
def test_what_is_written_can_be_started_and_explained(case: Path, tmp_path: Path) -> None:
    text = carried(case).octoplex_toml
    shown = looked_at(tmp_path, text, "check", "--json").output
    found = json.loads(shown)
    for route in parse(text).models:
        assert any(line.startswith(f"route {route}:") for line in found["fine"])
        way = json.loads(looked_at(tmp_path, text, "explain", route, "--json").output)
        assert way["means"].startswith(f"the route [models.{route}]")
        assert all(leg["usable"] for leg in way["targets"]), way


@pytest.mark.parametrize("case", CASES, ids=name)
def test_no_secret_of_the_file_is_written(case: Path) -> None:
    found = carried(case)
    assert "canary" not in found.octoplex_toml + lines(found)


def test_there_are_cases_of_every_gateway() -> None:
    assert {case.parent.name for case in CASES} == set(SOURCES)


# -- the shell ----------------------------------------------------------------------------------


LITELLM = """
model_list:
  - model_name: main
    litellm_params: {model: openai/gpt-4o, api_key: sk-canary, rpm: 6}
"""


@pytest.fixture
def home(bare: Home) -> Home:
    bare.config(LITELLM, "config.yaml")
    return bare


def test_the_file_goes_to_standard_output_and_the_notes_to_standard_error(home: Home) -> None:
    done = run(home, "import", "litellm", "config.yaml", status=0)
    assert parse(done.out).models["main"].try_ == ("openai/gpt-4o",)
    assert 'api_key = "env:OPENAI_KEY"' in done.out
    assert re.search(r"^differs   model_list\[0\]: rpm and tpm", done.err, re.MULTILINE)
    assert re.search(r"^set +these variables must be there.*: OPENAI_KEY\.$", done.err, re.M)
    assert "canary" not in done.out + done.err
    assert str(home.path) not in done.out
    with (home.path / "config.yaml").open() as file:
        assert run(home, "import", "litellm", "-", stdin=file.read(), status=0).out == done.out


def test_a_file_is_written_once(home: Home) -> None:
    words = ("import", "litellm", "config.yaml", "--output", "octoplex.toml")
    done = run(home, *words, status=0)
    assert "octoplex check --config octoplex.toml" in done.out
    text = (home.path / "octoplex.toml").read_text()
    home.config("# mine\n")
    said = run(home, *words).failed_with_a_sentence()
    assert "octoplex.toml is there already; --force writes over it" in said
    assert (home.path / "octoplex.toml").read_text() == "# mine\n"
    run(home, *words, "--force", status=0)
    assert (home.path / "octoplex.toml").read_text() == text
    home.more["OPENAI_KEY"] = "canary-0123456789"
    assert "route main: in-order" in run(home, "check", status=0).out


def test_as_json(home: Home) -> None:
    shown = json.loads(run(home, "import", "litellm", "config.yaml", "--json", status=0).out)
    assert parse(shown["octoplex_toml"]).models
    assert shown["notes"][0] == {
        "kind": "differs",
        "where": "model_list[0]",
        "says": "rpm and tpm are weights only: a 429 moves a call on, and limits belong to keys.",
    }


@pytest.mark.parametrize(
    ("gateway", "text", "says"),
    [
        ("litellm", "model_list: [", "given: is not valid YAML (line 1, column 14)."),
        ("litellm", "a: *sk-canary", "given: is not valid YAML (line 1, column 4)."),
        ("litellm", "!!python/object/apply:os.system [x]", "is not valid YAML (line 1"),
        ("litellm", "sk-canary", "given: is no YAML table with named entries."),
        ("litellm", "", "given: is no YAML table with named entries."),
        ("litellm", "model_list: []", "given: names no model or provider that can be asked"),
        ("litellm", "a: " + "[" * 5_000, "nested too deeply"),
        ("bifrost", '{"providers": sk-canary}', "given: is not valid JSON (line 1, column 15)."),
        ("bifrost", "[]", "given: is no JSON table"),
        ("bifrost", "[" * 100_000, "nested too deeply"),
        ("tensorzero", "a = sk-canary", "given: is not valid TOML (at line 1, column 5)."),
        ("tensorzero", "", "given: names no model or provider"),
        ("tensorzero", "#" * (1 << 20) + "\n", "larger than 1048576 bytes"),
    ],
)
def test_what_is_no_such_file_is_one_sentence(
    bare: Home, gateway: str, text: str, says: str
) -> None:
    bare.config(text, "given")
    sentence = run(bare, "import", gateway, "given").failed_with_a_sentence()
    assert says in sentence
    assert "canary" not in sentence


def test_other_files_than_these(bare: Home) -> None:
    assert (
        "nowhere: No such file"
        in run(bare, "import", "litellm", "nowhere").failed_with_a_sentence()
    )
    assert "directory" in run(bare, "import", "litellm", ".").failed_with_a_sentence()
    (bare.path / "bytes").write_bytes(b"\xff\xfe")
    for gateway in SOURCES:
        assert "is not UTF-8" in run(bare, "import", gateway, "bytes").failed_with_a_sentence()
    assert "'portkey' is not one of" in run(bare, "import", "portkey", "x", status=2).err


def test_without_pyyaml_it_says_what_to_install(home: Home) -> None:
    (home.path / "yaml.py").write_text("raise ImportError")
    home.more["PYTHONPATH"] = str(home.path)
    said = run(home, "import", "litellm", "config.yaml").failed_with_a_sentence()
    assert "pip install 'octoplex[import]'" in said
    home.config(
        "[models.m]\nrouting = ['openai']\n[models.m.providers.openai]\ntype = 'openai'", "t"
    )
    run(home, "import", "tensorzero", "t", status=0)


# -- what only some files have ------------------------------------------------------------------


def deployment(**params: Any) -> str:
    entry = {"model_name": "m", "litellm_params": {"model": "openai/gpt-4o", **params}}
    return json.dumps({"model_list": [entry]})


def test_an_address_in_a_variable_is_looked_up() -> None:
    text = deployment(model="azure/x", api_key="os.environ/K", api_base="os.environ/BASE")
    url = "https://mine.openai.azure.com"
    found = settings("litellm", text, {"BASE": f"{url}/"})
    assert found.providers["azure-openai-deployments"].base_url == url
    found = settings("litellm", text, {"BASE": "no address"})
    assert found.providers["azure-openai-deployments"].base_url == "https://base.invalid"


def test_user_and_query_of_an_address_are_cut_off() -> None:
    text = deployment(api_base="https://u:canary@h.example/v1?key=canary#canary")
    found = said("litellm", text)
    (table,) = parse(found.octoplex_toml).providers.values()
    assert table.base_url == "https://h.example/v1"
    assert "user, query and fragment" in note(found, "model_list[0].litellm_params.api_base")
    assert "canary" not in found.octoplex_toml + lines(found)


def test_a_made_up_variable_is_never_one_that_the_file_names() -> None:
    entries = [
        {"model_name": n, "litellm_params": {"model": "openai/gpt-4o", "api_key": k}}
        for n, k in (("a", "canary-1"), ("b", "os.environ/OPENAI_KEY"), ("c", "canary-2"))
    ]
    found = said("litellm", json.dumps({"model_list": entries}))
    keys = [table.api_key for table in parse(found.octoplex_toml).providers.values()]
    assert keys == ["env:OPENAI_KEY_2", "env:OPENAI_KEY", "env:OPENAI_KEY_3"]


def test_a_key_that_is_named_and_one_that_is_usual_are_one() -> None:
    entries = [
        {"model_name": n, "litellm_params": {"model": f"openai/{n}", **key}}
        for n, key in (("a", {}), ("b", {"api_key": "os.environ/OPENAI_API_KEY"}))
    ]
    for order in (entries, entries[::-1]):
        found = settings("litellm", json.dumps({"model_list": order}))
        assert [t.api_key for t in found.providers.values()] == ["env:OPENAI_API_KEY"]
        assert sorted(r.try_ for r in found.models.values()) == [("openai/a",), ("openai/b",)]


def test_a_usual_key_beside_another_is_named() -> None:
    entries = [
        {"model_name": n, "litellm_params": {"model": f"openai/{n}", **key}}
        for n, key in (("a", {"api_key": "os.environ/MINE"}), ("b", {}))
    ]
    found = settings("litellm", json.dumps({"model_list": entries}))
    keys = {name: table.api_key for name, table in found.providers.items()}
    assert keys == {"openai": "env:MINE", "openai-2": "env:OPENAI_API_KEY"}


def test_the_price_of_the_file_comes_before_the_listed_one() -> None:
    entries = [
        {
            "model_name": n,
            "litellm_params": {"model": "openai/gpt-4o", "api_key": f"os.environ/{n}"},
            "model_info": {"input_cost_per_token": 6e-06, "output_cost_per_token": "3e-05"},
        }
        for n in ("A", "B")
    ]
    found = settings("litellm", json.dumps({"model_list": entries}))
    six = {"input": Decimal(6), "output": Decimal(30)}
    assert found.prices == {"openai/gpt-4o": six, "openai-2/gpt-4o": six}


def test_a_key_file_of_google_stays_a_file() -> None:
    text = deployment(
        model="vertex_ai/gemini-2.5-flash",
        vertex_project="adroit-crow-1234",
        vertex_location="us-east1",
        vertex_credentials="keys/sa.json",
    )
    found = said("litellm", text)
    table = parse(found.octoplex_toml).providers["vertex"]
    assert (table.api_key, table.region) == ("file:keys/sa.json", "us-east1")
    where = "model_list[0].litellm_params.vertex_project"
    assert "GOOGLE_CLOUD_PROJECT=adroit-crow-1234" in note(found, where)


def test_a_wildcard_keeps_the_name_that_its_callers_use() -> None:
    entries = [
        {"model_name": f"{p}/*", "litellm_params": {"model": f"{p}/*", "api_key": "os.environ/K"}}
        for p in ("together_ai", "xai", "vertex_ai")
    ]
    found = said("litellm", json.dumps({"model_list": entries}))
    assert list(parse(found.octoplex_toml).providers) == ["together_ai", "xai", "vertex"]
    assert (
        note(found, "model_list[2]") == "set: clients say vertex/MODEL in place of vertex_ai/MODEL."
    )


@pytest.mark.parametrize(
    ("shares", "weights"),
    [
        ([{"weight": 2}, {"weight": 1}], (2, 1)),
        ([{"weight": 2}, {"rpm": 60}], (2, 0)),
        ([{"rpm": 6}, {"weight": 9, "rpm": 3}], (6, 3)),
        ([{}, {"weight": 9}], ()),
        ([{"weight": 0}, {"weight": 0}], ()),
        ([{"weight": 0}, {"weight": 3}], (0, 3)),
    ],
)
def test_weights_are_of_the_kind_that_the_first_deployment_has(
    shares: list[dict[str, int]], weights: tuple[int, ...]
) -> None:
    entries = [
        {"model_name": "m", "litellm_params": {"model": f"openai/{n}", **share}}
        for n, share in enumerate(shares)
    ]
    route = settings("litellm", json.dumps({"model_list": entries})).models["m"]
    assert (route.pick, route.weights) == ("weighted", weights)


@pytest.mark.parametrize(
    ("strategy", "pick", "kind"),
    [
        ("simple-shuffle", "weighted", ""),
        ("least-busy", "least-busy", ""),
        ("latency-based-routing", "fastest", ""),
        ("cost-based-routing", "cheapest", ""),
        ("usage-based-routing", "least-busy", "differs"),
        ("of-my-own", "weighted", "left out"),
    ],
)
def test_strategies_of_litellm(strategy: str, pick: str, kind: str) -> None:
    entries = [
        {"model_name": "m", "litellm_params": {"model": f"openai/{m}"}} for m in ("gpt-4o", "o3")
    ]
    tree = {"model_list": entries, "router_settings": {"routing_strategy": strategy}}
    found = said("litellm", json.dumps(tree))
    assert parse(found.octoplex_toml).models["m"].pick == pick
    assert [n.kind for n in found.notes if n.where.endswith("routing_strategy")] == [kind] * bool(
        kind
    )
    # What is only fallen back to must not be among the equals.
    tree["litellm_settings"] = {"fallbacks": [{"m": ["n"]}]}
    entries.append({"model_name": "n", "litellm_params": {"model": "groq/x"}})
    route = settings("litellm", json.dumps(tree)).models["m"]
    assert (route.pick, route.weights) == ("weighted", (1, 1, 0))
    assert route.try_ == ("openai/gpt-4o", "openai/o3", "groq/x")


def virtual(key: dict[str, Any], **governance: Any) -> Settings:
    provider = {"keys": [{"value": "env.K", "models": ["*"]}]}
    whole = {"provider": "openai", "allowed_models": ["*"], "key_ids": ["*"]}
    key = {"id": "k", "name": "k", "value": "env.V", "provider_configs": [whole], **key}
    tree = {"providers": {"openai": provider}, "governance": {"virtual_keys": [key], **governance}}
    return settings("bifrost", json.dumps(tree))


@pytest.mark.parametrize(
    ("window", "limits"),
    [
        ("1d", "$7/day"),
        ("1h", "$7/hour"),
        ("30m", "$7/hour"),
        ("3d", "$7/week"),
        ("1M", "$7/month"),
        ("1Y", "$7/total"),
    ],
)
def test_a_budget_becomes_narrower_but_never_wider(window: str, limits: str) -> None:
    budget = {"id": "b", "virtual_key_id": "k", "max_limit": 7, "reset_duration": window}
    assert virtual({}, budgets=[budget]).keys["k"].limits == limits


@pytest.mark.parametrize(
    ("window", "limits"),
    [("1m", "60 req/min"), ("5m", "60 req/hour"), ("1h", "60 req/hour"), ("1w", "8 req/day")],
)
def test_a_rate_becomes_narrower_but_never_wider(window: str, limits: str) -> None:
    rate = {"id": "r", "request_max_limit": 60, "request_reset_duration": window}
    assert virtual({"rate_limit_id": "r"}, rate_limits=[rate]).keys["k"].limits == limits


@pytest.mark.parametrize(
    "key",
    [
        {"is_active": False},
        {"provider_configs": []},
        {"provider_configs": [{"provider": "openai", "allowed_models": []}]},
        {"provider_configs": [{"provider": "nobody", "allowed_models": ["*"]}]},
        {"rate_limit_id": "none"},
        {"rate_limit_id": "endless"},
    ],
)
def test_a_key_that_may_ask_for_nothing_is_left_out(key: dict[str, Any]) -> None:
    none = {"id": "none", "request_max_limit": 0, "request_reset_duration": "1m"}
    endless = {"id": "endless", "token_max_limit": 5}
    assert virtual(key, rate_limits=[none, endless]).keys == {}


def test_in_bifrosts_first_version_an_empty_list_is_everything() -> None:
    provider = {"keys": [{"value": "env.K", "models": []}]}
    key = {"id": "k", "value": "env.V", "provider_configs": [{"provider": "openai"}]}
    tree = {"providers": {"openai": provider}, "governance": {"virtual_keys": [key]}}
    found = settings("bifrost", json.dumps({"version": 1, **tree}))
    assert found.keys["k"].models == ("openai/*",)
    with pytest.raises(Exception, match="names no model or provider"):
        said("bifrost", json.dumps(tree))


def test_a_variant_of_tensorzero_by_its_older_weights() -> None:
    text = """
    [functions.f]
    type = "chat"
    [functions.f.variants.a]
    type = "chat_completion"
    model = "openai::gpt-4o"
    weight = 0.9
    [functions.f.variants.b]
    type = "chat_completion"
    model = "mistral::x"
    weight = 0.1
    [functions.f.variants.c]
    type = "chat_completion"
    model = "groq::y"
    """
    route = settings("tensorzero", text).models["tensorzero::function_name::f"]
    assert route.try_ == ("openai/gpt-4o", "mistral/x", "groq/y")
    assert route.weights == (0.9, 0.1, 0)


def test_an_address_that_others_reach_waits_for_a_key() -> None:
    model = (
        "[models.m]\nrouting = ['o']\n[models.m.providers.o]\ntype = 'openai'\nmodel_name = 'x'\n"
    )
    for written, listen in (
        ("0.0.0.0:3000", "127.0.0.1:3000"),
        ("[::]:3000", "127.0.0.1:3000"),
        ("127.0.0.1:3001", "127.0.0.1:3001"),
        ("[::1]:3001", "[::1]:3001"),
        ("here", None),
    ):
        text = f"gateway.bind_address = '{written}'\n{model}"
        assert settings("tensorzero", text).server.listen == listen


def test_teams_and_customers_become_tenants_with_their_limits() -> None:
    customer = {"id": "c1", "name": "Acme Corp.", "budget_id": "b1"}
    team = {"id": "t1", "name": "Web & App", "customer_id": "c1", "budget_id": "b2"}
    alone = {"id": "t2", "name": "Acme Corp."}
    budgets = [
        {"id": "b1", "max_limit": 500, "reset_duration": "1M"},
        {"id": "b2", "max_limit": 50, "reset_duration": "1d"},
    ]
    found = virtual({"team_id": "t1"}, teams=[team, alone], customers=[customer], budgets=budgets)
    assert found.keys["k"].tenant == "Acme-Corp.Web-App"
    limits = {name: table.limits for name, table in found.tenants.items()}
    assert limits == {"Acme-Corp": "$500/month", "Acme-Corp.Web-App": "$50/day"}
    assert virtual({"team_id": "t2"}, teams=[alone]).keys["k"].tenant == "Acme-Corp"
    assert virtual({"customer_id": "gone"}).keys["k"].tenant == "gone"
