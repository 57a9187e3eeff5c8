"""A person's key at `/admin`: each role does its part in its tenant, and nothing beside it."""

import json
from pathlib import Path
from typing import Any

import pytest

from octoplex.assembly.callers import file_keys
from octoplex.ledger.audit import NAME, page, verify
from octoplex.reflex.keys import Hasher
from octoplex.settings import parse
from octoplex.wire.error import BadConfig
from tests.server import caller, provider
from tests.server.caller import Reply
from tests.server.conftest import Run
from tests.server.gate import APP_KEY, Gate, file
from tests.upstream_server import Upstream

OWNER, ANA, BOB, VIC = "olga@acme.example", "ana@acme.example", "bob@acme.example", "vic"
TENANTS = f"""
[keys.ops]
secret = 'env:APP_KEY'
role = 'admin'
[keys.silo]
secret = 'env:SILO'
tenant = 'globex'
[tenants.acme]
limits = '$9/day'
roles = {{ "{OWNER}" = 'owner', "{ANA}" = 'admin', "{BOB}" = 'member', {VIC} = 'viewer' }}
[tenants.acme.web]
roles = {{ "{BOB}" = 'admin', "{ANA}" = 'viewer' }}
[tenants.globex]
roles = {{ "eve" = 'owner', "{BOB}" = 'member' }}
"""
SILO = "oct-canary-silo-5e1d0c9b8a"
LOOKS = ("status", "providers", "keys", "spend", "requests", "tenants", "cache", "audit", "config")
OF_ROLE = {
    OWNER: {"keys", "spend", "requests", "tenants", "audit"},
    ANA: {"keys", "spend", "requests", "tenants"},
    BOB: {"keys", "spend", "requests"},
    VIC: {"spend", "requests", "tenants"},
}


class Desk:
    """A gateway with a key for each of its people."""

    def __init__(self, gate: Gate) -> None:
        self.gate, self.keys = gate, {"ops": APP_KEY, "silo": SILO}

    async def ask(self, who: str, method: str, path: str, **body: Any) -> Reply:
        sent = json.dumps(body).encode() if method in ("POST", "PUT") else None
        lines = [("authorization", f"Bearer {self.keys[who]}")]
        return await caller.ask(self.gate.port, method, f"/admin/{path}", sent, lines)

    async def new(self, who: str, name: str, **spec: Any) -> Reply:
        reply = await self.ask(who, "POST", "keys", name=name, **spec)
        if reply.status == 200:
            self.keys[name] = reply.json["secret"]
        return reply

    async def people(self) -> None:
        for who in (OWNER, ANA, BOB, VIC):
            assert (await self.new("ops", who, tenant="acme", user=who)).status == 200
        assert (await self.new("ops", "eve", tenant="globex", user="eve")).status == 200
        assert (await self.new("ops", "web-bob", tenant="acme.web", user=BOB)).status == 200
        assert (await self.new("ops", "web", tenant="acme.web")).status == 200
        assert (await self.new("ops", "app", tenant="acme")).status == 200

    async def seen(self, who: str) -> set[str]:
        return {row["name"] for row in (await self.ask(who, "GET", "keys")).json}

    async def statuses(self, who: str, *names: str) -> list[int]:
        """What becomes of giving keys of these names another secret."""
        asked = [await self.ask(who, "POST", f"keys/{name}/rotate") for name in names]
        return [reply.status for reply in asked]


def opened(tmp_path: Path, up: Upstream, server: str = "") -> Gate:
    return Gate(tmp_path, file(TENANTS, server, a=up), env={"SILO": SILO}, key=APP_KEY)


def test_what_each_role_may_look_at(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with Upstream(provider.whole("openai-chat")) as up, opened(tmp_path, up) as gate:
            desk = Desk(gate)
            await desk.people()
            for who in (BOB, "web", "eve", "silo"):
                gate.key = desk.keys[who]
                assert (await gate.chat("a/m")).status == 200
            cost = provider.nano(provider.BILL)
            for who, open_ in OF_ROLE.items():
                for look in LOOKS:
                    reply = await desk.ask(who, "GET", look)
                    assert reply.status == (200 if look in open_ else 403), (who, look)
                    assert b"globex" not in reply.body
                    assert b"silo" not in reply.body
            for who in ("silo", "web"):
                assert (await desk.ask(who, "GET", "spend")).status == 403
            every = {OWNER, ANA, BOB, VIC, "app", "web", "web-bob"}
            assert await desk.seen(OWNER) == every
            assert await desk.seen(ANA) == every - {"web", "web-bob"}  # a viewer there
            assert await desk.seen(BOB) == {BOB, "web", "web-bob"}
            assert await desk.seen("web-bob") == {"web", "web-bob"}
            assert await desk.seen("eve") == {"silo", "eve"}
            for who, nano in ((OWNER, 2), (ANA, 2), (VIC, 2), (BOB, 2), ("eve", 2)):
                spend = (await desk.ask(who, "GET", "spend")).json
                assert (spend["total_nano"], len(spend["rows"])) == (nano * cost, nano), who
                asked = (await desk.ask(who, "GET", "requests")).json["data"]
                assert len(asked) == nano, who
                other = (await desk.ask(who, "GET", "spend?name=silo")).json["total_nano"]
                assert other == (cost if who == "eve" else 0)
            assert (await desk.ask("ops", "GET", "spend")).json["total_nano"] == 4 * cost
            tenants = (await desk.ask("eve", "GET", "tenants")).json
            assert [row["name"] for row in tenants] == ["globex"]
            own = (await gate.get("/v1/key")).json
            assert (own["user"], own["role"]) == ("", "")
            gate.key = desk.keys["web-bob"]
            own = (await gate.get("/v1/key")).json
            assert (own["user"], own["role"]) == (BOB, "admin")

    run(main())


@pytest.mark.parametrize("server", ["", "workers = 2"])
def test_what_each_role_may_change(tmp_path: Path, run: Run, server: str) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            opened(tmp_path, up, server) as gate,
        ):
            desk = Desk(gate)
            await desk.people()
            everything = (
                ("POST", "providers/a/disable"), ("PUT", "providers/a/key"), ("POST", "reload"),
                ("POST", "cache/purge"), ("POST", "providers/reseal"), ("POST", "config/diff"),
            )  # fmt: skip
            for who in (OWNER, ANA, BOB, VIC, "web", "eve"):
                for method, path in everything:
                    body = {"key": "sk-canary"} if method == "PUT" else {}
                    body = {"text": ""} if path == "config/diff" else body
                    assert (await desk.ask(who, method, path, **body)).status == 403, (who, path)
                assert (await desk.new(who, "x", tenant="nowhere")).status == 403
                if who != "eve":
                    assert (await desk.new(who, "x", tenant="globex")).status == 403
                    assert (await desk.new(who, "x", tenant="globex", user=BOB)).status == 403
                    assert (
                        await desk.statuses(who, "eve", "silo")
                        == [404 if who not in (VIC, "web") else 403] * 2
                    )
            # Of keys with a person's rights an admin makes none that can do as much.
            assert (await desk.new(ANA, "a1")).status == 200
            assert (await desk.new(ANA, "a2", user=VIC)).status == 200
            assert (await desk.new(ANA, "a3", user=ANA)).status == 200
            assert (await desk.new(ANA, "a4", user=OWNER)).status == 403
            assert (await desk.new(ANA, "a5", tenant="acme.web")).status == 403
            assert (await desk.new(ANA, "a6", user="nobody")).status == 400
            assert (await desk.new(ANA, "a7", user=BOB)).status == 403  # he is web's admin
            assert (await desk.new("web-bob", "w1", tenant="acme")).status == 403
            assert (await desk.new("web-bob", "w2", role="admin")).status == 400
            assert (await desk.new("web-bob", "w3", user=ANA)).status == 200
            assert await desk.statuses(ANA, OWNER, "web", BOB, "app") == [403, 404, 403, 200]
            assert (await desk.new(OWNER, "o1", user=ANA, tenant="acme.web")).status == 200
            assert await desk.statuses(OWNER, "web-bob", "o1", "a3") == [200, 200, 200]
            assert (await desk.new(VIC, "v1", user=VIC)).status == 403
            assert await desk.statuses(VIC, VIC, "app") == [403, 403]
            assert (await desk.ask("a1", "GET", "keys")).status == 403  # it is for nobody
            assert (await desk.ask(ANA, "DELETE", "keys/a1")).status == 200
            assert (await desk.ask(ANA, "DELETE", "keys/a1")).status == 404
            verified, _, broken = verify(gate.data / NAME)
            lines = page(gate.data / NAME, verified)
            assert broken is None
            assert not [line for line in lines if line.about in ("a4", "a5", "x")]
            (gone,) = [line for line in lines if line.what == "keys.revoke"]
            assert gone.who == f"user:{ANA} key:{ANA}"
            assert (gone.before["name"], gone.before["user"]) == ("a1", "")
            told = (await desk.ask(OWNER, "GET", "audit")).json["data"]
            assert {line["what"] for line in told} == {"keys.new", "keys.rotate", "keys.revoke"}

    run(main())


def test_a_members_keys_open_no_more_than_theirs(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with Upstream(provider.whole("openai-chat")) as up, opened(tmp_path, up) as gate:
            desk = Desk(gate)
            await desk.people()
            soon_ms = 4_000_000_000_000
            spec = {"tenant": "acme", "user": BOB}
            bound = {"models": ["a/m"], "region": "eu", "expires_at_ms": soon_ms}
            await desk.new("ops", "bound", **spec, **bound)
            await desk.new("ops", "capped", **spec, limits="$1/day")
            assert (await desk.new(BOB, "b1")).status == 200
            assert (await desk.new(BOB, "b2", user=ANA)).status == 403
            assert (await desk.new(BOB, "b3", tenant="globex")).status == 403
            assert (await desk.new("capped", "b4")).status == 403
            assert (await desk.new("bound", "b5", models=["a/n"])).status == 403
            assert (await desk.new("bound", "b6", region="us")).status == 403
            late = {"expires_at_ms": soon_ms + 1, "limits": "5 req/min"}
            assert (await desk.new("bound", "b7", **late)).status == 200
            assert await desk.statuses(BOB, "b7", "app", OWNER) == [403, 404, 404]
            assert await desk.statuses("b7", BOB, "b7") == [403, 200]
            assert (await desk.ask(BOB, "DELETE", "keys/capped")).status == 200
            rows = (await desk.ask("ops", "GET", "keys")).json
            (made,) = [row for row in rows if row["name"] == "b7"]
            assert {name: made[name] for name in (*bound, *spec)} == bound | spec

    run(main())


def test_who_is_taken_out_may_nothing_more(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with Upstream(provider.whole("openai-chat")) as up, opened(tmp_path, up) as gate:
            desk = Desk(gate)
            await desk.people()
            assert (await desk.ask(ANA, "GET", "keys")).status == 200
            gate.config.write_text(gate.config.read_text().replace(f"\"{ANA}\" = 'admin', ", ""))
            assert (await desk.ask("ops", "POST", "reload")).status == 200
            assert (await desk.ask(ANA, "GET", "keys")).status == 403
            gate.key = desk.keys[ANA]
            assert (await gate.chat("a/m")).status == 200

    run(main())


@pytest.mark.parametrize(
    ("key", "why"),
    [
        (
            "tenant = 'acme.web'\nuser = 'vik'",
            r'\[keys.x\]: "vik" has no role .* did you mean "vic"',
        ),
        ("user = 'vic'", "needs a tenant"),
        ("tenant = 'globex'\nuser = 'vic'", r"add them to \[tenants.globex\] roles"),
        ("tenant = 'acme'\nuser = 'vic'\nrole = 'viewer'", "give one of both"),
    ],
)
def test_a_key_for_nobody_known_is_refused(tmp_path: Path, key: str, why: str) -> None:
    settings = parse(f"{TENANTS}[keys.x]\nsecret = 'env:X'\n{key}\n")
    env = {"APP_KEY": APP_KEY, "SILO": SILO, "X": "oct-canary-x-90ab12cd34ef"}
    with pytest.raises(BadConfig, match=why):
        file_keys(settings, env, Hasher(b"pepper"))
