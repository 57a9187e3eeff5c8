"""The admin doors and the shell: who may, what changes at once, and what is noted of it."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from octoplex.ledger.audit import NAME, verify
from octoplex.server.table import routes
from tests.server import caller, provider
from tests.server.caller import Reply
from tests.server.conftest import Run
from tests.server.gate import APP_KEY, Gate, file, route, until
from tests.upstream_server import Exchange, Upstream, says

OPS, VIEW = "oct-canary-operator-51c8e2d9f0", "oct-canary-viewer-77ab03e1c4"
SEAL, NEWER = "canary-seal-9d1f7b3c5a2e8f60", "canary-newer-0b4e6d8f1a3c5e79"
KEYS = (
    "[keys.app]\nsecret = 'env:APP_KEY'\n"
    "[keys.ops]\nsecret = 'env:OPS'\nrole = 'admin'\n"
    "[keys.view]\nsecret = 'env:VIEW'\nrole = 'viewer'\n"
)
ENV = {"OPS": OPS, "VIEW": VIEW, "SEAL": SEAL, "NEWER": NEWER}


async def ask(gate: Gate, method: str, path: str, body: Any = None, key: str = OPS) -> Reply:
    sent = None if body is None and method in ("GET", "DELETE") else json.dumps(body or {}).encode()
    lines = [("authorization", f"Bearer {key}")] if key else []
    reply = await caller.ask(gate.port, method, f"/admin/{path}", sent, lines)
    gate.seen.append(reply.raw)
    return reply


def test_only_a_role_opens_the_doors_and_only_an_admin_changes(tmp_path: Path, run: Run) -> None:
    looks = ("status", "providers", "keys", "spend", "requests", "cache", "audit", "config")
    changes = (
        ("POST", "providers/a/disable"), ("POST", "keys"), ("DELETE", "keys/app"),
        ("POST", "reload"), ("POST", "cache/purge"), ("PUT", "providers/a/key"),
    )  # fmt: skip

    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file(KEYS, a=up), env=ENV, key=APP_KEY) as gate,
        ):
            for name in looks:
                assert (await ask(gate, "GET", name, key="")).status == 401
                assert (await ask(gate, "GET", name, key=APP_KEY)).status == 403
                for key in (OPS, VIEW):
                    reply = await ask(gate, "GET", name, key=key)
                    assert reply.status == 200, (name, reply.body)
                    assert b"canary" not in reply.body
            for method, path in changes:
                for key, status in (("", 401), (APP_KEY, 403), (VIEW, 403)):
                    assert (await ask(gate, method, path, key=key)).status == status
            assert (await gate.chat("a/m")).status == 200
            assert not (gate.data / NAME).exists()
        rows = [row for row in routes() if row.path == "/admin/"]
        assert {row.who for row in rows} == {"admin"}

    run(main())


def test_without_keys_there_is_no_admin_even_here(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file(a=up)) as gate,
        ):
            reply = await ask(gate, "GET", "status", key="")
            assert reply.status == 403
            assert "role" in reply.json["error"]["message"]

    run(main())


def test_a_provider_is_put_out_of_use_and_in_again(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        more = KEYS + route("main", "a/m", "b/m")
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Upstream(provider.whole("openai-chat")) as other,
            Gate(tmp_path, file(more, a=up, b=other), env=ENV, key=APP_KEY) as gate,
        ):
            assert (await gate.chat("main")).headers["x-octoplex-provider"] == "a"
            reply = await ask(gate, "POST", "providers/a/disable")
            assert (reply.status, reply.json) == (200, {"id": "a", "enabled": False})
            assert (await gate.chat("main")).headers["x-octoplex-provider"] == "b"
            refused = await gate.chat("a/m")
            assert refused.status == 404
            assert "The provider 'a' is out of use since 20" in refused.json["error"]["message"]
            rows = {row["id"]: row for row in (await ask(gate, "GET", "providers")).json}
            assert rows["a"]["disabled"]["who"] == "key:ops"
            assert "octoplex providers enable a" in rows["a"]["missing"]
            assert rows["b"]["recent"]["success"] == 1.0
            assert rows["b"]["spent_today_nano"] == provider.nano(provider.BILL)
            assert rows["b"]["recent"]["duration_s"]["p99"] > 0
            # it outlives the process
            assert await gate.stop() == 0
            await gate.start()
            assert (await gate.chat("main")).headers["x-octoplex-provider"] == "b"
            assert (await gate.control({"do": "providers.enable", "id": "a"}))["ok"]["enabled"]
            assert (await gate.chat("main")).headers["x-octoplex-provider"] == "a"
            assert (await ask(gate, "POST", "providers/nobody/disable")).status == 404
            noted = (await ask(gate, "GET", "audit")).json["data"]
            assert [line["what"] for line in noted] == ["providers.enable", "providers.disable"]
            assert noted[0]["who"].startswith("shell:")
            assert (noted[1]["who"], noted[1]["before"]) == ("key:ops", {"enabled": True})
        assert verify(gate.data / NAME)[2] is None

    run(main())


def test_a_file_on_disk_that_nobody_put_in_force_stays_out_of_it(tmp_path: Path, run: Run) -> None:
    """A switch changes what it says and nothing else."""

    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file(KEYS + route("main", "a/m"), a=up), env=ENV, key=APP_KEY) as gate,
        ):
            gate.write(file(KEYS + route("other", "a/m"), a=up))
            assert (await ask(gate, "POST", "providers/openai/disable")).status == 200
            assert (await gate.chat("main")).status == 200
            assert (await gate.chat("other")).status in (400, 404)
            gate.config.write_text("[server\n")
            assert (await ask(gate, "POST", "providers/openai/enable")).status == 200

    run(main())


def test_a_stored_key_takes_the_place_of_the_files_and_lies_sealed(
    tmp_path: Path, run: Run
) -> None:
    first, second = "sk-canary-stored-first-a1b2", "sk-canary-stored-second-c3d4"
    server = "seal = 'env:SEAL'"

    async def main() -> None:
        async with Upstream(provider.whole("openai-chat")) as up:
            text = file(KEYS, server, a=up)
            async with Gate(tmp_path, text, env=ENV, key=APP_KEY) as gate:
                assert (await gate.chat("a/m")).status == 200
                stored = await ask(gate, "PUT", "providers/a/key", {"key": first})
                assert stored.json == {"id": "a", "key": {"last4": "a1b2"}}
                assert (await gate.chat("a/m")).status == 200
                assert (await ask(gate, "PUT", "providers/a/key", {"key": second})).status == 200
                assert (await gate.chat("a/m")).status == 200
                rows = {r["id"]: r for r in (await ask(gate, "GET", "providers")).json}
                assert (rows["a"]["key"]["from"], rows["a"]["key"]["last4"]) == ("stored", "c3d4")
                # another secret seals, the old one still opens; then it may go
                gate.write(file(KEYS, "seal = ['env:NEWER', 'env:SEAL']", a=up))
                assert await gate.control({"do": "reload"}) == {"ok": "reloaded"}
                assert (await gate.control({"do": "providers.reseal"}))["ok"] == {"resealed": 1}
                gate.write(file(KEYS, "seal = 'env:NEWER'", a=up))
                assert await gate.control({"do": "reload"}) == {"ok": "reloaded"}
                assert (await gate.chat("a/m")).status == 200
                gate.write(file(KEYS, server, a=up))
                assert "cannot be opened" in (await gate.control({"do": "reload"}))["error"]
                gone = await ask(gate, "DELETE", "providers/a/key")
                assert gone.json == {"id": "a", "key": None}
                assert (await gate.chat("a/m")).status == 200
                said = b"".join(gate.seen) + gate.log.read_bytes() + gate.out.read_bytes()
            keys = [entry.headers[b"authorization"].decode()[7:] for entry in up.book]
            assert keys[1] == first
            assert keys[2:4] == [second, second]
            assert keys[4] == keys[0]
            kept = b"".join(p.read_bytes() for p in gate.data.rglob("*") if p.is_file())
            for canary in (first, second, SEAL, NEWER):
                assert canary.encode() not in said
                assert canary.encode() not in kept

    run(main())


def test_a_stored_key_does_not_follow_its_provider_to_another_host(
    tmp_path: Path, run: Run
) -> None:
    key, server = "sk-canary-stored-first-a1b2", "seal = 'env:SEAL'"

    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Upstream(provider.whole("openai-chat")) as other,
            Gate(tmp_path, file(KEYS, server, a=up), env=ENV, key=APP_KEY) as gate,
        ):
            assert (await ask(gate, "PUT", "providers/a/key", {"key": key})).status == 200
            assert (await gate.chat("a/m")).status == 200
            gate.write(file(KEYS, server, a=other))
            assert await gate.control({"do": "reload"}) == {"ok": "reloaded"}
            assert (await gate.chat("a/m")).status >= 400
            assert (await gate.post("/providers/a/v1/x", b"{}")).status >= 400
            rows = {r["id"]: r for r in (await ask(gate, "GET", "providers")).json}
            assert f"its key was stored for {up.url}" in json.dumps(rows["a"])
            assert other.book == []
            assert (await ask(gate, "PUT", "providers/a/key", {"key": key})).status == 200
            assert (await gate.chat("a/m")).status == 200
            assert other.book[0].headers[b"authorization"] == f"Bearer {key}".encode()
            # nor is it enough to write another host into the file of switches
            switches = gate.data / "switches.json"
            switches.write_text(switches.read_text().replace(other.url, up.url))
            gate.write(file(KEYS, server, a=up))
            assert "cannot be opened" in (await gate.control({"do": "reload"}))["error"]

    run(main())


def test_a_role_needs_a_secret_that_cannot_be_guessed(tmp_path: Path, run: Run) -> None:
    """Also where only this machine can ask."""

    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file(KEYS, a=up), env={**ENV, "WEAK": "None"}) as gate,
        ):
            for role in ("admin", "viewer"):
                more = f"[keys.weak]\nsecret = 'env:WEAK'\nrole = '{role}'\n"
                gate.write(file(KEYS + more, a=up))
                said = (await gate.control({"do": "reload"}))["error"]
                assert "[keys.weak] secret: it has fewer than" in said

    run(main())


def test_a_key_is_stored_only_sealed(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file(KEYS, a=up), env=ENV, key=APP_KEY) as gate,
        ):
            reply = await ask(gate, "PUT", "providers/a/key", {"key": "sk-canary-unsealed"})
            assert reply.status == 400
            assert "seal" in reply.json["error"]["message"]
            assert not (gate.data / "switches.json").exists()
            for body in ({"key": ""}, {"key": "short"}, {"key": "x\n" * 9}, {"nokey": 1}, [1]):
                assert (await ask(gate, "PUT", "providers/a/key", body)).status == 400

    run(main())


def test_keys_are_made_turned_and_revoked_and_none_makes_itself_an_admin(
    tmp_path: Path, run: Run
) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file(KEYS, a=up), env=ENV, key=APP_KEY) as gate,
        ):
            made = (await ask(gate, "POST", "keys", {"name": "guest", "limits": "$1/day"})).json
            gate.key = made["secret"]
            assert (await gate.chat("a/m")).status == 200
            assert (await ask(gate, "GET", "status", key=made["secret"])).status == 403
            turned = (await ask(gate, "POST", "keys/guest/rotate", {"overlap_s": 0})).json
            assert (await gate.chat("a/m")).status == 401
            gate.key = turned["secret"]
            assert (await gate.chat("a/m")).status == 200
            assert (await ask(gate, "DELETE", "keys/guest")).status == 200
            assert (await gate.chat("a/m")).status == 401
            for body in ({"name": "x", "role": "admin"}, {"name": 1}, {}, {"name": "app"}):
                assert (await ask(gate, "POST", "keys", body)).status == 400, body
            role = await gate.control({"do": "keys.new", "name": "y", "role": "admin"})
            assert "file alone" in role["error"]
            lines = (await ask(gate, "GET", "audit?limit=9")).json["data"]
            assert [n["what"] for n in lines][-3:] == ["keys.revoke", "keys.rotate", "keys.new"]
            text = (gate.data / NAME).read_text()
            assert made["secret"] not in text
            assert turned["secret"] not in text
            gate.key = APP_KEY

    run(main())


def test_what_a_file_would_change_is_told_before_it_does(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file(KEYS + route("main", "a/m"), a=up), env=ENV, key=APP_KEY) as gate,
        ):
            text = gate.config.read_text().replace("a/m", "a/n").replace("[keys.view]", "[keys.v]")
            changes = (await ask(gate, "POST", "config/diff", {"text": text})).json["changes"]
            told = {change["key"]: change for change in changes}
            assert told["models.main.try"]["after"] == ["a/n"]
            assert told["keys.view"]["after"] is None
            assert told["keys.v"]["before"] is None
            assert (await gate.chat("main")).status == 200
            wrong = await ask(gate, "POST", "config/diff", {"text": "[serverr]\n"})
            assert wrong.status == 400
            assert "did you mean" in wrong.json["error"]["message"]

    run(main())


def test_odd_requests_change_nothing(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file(KEYS, a=up), env=ENV, key=APP_KEY) as gate,
        ):
            for method, path in (
                ("GET", ""), ("GET", "nothing"), ("GET", "status/x"), ("POST", "providers/a"),
                ("POST", "providers/a/explode"), ("PUT", "keys/app"), ("DELETE", "providers/a"),
                ("GET", "../v1/key"), ("POST", "keys/app/rotate/x"),
            ):  # fmt: skip
                reply = await ask(gate, method, path)
                assert reply.status in (400, 404, 405), (method, path, reply.status)
            nines = "9" * 5_000
            for query in ("limit=0", "limit=x", "limit=99999", "limit=%C2%B2", f"limit={nines}"):
                for path in ("audit", "requests"):
                    assert (await ask(gate, "GET", f"{path}?{query}")).status == 400
                assert (await gate.get(f"/v1/requests?{query}")).status == 400
            for query in ("before=x", "before=%C2%B2", f"before={nines}"):
                assert (await ask(gate, "GET", f"audit?{query}")).status == 400
            many = await asyncio.gather(*[ask(gate, "GET", "cache") for _ in range(300)])
            assert {reply.status for reply in many} == {200}
            assert not (gate.data / NAME).exists()

    run(main())


@pytest.mark.parametrize("server", ["", "workers = 2"])
def test_a_switch_fetches_no_secret(tmp_path: Path, run: Run, server: str) -> None:
    """With the keeper down it is thrown, and what changed there is not put in force by it."""
    kept = json.dumps({"data": {"data": {"key": "sk-canary-kept-3b7e"}}}).encode()

    async def main() -> None:
        async with Upstream(provider.whole("openai-chat")) as up, Upstream(says(kept)) as keeper:
            text = file(KEYS, server, a=up).replace("env:UP_KEY", "vault://kv/llm#key")
            env = {**ENV, "VAULT_ADDR": keeper.url, "VAULT_TOKEN": "canary-token-of-vault"}
            async with Gate(tmp_path, text, env=env, key=APP_KEY) as gate:
                fetched = len(keeper.book)
                assert fetched
                assert (await ask(gate, "POST", "providers/openai/disable")).status == 200
                assert (await ask(gate, "POST", "providers/openai/enable")).status == 200
                assert len(keeper.book) == fetched
                assert (await gate.chat("a/m")).status == 200
                assert await gate.control({"do": "reload"}) == {"ok": "reloaded"}
                assert len(keeper.book) > fetched

    run(main())


def test_of_two_switches_at_once_each_takes_back_its_own(tmp_path: Path, run: Run) -> None:
    """Both wait for a reload; then a price list that cannot be read keeps both from being put
    in force."""
    kept = json.dumps({"data": {"data": {"key": "sk-canary-kept-3b7e"}}}).encode()
    asked, go = asyncio.Event(), asyncio.Event()

    async def slowly(exchange: Exchange) -> None:
        asked.set()
        await go.wait()
        await says(kept)(exchange)

    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Upstream(says(kept), slowly) as keeper,
        ):
            text = file(KEYS, a=up, b=up).replace("env:UP_KEY", "vault://kv/llm#key")
            env = {**ENV, "VAULT_ADDR": keeper.url, "VAULT_TOKEN": "canary-token-of-vault"}
            async with Gate(tmp_path, text, env=env, key=APP_KEY) as gate:
                (gate.data / "prices.json").write_text("nonsense")
                reload = asyncio.create_task(gate.control({"do": "reload"}))
                await asked.wait()
                orders = [{"do": "providers.disable", "id": id_} for id_ in "ab"]
                turns = [asyncio.create_task(gate.control(order)) for order in orders]
                await until(lambda: "providers.disable" in (gate.data / NAME).read_text())
                await asyncio.sleep(0.2)  # the other, too, goes as far as it may
                go.set()
                assert "prices.json" in (await reload)["error"]
                assert all("prices.json" in said["error"] for said in await asyncio.gather(*turns))
                assert json.loads((gate.data / "switches.json").read_text())["off"] == {}
                lines = (await ask(gate, "GET", "audit")).json["data"]
                said = [line["after"] for line in lines if line["about"] in ("a", "b")]
                assert sum(str(after).startswith("refused: ") for after in said) == 2
                (gate.data / "prices.json").unlink()

    run(main())


def test_what_is_refused_says_why_and_is_told_as_refused(tmp_path: Path, run: Run) -> None:
    ends = (2**63 - 1, 2**63, 2**70, 253_402_300_800_000)
    names = ("", "a\nb", "a\0b", "x" * 300, "a/b", " a", "key_0123456789ab")
    bodies = [{"name": "x", "expires_at_ms": at_ms} for at_ms in ends]
    bodies += [{"name": name} for name in names]

    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file(KEYS, a=up), env=ENV, key=APP_KEY) as gate,
        ):
            for body in bodies:
                reply = await ask(gate, "POST", "keys", body)
                assert reply.status == 400, (body, reply.body)
                (line,) = (await ask(gate, "GET", "audit?limit=1")).json["data"]
                assert str(line["after"]).startswith("refused: "), body
            for path in ("keys/nobody/rotate", "providers/nobody/disable"):
                reply = await ask(gate, "POST", path)
                assert (reply.status, reply.json["error"]["code"]) == (404, "not_found")
            assert (await ask(gate, "DELETE", "keys/nobody")).status == 404
            for overlap_s in (1e308, -1, 7_776_001):
                reply = await ask(gate, "POST", "keys/app/rotate", {"overlap_s": overlap_s})
                assert reply.status == 400
            long = await ask(gate, "POST", "keys", {"name": "x", "models": ["m" * 70_000]})
            assert long.status == 413
            assert "65,536 bytes" in long.json["error"]["message"]
            assert "error" in await gate.control({"do": "keys.new", "name": "x" * 70_000})
            huge = {"do": "keys.rotate", "name": "app", "overlap_ms": 10**30}
            assert "error" in await gate.control(huge)
            made = {"name": "with %41 space", "expires_at_ms": ends[3] - 1_000}
            assert (await ask(gate, "POST", "keys", made)).status == 200
            assert (await ask(gate, "DELETE", "keys/with%20A%20space")).status == 404
            assert (await ask(gate, "DELETE", "keys/with%20%2541%20space")).status == 200
        assert verify(gate.data / NAME)[2] is None

    run(main())


def test_what_cannot_be_a_file_is_refused_in_a_sentence(tmp_path: Path, run: Run) -> None:
    texts = {
        "x = " + "[" * 100_000: (400, "too deep"),
        "[tenants" + ".a" * 20_000 + "]\n": (400, ""),
        "# " + "x" * 1_000_000: (413, "1,000,000"),
    }

    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file(KEYS, a=up), env=ENV, key=APP_KEY) as gate,
        ):
            for text, (status, words) in texts.items():
                reply = await ask(gate, "POST", "config/diff", {"text": text})
                assert (reply.status, words in reply.json["error"]["message"]) == (status, True)
            said = (await ask(gate, "GET", "status")).json
            (process,) = said["processes"]
            assert process == {"process": f"process {gate.process.pid}", "answers": True}

    run(main())


def test_a_bare_name_says_whose_model_it_was(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file(KEYS, each="models = ['m']", a=up), env=ENV, key=APP_KEY) as gate,
        ):
            assert (await gate.chat("m")).status == 200
            assert (await ask(gate, "POST", "providers/a/disable")).status == 200
            refused = await gate.chat("m")
            assert refused.status == 404
            assert "The provider 'a' is out of use since 20" in refused.json["error"]["message"]
            assert "no model" in (await gate.chat("n")).json["error"]["message"]

    run(main())
