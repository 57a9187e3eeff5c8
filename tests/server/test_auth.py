"""Who may ask what: generated from the route table, so that no row can be forgotten."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from octoplex.server.app import Route
from octoplex.server.table import routes
from tests.server import caller, provider
from tests.server.caller import Reply
from tests.server.check import error_of
from tests.server.conftest import Run
from tests.server.gate import APP_KEY, PATHS, Gate, file, question
from tests.upstream_server import Upstream

OTHER = "oct-other-0f1e2d3c4b5a6978"
KEYS = "[keys.app]\nsecret = 'env:APP_KEY'\n[keys.other]\nsecret = 'env:OTHER_KEY'\n"
Pairs = Iterable[tuple[str, str]]


KEYED = ("key", "admin")


def bearer(key: str) -> Pairs:
    return [("authorization", f"Bearer {key}")]


async def asked(gate: Gate, row: Route, headers: Pairs, query: str = "") -> Reply:
    """Ask a row of the table; an open path gets an id."""
    path = row.path + ("a/m" if row.path.endswith("/") else "") + query
    body = question("a/m") if row.method == "POST" else None
    reply = await caller.ask(gate.port, row.method, path, body, headers)
    gate.seen.append(reply.raw)
    return reply


def face_of(row: Route) -> str:
    return "openai-chat" if row.face == "either" else row.face


def test_the_table_says_of_every_row_who_may_ask() -> None:
    rows = routes()
    assert len(rows) >= 12
    assert {r.who for r in rows} <= {"key", "anyone", "loopback", "admin"}
    open_rows = {r.path for r in rows if r.who not in ("key", "admin")}
    assert open_rows == {"/health/live", "/health/ready", "/metrics", "/openapi.json"}


@pytest.mark.parametrize("row", routes(), ids=lambda r: f"{r.method} {r.path}")
def test_every_row_asks_for_a_key(tmp_path: Path, run: Run, row: Route) -> None:
    refused: list[tuple[Pairs, str]] = [
        ([], ""),
        (bearer("oct-wrong"), ""),
        (bearer(""), ""),
        ([("authorization", f"Basic {APP_KEY}")], ""),
        ([("x-api-key", "wrong")], ""),
        ([("x-api-key", APP_KEY[:-1])], ""),
        ([("x-api-key", APP_KEY + "x")], ""),
        ([("x-goog-api-key", "wrong")], ""),
        ([("api-key", "x" * 5000)], ""),
        ([], "?key=wrong"),
        ([("cookie", f"key={APP_KEY}")], ""),
    ]
    carried: list[tuple[Pairs, str]] = [
        (bearer(APP_KEY), ""),
        ([("authorization", f"bearer  {APP_KEY} ")], ""),
        ([("x-api-key", APP_KEY)], ""),
        ([("x-goog-api-key", APP_KEY)], ""),
        ([("api-key", APP_KEY)], ""),
        ([], f"?key={APP_KEY}"),
        ([("x-api-key", APP_KEY), *bearer(APP_KEY)], f"?key={APP_KEY}"),
    ]
    two: list[tuple[Pairs, str]] = [
        ([("x-api-key", OTHER), *bearer(APP_KEY)], ""),
        ([("x-api-key", APP_KEY), ("x-api-key", OTHER)], ""),
        (bearer(APP_KEY), f"?key={OTHER}"),
    ]

    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file(KEYS, a=up), key=APP_KEY) as gate,
        ):
            for headers, query in refused:
                reply = await asked(gate, row, headers, query)
                if row.who in KEYED:
                    assert reply.status == 401, (headers, query)
                    error = error_of(reply, face_of(row))
                    assert error["type"] in ("authentication_error", "UNAUTHENTICATED")
                else:
                    assert reply.status == 200
            for headers, query in two:
                reply = await asked(gate, row, headers, query)
                assert reply.status == (400 if row.who in KEYED else 200)
            assert up.book == []
            for headers, query in carried:
                reply = await asked(gate, row, headers, query)
                # A key without a role is known at /admin, and may not go there.
                assert reply.status != 401, (headers, query)
                assert (reply.status == 403) == (row.who == "admin"), (headers, query)

    run(main())


def test_a_revoked_key_opens_nothing_within_a_second(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file(a=up)) as gate,
        ):
            # The first key closes the doors that were open without one.
            assert (await gate.get("/v1/models")).status == 200
            made = (await gate.control({"do": "keys.new", "name": "guest"}))["ok"]
            assert (await gate.get("/v1/models")).status == 401
            for row in routes():
                status = (await asked(gate, row, bearer(made["secret"]))).status
                assert status == 403 if row.who == "admin" else status not in (401, 403)
            calls = len(up.book)
            assert "error" not in await gate.control({"do": "keys.revoke", "name": "guest"})
            for row in routes():
                reply = await asked(gate, row, bearer(made["secret"]))
                assert reply.status == (401 if row.who in KEYED else 200), row.path
            # and they do not open again because the only key is gone
            assert (await gate.get("/v1/models")).status == 401
            assert len(up.book) == calls
            again = await gate.control({"do": "keys.revoke", "name": "guest"})
            assert "error" in again
            gate.key = (await gate.control({"do": "keys.new", "name": "guest"}))["ok"]["secret"]
            assert gate.key != made["secret"]
            assert (await gate.get("/v1/models")).status == 200
            secrets = (made["secret"].encode(), gate.key.encode())
            for path in gate.data.iterdir():
                if path.is_file():
                    assert not any(s in path.read_bytes() for s in secrets), path

    run(main())


def test_without_keys_only_this_machine_is_served(tmp_path: Path, run: Run) -> None:
    good: list[Pairs] = [
        [("host", "localhost")],
        [("host", "LOCALHOST:8080")],
        [("host", "127.0.0.1:1")],
        [("host", "[::1]:8080")],
        [("origin", "http://localhost:3000")],
        [("origin", "http://127.0.0.1:5173")],
    ]
    bad: list[Pairs] = [
        [("host", "evil.example")],
        [("host", "localhost.evil.example")],
        [("host", "127.0.0.1.evil.example:80")],
        [("host", "evil.example"), ("x-forwarded-host", "localhost")],
        [("origin", "https://evil.example")],
        [("origin", "https://localhost.evil.example")],
        [("origin", "null")],
        [("origin", "http://localhost@evil.example")],
    ]

    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file(a=up)) as gate,
        ):
            for headers in good:
                reply = await gate.post(PATHS["openai-chat"], question("a/m"), *headers)
                assert reply.status == 200, headers
            for row in routes():
                for headers in bad:
                    reply = await asked(gate, row, headers)
                    if row.who == "key":
                        assert reply.status == 403, (row.path, headers)
                        error_of(reply, face_of(row))
            assert len(up.book) == len(good)

    run(main())


def test_nobody_sees_anothers_requests(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file(KEYS, a=up), key=APP_KEY) as gate,
        ):
            assert (await gate.chat("a/m")).status == 200
            (mine,) = await gate.records()
            gate.key = OTHER
            assert (await gate.get("/v1/requests")).json["data"] == []
            for id_ in (mine["id"], mine["id"].upper(), "nothing"):
                assert (await gate.get(f"/v1/requests/{id_}")).status == 404
            assert (await gate.get(f"/v1/requests?before={mine['id']}")).json["data"] == []
            assert (await gate.get("/v1/key")).json["name"] == "other"
            gate.key = APP_KEY
            assert (await gate.get(f"/v1/requests/{mine['id']}")).json["key"] == "app"

    run(main())


def test_a_key_is_bound_to_its_models(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        keys = "[keys.app]\nsecret = 'env:APP_KEY'\nmodels = ['main', 'a/m2*']\n"
        more = keys + "[models.main]\ntry = ['a/m']\n[models.side]\ntry = ['a/m']\n"
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file(more, a=up), key=APP_KEY) as gate,
        ):
            listed = [m["id"] for m in (await gate.get("/v1/models")).json["data"]]
            assert listed == ["main"]
            for model, status in (("main", 200), ("a/m21", 200), ("side", 403), ("a/m", 403)):
                for face in ("openai-chat", "anthropic"):
                    reply = await gate.chat(model, face)
                    assert reply.status == status, model
                    if status == 403:
                        error: dict[str, Any] = error_of(reply, face)
                        assert error["type"] == "permission_error"
            assert (await gate.get("/v1/models/side")).status == 404
            assert (await gate.get("/v1/models/a/m")).status == 404
            assert len(up.book) == 4
            assert [r["status"] for r in await gate.records(8)].count(403) == 4

    run(main())
