"""`/admin` at an address of its own: there and nowhere else, with one process and with several."""

import re
import socket
from pathlib import Path

import pytest

from octoplex.server.serve import Options, bind
from octoplex.settings import parse
from octoplex.wire.error import BadConfig
from tests.server import caller, provider
from tests.server.caller import Reply
from tests.server.conftest import Run
from tests.server.gate import APP_KEY, Gate, file, until
from tests.server.supervisor.processes import kill, owner, whole
from tests.server.test_admin import ENV, KEYS, OPS
from tests.upstream_server import Upstream

ADMIN = "admin = '127.0.0.1:0'"
NO_OPTIONS = Options(config=None, env={})


async def ask(port: int, path: str, key: str = OPS, method: str = "GET") -> Reply:
    sent = b"{}" if method == "POST" else None
    return await caller.ask(port, method, path, sent, [("authorization", f"Bearer {key}")])


def port_of(gate: Gate) -> int:
    (line,) = re.findall(r"admin +http://127\.0\.0\.1:(\d+)/admin/status\n", gate.out.read_text())
    assert len(gate.out.read_text().splitlines()) <= 10
    return int(line)


@pytest.mark.parametrize("server", [ADMIN, f"{ADMIN}\nworkers = 2"])
def test_admin_answers_at_its_own_address_alone(tmp_path: Path, run: Run, server: str) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file(KEYS, server, a=up), env=ENV, key=APP_KEY) as gate,
        ):
            port = port_of(gate)
            for path in ("status", "providers", "keys", "audit", "config"):
                assert (await ask(port, f"/admin/{path}")).status == 200
                assert (await ask(port, f"/admin/{path}", APP_KEY)).status == 403
                assert (await ask(port, f"/admin/{path}", "nobody")).status == 401
                assert (await ask(gate.port, f"/admin/{path}")).status == 404
            disable = "/admin/providers/a/disable"
            assert (await ask(gate.port, disable, method="POST")).status == 404
            assert (await gate.chat("a/m")).status == 200
            assert (await ask(port, disable, method="POST")).status == 200
            assert (await gate.chat("a/m")).status == 404
            gate.write(
                file(f"{KEYS}[keys.new]\nsecret = 'env:NEW'\nrole = 'viewer'\n", server, a=up)
            )
            assert (await ask(port, "/admin/reload", method="POST")).status == 400  # no NEW there
            gate.write(file(KEYS.replace("'viewer'", "'admin'"), server, a=up))
            assert (await ask(port, "/admin/reload", method="POST")).status == 200
            assert (await ask(port, "/admin/config")).json["keys"]["view"]["role"] == "admin"
            assert (await ask(port, "/v1/models")).status == 404
            assert (await ask(port, "/health/ready")).status == 200
            here, there = [(await ask(p, "/openapi.json")).json["paths"] for p in (gate.port, port)]
            assert [path for path in here if "admin" in path] == []
            assert "/admin/{id}" in there
            assert "/v1/models" not in there

    run(main())


def test_it_waits_for_an_owner_that_is_being_started(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        text = file(KEYS, f"{ADMIN}\nworkers = 2")
        async with Gate(tmp_path, text, env=ENV, key=APP_KEY, clean=False) as gate:
            port = port_of(gate)
            for _ in range(3):
                await until(lambda: whole(gate, 2), 10)
                kill(owner(gate))
                assert (await ask(port, "/admin/status")).status == 200

    run(main())


@pytest.mark.parametrize("address", ["9000", "localhost:", "localhost:x", "[::1]", "a:1:70000"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(BadConfig, match=r'\[server\] admin: ".*" must be "host:port"'):
        parse(f'[server]\nadmin = "{address}"\n')


def test_an_address_that_is_taken_is_refused_and_nothing_is_left_open() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        admin = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(BadConfig, match=rf"{admin}: Address already in use.*\[server\] admin"):
            bind(parse(f'[server]\nlisten = "127.0.0.1:0"\nadmin = "{admin}"\n'), NO_OPTIONS)
    place = bind(parse(f'[server]\nlisten = "127.0.0.1:0"\nadmin = "{admin}"\n'), NO_OPTIONS)
    assert place.admin is not None
    assert place.admin.url == f"http://{admin}"
    place.close()
    assert (place.socket.fileno(), place.admin.socket.fileno()) == (-1, -1)
