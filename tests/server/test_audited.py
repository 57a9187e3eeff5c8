"""What the audit log says of each change: who made it, what was so before, and after."""

import json
from pathlib import Path
from typing import Any

from octoplex.ledger.audit import NAME, Line, page
from tests.server import caller, provider
from tests.server.conftest import Run
from tests.server.gate import APP_KEY, Gate, file, until
from tests.upstream_server import Upstream, says

SOON = [("content-type", "application/json"), ("retry-after", "60")]
KEYS = (
    "[keys.app]\nsecret = 'env:APP_KEY'\nrole = 'admin'\n"
    "[models.main]\ntry = ['a/m']\ncache = { ttl = '1 hour' }\n"
)


def noted(gate: Gate) -> list[Line]:
    """The newest first."""
    return page(gate.data / NAME, 100)


async def order(gate: Gate, what: str, **more: Any) -> Any:
    return (await gate.control({"do": what, **more}))["ok"]


def test_keys_say_what_they_were(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file(KEYS, a=up), key=APP_KEY) as gate,
        ):
            for model in ("maim", "nobodys-model", "nowhere/m"):
                new = {"do": "keys.new", "name": "x", "models": ["main", model]}
                assert (await gate.control(new))["code"] == "not_found"
            every = ["main", "a/m", "gpt-*", "openai/gpt-5"]
            assert await order(gate, "keys.new", name="all", models=every)
            made = await order(gate, "keys.new", name="web", limits="9 req/min", models=["main"])
            await order(gate, "keys.rotate", name="web", overlap_ms=60_000)
            deleted = await caller.ask(gate.port, "DELETE", "/admin/keys/web", None, gate.headers())
            assert deleted.status == 200
            revoked, rotated, new = noted(gate)[:3]
            assert (revoked.who, rotated.who[:6], new.before) == ("key:app", "shell:", None)
            assert rotated.before["limits"] == revoked.before["limits"] == "9 req/min"
            assert rotated.before["last4"] == made["secret"][-4:] != revoked.before["last4"]
            assert rotated.after == {"overlap_ms": 60_000}
            assert revoked.after == {"revoked": True}
            assert "hash" not in json.dumps([one.before for one in noted(gate)])

    run(main())


def test_a_reload_says_what_it_changed_whoever_asked_for_it(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file(KEYS, a=up), key=APP_KEY) as gate,
        ):
            text = gate.config.read_text()
            gate.config.write_text(text.replace("'1 hour'", "'2 hours'"))
            gate.hup()
            await until(lambda: len(noted(gate)) == 2)
            gate.config.write_text(text)
            await order(gate, "reload")
            after, before, earlier, first = noted(gate)
            assert (first.who, first.what, earlier.what) == ("signal:HUP", "reload", "reloaded")
            assert (before.who[:6], before.what, after.what) == ("shell:", "reload", "reloaded")
            (change,) = earlier.after["changes"]
            assert change == {
                "key": "models.main.cache.ttl",
                "before": "1 hour",
                "after": "2 hours",
            }
            assert first.before["digest"] != earlier.after["digest"] == before.before["digest"]
            gate.config.write_text("[server\n")
            gate.hup()
            await until(lambda: str(noted(gate)[0].after).startswith("refused: "))
            assert (await gate.chat("main")).status == 200

    run(main())


def test_a_purge_says_what_was_there(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file(KEYS, a=up), key=APP_KEY) as gate,
        ):
            assert (await gate.chat("main")).status == 200
            while not (await order(gate, "cache.stats"))["disk"]["entries"]:
                pass
            unknown = await gate.control({"do": "cache.purge", "model": "maim"})
            assert unknown["code"] == "not_found"
            assert await order(gate, "cache.purge", model="main") == 1
            (line,) = noted(gate)
            assert (line.about, line.before, line.after) == ("main", {"main": 1}, {})

    run(main())


def test_the_shell_and_the_doors_show_tenants_limits_and_the_file(tmp_path: Path, run: Run) -> None:
    """What a tenant has left, which keys a provider limits, what the file on the disk changes."""
    tenants = "[tenants.acme]\nlimits = '$5/day'\n[tenants.acme.web]\nmodels = ['main']\n"
    keys = KEYS.replace("role = 'admin'", "role = 'admin'\ntenant = 'acme.web'")

    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat"), says(b"{}", status=429, headers=SOON)) as up,
            Gate(tmp_path, file(keys + tenants, a=up), key=APP_KEY) as gate,
        ):
            assert (await gate.chat("main")).status == 200
            assert (await gate.chat("main", temperature=0.5)).status == 429
            listed = (await gate.get("/admin/tenants")).json
            assert listed == await order(gate, "tenants.list")
            acme, web = listed
            assert (acme["name"], acme["keys"], web["name"]) == ("acme", 1, "acme.web")
            (budget,) = acme["budgets"]
            assert budget["left_nano"] == 5 * 10**9 - provider.nano(provider.BILL)
            (a,) = [row for row in (await gate.get("/admin/providers")).json if row["id"] == "a"]
            (limited,) = a["limited"]
            assert (limited["scope"], limited["why"]) == ("a/m", "upstream_busy")
            assert 0 < limited["ends_in_s"] <= 60
            shown = await order(gate, "config.show")
            assert shown == (await gate.get("/admin/config")).json
            gate.config.write_text(gate.config.read_text().replace("$5/day", "$6/day"))
            (change,) = await order(gate, "config.diff", path=str(gate.config))
            assert change == {"key": "tenants.acme.limits", "before": "$5/day", "after": "$6/day"}
            reseal = await gate.post("/admin/providers/reseal", b"")
            assert "no secret for that" in reseal.json["error"]["message"]

    run(main())
