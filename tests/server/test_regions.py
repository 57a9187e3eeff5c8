"""A key's region over HTTP, on every face and for every operation: outside it nobody is asked."""

from pathlib import Path

from tests.server.conftest import Run
from tests.server.gate import APP_KEY, Gate, file, route
from tests.server.provider import chat_body
from tests.upstream_server import Upstream, says

EU = 'secret = "env:APP_KEY"\nregion = "eu"\n'


def test_outside_a_keys_region_nobody_is_asked(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with Upstream(says(chat_body())) as here, Upstream(says(chat_body())) as there:
            text = file(f"{route('both', 'b/m', 'a/m')}\n[keys.app]\n{EU}", "", a=here, b=there)
            text = text.replace("[providers.a]\n", "[providers.a]\nregion = 'de'\n")
            text = text.replace("[providers.b]\n", "[providers.b]\nregion = 'us'\n")
            async with Gate(tmp_path, text, key=APP_KEY) as gate:
                assert (await gate.chat("both")).status == 200
                assert (await gate.chat("a/m", "anthropic")).status == 200
                refused = await gate.chat("b/m")
                assert refused.status == 403
                error = refused.json["error"]
                assert (error["code"], error["type"]) == ("out_of_region", "permission_error")
                assert error["octoplex"]["region"] == "eu"
                assert "b/m@us: it is asked in us" in error["message"]
                refused = await gate.chat("b/m", "anthropic")
                assert refused.status == 403
                assert refused.json["error"]["type"] == "permission_error"
                for path in ("/v1/embeddings", "/v1/messages/count_tokens", "/providers/b/x"):
                    reply = await gate.post(path, b'{"model":"b/m","input":"x","messages":[{}]}')
                    assert reply.status == 403, (path, reply.raw)
                listed = (await gate.get("/v1/models")).json["data"]
                assert "b/m" not in [row["id"] for row in listed]
                assert len(here.book) == 2
                assert not there.book
                await gate.records(5 + 2)
                assert (await gate.get("/v1/key")).json["region"] == "eu"

    run(main())


def test_a_key_made_at_run_time_is_bound_at_once_and_after_a_restart(
    tmp_path: Path, run: Run
) -> None:
    async def main() -> None:
        async with Upstream(says(chat_body())) as here, Upstream(says(chat_body())) as there:
            text = file(route("both", "b/m", "a/m"), "", a=here, b=there)
            text = text.replace("[providers.a]\n", "[providers.a]\nregion = 'de'\n")
            text = text.replace("[providers.b]\n", "[providers.b]\nregion = 'us'\n")
            async with Gate(tmp_path, text) as gate:
                assert (await gate.get("/v1/key")).json["region"] == ""
                refused = await gate.control(
                    {"do": "keys.new", "name": "app", "region": "eu-centrl-1"}
                )
                assert 'did you mean "eu-central-1"?' in refused["error"]
                made = await gate.control({"do": "keys.new", "name": "app", "region": "eu"})
                gate.key = made["ok"]["secret"]
                for life in (1, 2):
                    assert (await gate.get("/v1/key")).json["region"] == "eu"
                    assert (await gate.chat("both")).status == 200
                    assert (await gate.chat("b/m")).json["error"]["code"] == "out_of_region"
                    assert (len(here.book), len(there.book)) == (life, 0)
                    gate.hup()  # a reload keeps it too
                    assert await gate.control({"do": "reload"}) == {"ok": "reloaded"}
                    assert (await gate.chat("b/m", "anthropic")).status == 403
                    if life == 1:
                        assert await gate.stop() == 0
                        await gate.start()

    run(main())
