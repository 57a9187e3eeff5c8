"""A reload puts a whole configuration in force, or nothing of it."""

import asyncio
from pathlib import Path

import pytest

from octoplex.ledger.rows import KeyRow
from octoplex.reflex.keys import KeySpec, new_key
from octoplex.server import rereading, serve
from octoplex.settings import Settings
from octoplex.wire.error import BadConfig, Unauthorized
from tests.assembly.scene import Scene, opened
from tests.server.gate import until

ENV = {"A": "f7m2q9x4k1z8-first", "B": "f7m2q9x4k1z8-other", "WEAK": "changeme-changeme"}
KEY_A, KEY_B = '[keys.a]\nsecret = "env:A"\n', '[keys.b]\nsecret = "env:B"\n'
OUTSIDE = "0.0.0.0"


def names(at: Scene) -> list[str]:
    return [key.name for key in at.gateway.works.keyring]


async def make_key(at: Scene, name: str) -> KeyRow:
    works = at.gateway.works
    _, row = new_key(KeySpec(name=name), works.hasher, 1)
    await works.store.add_key(row)
    at.gateway.put_keys(await works.store.keys())
    return row


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[server]\n", "0.0.0.0 can be reached by others, and no key"),
        ('[keys.a]\nsecret = "env:WEAK"\n', "[keys.a] secret: it begins like"),
        ('[keys.a]\nsecret = "env:GONE"\n', "GONE is not set"),
    ],
)
def test_an_exposed_server_never_loses_its_keys(tmp_path: Path, text: str, said: str) -> None:
    async def main() -> None:
        async with opened(tmp_path, KEY_A, ENV, exposed=OUTSIDE) as at:
            before = at.gateway
            assert said in await at.reload(text)
            assert at.gateway is before
            assert before.works.config_error
            assert names(at) == ["a"]
            assert at.gateway.needs_key
            assert await at.reload(KEY_B) == ""
            assert names(at) == ["b"]
            assert not before.works.config_error

    asyncio.run(main())


@pytest.mark.parametrize(
    ("text", "said"), [("", "no key"), ('[keys.a]\nsecret = "env:WEAK"\n', "it begins like")]
)
def test_an_exposed_server_does_not_start_so(tmp_path: Path, text: str, said: str) -> None:
    async def main() -> None:
        with pytest.raises(BadConfig, match=said):
            async with opened(tmp_path, text, ENV, exposed=OUTSIDE):
                pass
        async with opened(tmp_path, text, ENV):  # on loopback it does
            pass

    asyncio.run(main())


def test_an_exposed_server_asks_for_a_key_although_the_last_was_revoked(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path, KEY_A, ENV, exposed=OUTSIDE) as at:
            await make_key(at, "made")
            assert await at.reload("[server]\n") == ""  # the one made at run time is a key
            store = at.gateway.works.store
            await store.revoke_key("made", 2)
            at.gateway.put_keys(await store.keys())
            assert names(at) == []
            assert at.gateway.needs_key
            with pytest.raises(Unauthorized):
                at.gateway.key(None)
            assert "no key is configured" in await at.reload("[server]\n")

    asyncio.run(main())


def test_a_refused_reload_applies_nothing(tmp_path: Path) -> None:
    gguf = tmp_path / "m.gguf"
    gguf.write_bytes(b"")
    local = f'[local.mine]\npath = "{gguf}"\n'
    broken = [
        '[models.x]\ntry = ["nobody/m"]\n' + KEY_B,
        '[local.other]\npath = "/nowhere.gguf"\n' + KEY_B,
        KEY_B + '[keys.c]\nsecret = "env:B"\n',  # one secret for two
        KEY_B + '[keys.c]\nsecret = "env:GONE"\n',
    ]

    async def main() -> None:
        async with opened(tmp_path, KEY_A + local, ENV) as at:
            before = at.gateway
            for text in broken:
                assert await at.reload(text)
                assert at.gateway is before
                assert names(at) == ["a"]
                assert "mine" in before.works.fleet.names()
                assert "other" not in before.works.fleet.names()
            assert await at.reload(KEY_B) == ""
            assert "mine" not in before.works.fleet.names()

    asyncio.run(main())


def test_a_reload_survives_whatever_goes_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def defective(text: str, origin: str) -> Settings:
        raise ZeroDivisionError("token=sk-abcdefghijklmnop")

    async def main() -> None:
        async with opened(tmp_path, KEY_A, ENV) as at:
            before = at.gateway
            monkeypatch.setattr(serve, "parse", defective)
            said = await at.reload(KEY_B)
            assert said.startswith("ZeroDivisionError")
            assert "sk-abc" not in said
            assert at.gateway is before
            assert names(at) == ["a"]

    asyncio.run(main())


def test_a_secret_that_cannot_be_read_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"\xff\xfe")

    async def main() -> None:
        async with opened(tmp_path, KEY_A, ENV) as at:
            said = await at.reload(f'[keys.a]\nsecret = "file:{tmp_path}/secret"\n')
            assert "[keys.a] secret: the file" in said
            assert names(at) == ["a"]

    asyncio.run(main())


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("[keys.a]\nsecret = 'env:LINES'\n", "[keys.a] secret (env:LINES): it holds a line break"),
        (
            "[providers.p]\nbase_url = 'https://p.test'\ndialect = 'openai-chat'\n"
            "api_key = 'env:LINES'\n",
            "[providers.p] api_key (env:LINES): it holds a line break",
        ),
    ],
)
def test_a_secret_with_a_line_break_is_a_sentence(tmp_path: Path, text: str, where: str) -> None:
    env = ENV | {"LINES": "oct-canary-90ab\n12cd34ef"}

    async def main() -> None:
        async with opened(tmp_path, KEY_A, env) as at:
            said = await at.reload(text)
            assert where in said
            assert "canary" not in said
            assert names(at) == ["a"]
            (tmp_path / "secret").write_text("oct-canary-90ab12cd34ef\n")
            mended = text.replace("env:LINES", f"file:{tmp_path}/secret")
            assert not await at.reload(mended if "[keys" in text else mended + KEY_A)

    asyncio.run(main())


def test_of_keys_that_are_read_at_once_the_newer_are_put_in_force_last(tmp_path: Path) -> None:
    """A reading that takes long must not open again what was revoked meanwhile."""

    async def main() -> None:
        async with opened(tmp_path, KEY_A, ENV) as at:
            store, go = at.gateway.works.store, asyncio.Event()
            await make_key(at, "web")
            keys, asked = store.keys, 0

            async def slow() -> list[KeyRow]:
                nonlocal asked
                asked += 1
                first, rows = asked == 1, await keys()
                if first:
                    await go.wait()
                return rows

            store.keys = slow  # type: ignore[method-assign]
            late = asyncio.create_task(at.app.renew_keys())
            await until(lambda: asked)
            await asyncio.sleep(0.05)  # so that it has read
            await store.revoke_key("web", 2)
            soon = asyncio.create_task(at.app.renew_keys())
            asyncio.get_running_loop().call_later(0.05, go.set)
            await asyncio.gather(late, soon)
            assert names(at) == ["a"]
            go.clear()
            asked = 0
            late = asyncio.create_task(at.app.renew_keys())
            await until(lambda: asked)
            assert await at.reload(KEY_B) == ""  # the file's keys are those of now, too
            go.set()
            await late
            assert names(at) == ["b"]

    asyncio.run(main())


def test_a_file_that_is_still_being_written_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Cut off at the border of a table it could be read; one that stays so is told of."""
    monkeypatch.setattr(rereading, "STILL_S", 2.0)
    monkeypatch.setattr(rereading, "LONGEST_S", 20.0)

    async def main() -> None:
        async with opened(tmp_path, KEY_A + KEY_B, ENV) as at:
            config = at.options.config
            assert config is not None
            reading = asyncio.create_task(at.reload(KEY_A))
            await asyncio.sleep(0.05)
            config.write_text(KEY_A + KEY_B)
            assert await reading == ""
            assert names(at) == ["a", "b"]
            assert "any more" not in caplog.text
            monkeypatch.setattr(rereading, "STILL_S", 0.0)
            assert await at.reload(KEY_A) == ""
            assert "has no [keys.b] any more" in caplog.text

    asyncio.run(main())
