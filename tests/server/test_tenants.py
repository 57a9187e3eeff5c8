"""Organisations, teams and their keys, as callers and operators meet them."""

import asyncio
import contextlib
import hashlib
import hmac
import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.server import provider
from tests.server.cache_scene import COST, OTHER_KEY, numbered
from tests.server.conftest import Run
from tests.server.gate import APP_KEY, UP_KEY, Gate, file, route, until
from tests.upstream_server import Exchange, Upstream, says

SEVERAL = provider.whole("openai-chat")


def keys(**more: str) -> str:
    tables = {"app": "acme.web", "other": "acme.data"}
    return "".join(
        f"[keys.{name}]\nsecret = 'env:{name.upper()}_KEY'\ntenant = '{tenant}'\n"
        f"{more.get(name, '')}\n"
        for name, tenant in tables.items()
    )


def tenants(acme: str = "", web: str = "", data: str = "") -> str:
    return f"[tenants.acme]\n{acme}\n[tenants.acme.web]\n{web}\n[tenants.acme.data]\n{data}\n"


def dollars(nano: int) -> str:
    return f"${nano / 1e9:.9f}"


def test_all_keys_of_an_organisation_share_its_budget(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        budget = f"limits = '{dollars(3 * COST)}/month'"
        async with (
            Upstream(SEVERAL) as up,
            Gate(tmp_path, file(keys() + tenants(budget), a=up), key=APP_KEY) as gate,
        ):
            body = {"max_tokens": 7}
            assert (await gate.chat("a/m", **body)).status == 200
            gate.key = OTHER_KEY
            assert (await gate.chat("a/m", **body)).status == 200
            gate.key = APP_KEY
            refused = [await gate.chat("a/m", **body) for _ in range(3)][-1]
            assert refused.status == 402
            said = refused.json["error"]["message"]
            assert "of the organisation acme has" in said
            own = (await gate.get("/v1/key")).json
            (left,) = own["budgets"]
            assert (own["tenant"], left["tenant"], left["held_nano"]) == ("acme.web", "acme", 0)
            assert left["spent_nano"] == len(up.book) * COST
            assert own["spent_nano"] == left["spent_nano"] - COST
            await gate.stop()
            await gate.start()
            assert (await gate.get("/v1/key")).json["budgets"] == [left]
            assert (await gate.chat("a/m", **body)).status == 402

    run(main())


def test_rates_of_a_team_bind_its_keys_together(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        text = keys() + tenants("limits = '4 req/min'", "limits = '2 req/min'")
        text += "[keys.one]\nsecret = 'env:UP_KEY'\ntenant = 'acme.web'\nlimits = '9 req/min'\n"
        async with Upstream(SEVERAL) as up, Gate(tmp_path, file(text, a=up), clean=False) as gate:
            statuses = []
            made = UP_KEY
            for key in (APP_KEY, made, made, OTHER_KEY, OTHER_KEY, OTHER_KEY):
                gate.key = key
                reply = await gate.chat("a/m")
                statuses.append(reply.status)
                if reply.status == 429:
                    whose = "team acme.web" if key == made else "organisation acme"
                    assert f"The {whose}'s limit of" in reply.json["error"]["message"]
            assert statuses == [200, 200, 429, 200, 200, 429]
            figures = (await gate.get("/v1/key")).json["limits"]
            assert [(f["tenant"], f["limit"], f["remaining"]) for f in figures] == [("acme", 4, 0)]
            gate.hup()  # a reload fills nothing
            await asyncio.sleep(0.2)
            assert (await gate.chat("a/m")).status == 429

    run(main())


def test_models_and_regions_are_those_of_every_level(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        text = (
            keys(app="models = ['main', 'second']") + route("main", "a/m") + route("second", "a/m")
        )
        text += tenants("region = 'us'", "models = ['main', 'a/*']")
        up = Upstream(SEVERAL)
        async with up, Gate(tmp_path, file(text, each="region = 'us'", a=up), key=APP_KEY) as gate:
            statuses = [(await gate.chat(name)).status for name in ("main", "second", "a/m")]
            assert statuses == [200, 403, 403]
            names = [one["id"] for one in (await gate.get("/v1/models")).json["data"]]
            assert names == ["main"]
            gate.key = OTHER_KEY
            assert (await gate.chat("second")).status == 200
            own = (await gate.get("/v1/key")).json
            assert (own["region"], own["models"]) == ("us", [])
            eu = file(text.replace("'us'", "'eu'"), each="region = 'us'", a=up)
            gate.write(eu)
            gate.hup()
            await until_status(gate, 403)

    run(main())


async def until_status(gate: Gate, status: int) -> None:
    async with asyncio.timeout(5):
        while (await gate.chat("main")).status != status:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def webhook(url: str) -> str:
    alerts = f"at = [0.5], webhook = '{url}', secret = 'env:OTHER_KEY'"
    return f"[tenants.acme]\nlimits = '$5/day'\nalerts = {{ {alerts} }}\n"


@pytest.mark.parametrize(
    ("text", "says_"),
    [
        ("[keys.app]\nsecret = 'env:APP_KEY'\ntenant = 'acme.wbe'\n", 'mean "acme.web"?'),
        ("[tenants.acme]\nlimit = '$5/day'\n", 'no key "limit"; did you mean "limits"?'),
        ("[tenants.acme.alert]\nat = [0.5]\n", 'no key "alert"; did you mean "alerts"?'),
        ("[tenants.acme.web.inner]\n", 'has no key "inner"'),
        ("[tenants.'acme.web']\n", "is no name for a tenant"),
        ("[tenants.acme]\nroles = { 'a@b' = 'boss' }\n", "is not valid; valid: owner, admin"),
        ("[tenants.acme]\nlimits = '$5/fortnight'\n", "[tenants.acme]: the limit"),
        ("[tenants.acme]\nregion = 'eurp'\n", "[tenants.acme] region"),
        ("[tenants.acme]\nalerts = { at = [0.5] }\n", "no budget to watch"),
        ("[tenants.acme]\nlimits = '$5/day'\nalerts = { at = [90] }\n", "90 is no part"),
        ("[tenants.acme]\nlimits = '$5/day'\nalerts = { at = [1.0], webhook = 'http://x' }\n",
         "go together"),
        (webhook("https://"), "webhook 'https://' must look like"),
        (webhook("http://x:99999/in"), "has no usable port"),
        (webhook("http://canary:pw@x/in"), "must not hold a user or a password"),
        (webhook("http://x/a b"), "holds a blank"),
        (webhook("http://[::1/"), "is not a URL"),
        (webhook("http://x/\u00e4"), "a character that a path cannot carry"),
        ("[tenants.acme]\nregion = 'eu'\n[keys.app]\nsecret = 'env:APP_KEY'\ntenant = 'acme'\n"
         "region = 'us'\n", 'both in "us" and in "eu"'),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(tmp_path: Path, run: Run, text: str, says_: str) -> None:
    known = "" if "[tenants." in text else "[tenants.acme.web]\n"

    async def main() -> None:
        async with Upstream(SEVERAL) as up, Gate(tmp_path, file(a=up), clean=False) as gate:
            gate.write(file(text + known, a=up))
            said = (await gate.control({"do": "reload"}))["error"]
            assert says_ in said

    run(main())


def test_a_key_of_a_tenant_that_has_gone_is_refused(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with Upstream(SEVERAL) as up:
            text = file(keys() + tenants(), a=up)
            async with Gate(tmp_path, text, clean=False) as gate:
                order = {"do": "keys.new", "name": "two", "tenant": "acme.wbe"}
                assert 'mean "acme.web"?' in (await gate.control(order))["error"]
                made = (await gate.control({**order, "tenant": "acme.web"}))["ok"]
                gate.key = made["secret"]
                assert (await gate.chat("a/m")).status == 200
                gate.write(file("[keys.app]\nsecret = 'env:APP_KEY'\n", a=up))
                assert (await gate.control({"do": "reload"}))["ok"]
                assert (await gate.chat("a/m")).status == 401
                assert "two: there is no tenant" in gate.log.read_text()

    run(main())


# -- secrets ----------------------------------------------------------------------------------


def test_a_new_secret_for_the_same_key_and_the_old_one_for_a_while(
    tmp_path: Path, run: Run
) -> None:
    async def main() -> None:
        async with Upstream(SEVERAL) as up, Gate(tmp_path, file(a=up), clean=False) as gate:
            made = (await gate.control({"do": "keys.new", "name": "app", "limits": "$5/day"}))["ok"]
            gate.key = made["secret"]
            assert (await gate.chat("a/m")).status == 200
            order = {"do": "keys.rotate", "name": "app", "overlap_ms": 1_500}
            turned = (await gate.control(order))["ok"]
            assert (turned["id"], turned["secret"] == gate.key) == (made["id"], False)
            seen = []
            for secret in (made["secret"], turned["secret"]):
                gate.key = secret
                own = (await gate.get("/v1/key")).json
                seen.append((own["id"], own["spent_nano"]))
            assert seen == [(made["id"], COST)] * 2
            await gate.stop()
            await gate.start()  # it is not forgotten
            gate.key = made["secret"]
            async with asyncio.timeout(10):
                while (await gate.get("/v1/key")).status != 401:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            gate.key = turned["secret"]
            assert (await gate.chat("a/m")).status == 200
            await gate.control({**order, "overlap_ms": 60_000})
            await gate.control({"do": "keys.revoke", "name": "app"})
            assert (await gate.get("/v1/key")).status == 401  # at once, and the old one too

    run(main())


def test_a_key_ends_when_it_was_said_to(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        text = "[keys.app]\nsecret = 'env:APP_KEY'\nexpires = 2020-01-01T00:00:00Z\n"
        async with Upstream(SEVERAL) as up, Gate(tmp_path, file(text, a=up), clean=False) as gate:
            gate.key = APP_KEY
            assert (await gate.chat("a/m")).status == 401
            ends = int(time.time() * 1000)
            order = {"do": "keys.new", "name": "two", "expires_at_ms": ends - 1}
            assert "expired before" in (await gate.control(order))["error"]
            made = (await gate.control({**order, "expires_at_ms": ends + 1_500}))["ok"]
            gate.key = made["secret"]
            assert (await gate.get("/v1/key")).json["expires_at_ms"] == ends + 1_500
            async with asyncio.timeout(10):
                while (await gate.get("/v1/key")).status != 401:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)

    run(main())


def test_a_key_made_at_run_time_begins_when_it_was_said_to(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with Upstream(SEVERAL) as up, Gate(tmp_path, file(a=up), clean=False) as gate:
            now = int(time.time() * 1000)
            order = {"do": "keys.new", "name": "two", "begins_at_ms": now + 1_500}
            late = await gate.control({**order, "expires_at_ms": now + 1_500})
            assert "expire before it begins" in late["error"]
            gate.key = (await gate.control(order))["ok"]["secret"]
            assert (await gate.get("/v1/key")).status == 401
            async with asyncio.timeout(10):
                while (await gate.get("/v1/key")).status != 200:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            assert time.time() * 1000 >= now + 1_500

    run(main())


# -- alerts -----------------------------------------------------------------------------------


def test_a_call_that_cannot_be_made_is_said_and_tried_again(tmp_path: Path, run: Run) -> None:
    """The secret of this webhook cannot be written in UTF-8."""

    async def main() -> None:
        async with Upstream(*numbered()) as up:
            alerts = (
                f"limits = '{dollars(4 * COST)}/month'\n"
                "alerts = { at = [0.25], webhook = 'http://127.0.0.1:1/', secret = 'env:HOOK' }"
            )
            text, env = file(keys() + tenants(alerts), a=up), {"HOOK": "oct-other-\udcff-0f1e2d"}
            async with Gate(tmp_path, text, key=APP_KEY, env=env) as gate:
                assert (await gate.chat("a/m", max_tokens=7)).status == 200
                said = "was not taken: a defect of the gateway: UnicodeEncodeError"
                await until(lambda: gate.log.read_text().count(said) == 2, 10)

    run(main())


def test_a_threshold_is_told_once_signed_and_until_it_is_taken(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(*numbered()) as up,
            Upstream(says(b"no", status=500), says(b"")) as hook,
        ):
            alerts = (
                f"limits = '{dollars(4 * COST)}/month'\n"
                f"alerts = {{ at = [0.25, 0.9], webhook = '{hook.url}/in?x=1', "
                "secret = 'env:OTHER_KEY' }"
            )
            text = file(keys() + tenants(alerts), a=up)
            async with Gate(tmp_path, text, key=APP_KEY) as gate:
                assert (await gate.chat("a/m", max_tokens=7)).status == 200
                await until(lambda: len(hook.book) == 2, 10)
                await until(lambda: (gate.data / "alerts.json").exists())
                assert "organisation acme has spent" in gate.log.read_text()
                assert "over 25 %" in gate.log.read_text()
                await gate.stop()
                await gate.start()
                await asyncio.sleep(1.5)
                assert len(hook.book) == 2
        for entry in hook.book:
            body, at = entry.body, entry.headers[b"x-octoplex-timestamp"]
            mac = hmac.new(OTHER_KEY.encode(), at + b"." + body, hashlib.sha256).hexdigest()
            assert entry.headers[b"x-octoplex-signature"] == f"sha256={mac}".encode()
            assert entry.path.endswith("/in?x=1")
            told: dict[str, Any] = json.loads(body)
            assert (told["tenant"], told["at"], told["spent_nano"]) == ("acme", 0.25, COST)

    run(main())


def test_what_a_webhook_says_beside_its_status_is_not_read(tmp_path: Path, run: Run) -> None:
    """A redirect is followed nowhere: it is an answer that is not 2xx."""
    ends: list[str] = []

    async def endless(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while not exchange.gone.is_set():
                exchange.send(b"1000\r\n" + b"x" * 4096 + b"\r\n")
                await asyncio.sleep(0)
        ends.append("gone")

    async def main() -> None:
        away = says(b"", status=302, headers=[("location", "http://169.254.169.254/")])
        async with Upstream(*numbered()) as up, Upstream(away, endless) as hook:
            alerts = f"at = [0.5], webhook = '{hook.url}/in', secret = 'env:OTHER_KEY'"
            more = f"limits = '{dollars(2 * COST)}/month'\nalerts = {{ {alerts} }}"
            async with Gate(tmp_path, file(keys() + tenants(more), a=up), key=APP_KEY) as gate:
                assert (await gate.chat("a/m", max_tokens=7)).status == 200
                await until(lambda: ends == ["gone"], 10)
                assert "was not taken: status 302" in gate.log.read_text()
                await until(lambda: (gate.data / "alerts.json").exists())
                assert len(hook.book) == 2

    run(main())
