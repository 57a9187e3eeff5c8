"""A file uploaded here may be named by its id in a request; a provider gets its bytes.

Shapes: https://developers.openai.com/api/docs/guides/pdf-files (file_id, file_data) and
https://platform.claude.com/docs/en/build-with-claude/files (source).
"""

import base64
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.server.batch_scene import claude
from tests.server.conftest import Run
from tests.server.gate import APP_KEY, Gate
from tests.server.responses_scene import OTHER, config, create, sdk, sent
from tests.server.turns import turns
from tests.upstream_server import Upstream

PDF = b"%PDF-1.7 canary"
DATA = base64.b64encode(PDF).decode()
URL = f"data:application/pdf;base64,{DATA}"


async def uploaded(client: openai.AsyncOpenAI, name: str = "a.pdf", data: bytes = PDF) -> str:
    return (await client.files.create(file=(name, data), purpose="user_data")).id


def chat_with(id_: str) -> list[dict[str, Any]]:
    part = {"type": "file", "file": {"file_id": id_}}
    return [{"role": "user", "content": [part, {"type": "text", "text": "Hello"}]}]


@pytest.mark.parametrize("dialect", ["openai-chat", "anthropic"])
def test_a_chat_names_a_file_by_its_id(tmp_path: Path, run: Run, dialect: str) -> None:
    async def main() -> None:
        async with (
            Upstream(*turns(dialect, stream=False)[1:]) as up,
            Gate(tmp_path, config(up=(dialect, up)), key=APP_KEY) as gate,
            sdk(gate) as client,
        ):
            id_ = await uploaded(client)
            await client.chat.completions.create(model="up/m", messages=chat_with(id_))  # type: ignore[arg-type]
            part = sent(up)["messages"][0]["content"][0]
            if dialect == "openai-chat":
                assert part == {"type": "file", "file": {"filename": "a.pdf", "file_data": URL}}
            else:
                source = {"type": "base64", "media_type": "application/pdf", "data": DATA}
                assert part["source"] == source

    run(main())


def test_a_response_and_what_goes_on_from_it_name_a_file(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        plays = turns("openai-chat", stream=False)[1:]
        async with (
            Upstream(*plays, *plays) as up,
            Gate(tmp_path, config(up=("openai-chat", up)), key=APP_KEY) as gate,
            sdk(gate) as client,
        ):
            id_, image = await uploaded(client), await uploaded(client, "b.png", b"\x89PNG")
            parts = [
                {"type": "input_file", "file_id": id_},
                {"type": "input_image", "file_id": image},
            ]
            turn = [{"role": "user", "content": parts}]
            first = await create(client, model="up/m", input=turn)
            await create(client, model="up/m", input="And?", previous_response_id=first.id)
            for number in (0, 1):
                content = sent(up, number)["messages"][0]["content"]
                assert content[0]["file"] == {"filename": "a.pdf", "file_data": URL}
                assert content[1]["image_url"]["url"] == "data:image/png;base64,iVBORw=="

    run(main())


def test_a_message_names_a_file(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        plays = turns("anthropic", stream=False)[1:]
        async with (
            Upstream(*plays, *plays) as up,
            Gate(tmp_path, config(up=("anthropic", up)), key=APP_KEY) as gate,
            sdk(gate) as client,
            claude(gate) as anthropic,
        ):
            for name, source in (
                ("a.pdf", {"type": "base64", "media_type": "application/pdf", "data": DATA}),
                ("a.txt", {"type": "text", "media_type": "text/plain", "data": PDF.decode()}),
            ):
                given = {"type": "file", "file_id": await uploaded(client, name)}
                content: Any = [{"type": "document", "source": given, "title": "T"}]
                await anthropic.messages.create(
                    model="up/m", max_tokens=9, messages=[{"role": "user", "content": content}]
                )
                part = sent(up)["messages"][0]["content"][0]
                assert part == {"type": "document", "source": source, "title": "T"}

    run(main())


def test_another_keys_file_is_as_absent_as_none(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(*turns("openai-chat", stream=False)[1:]) as up,
            Gate(tmp_path, config(up=("openai-chat", up)), key=APP_KEY) as gate,
            sdk(gate) as client,
            sdk(gate, OTHER) as other,
        ):
            id_ = await uploaded(client)
            for asks, named in ((other, id_), (client, "file-" + "0" * 40)):
                with pytest.raises(openai.BadRequestError, match=f"There is no file '{named}'"):
                    await asks.chat.completions.create(
                        model="up/m",
                        messages=chat_with(named),  # type: ignore[arg-type]
                    )
            assert not up.book
            await client.chat.completions.create(
                model="up/m",
                messages=chat_with("file-theirs"),  # type: ignore[arg-type]
            )
            assert sent(up)["messages"][0]["content"][0]["file"] == {"file_id": "file-theirs"}

    run(main())


def test_files_are_bounded_together(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        text = config("", 'media = { max = "1 KB", total = "1 KB" }')
        async with Gate(tmp_path, text, key=APP_KEY) as gate, sdk(gate) as client:
            ids = [await uploaded(client, "a.pdf", b"x" * 600) for _ in range(2)]
            with pytest.raises(openai.BadRequestError, match=r"1,200 bytes; the most is 1,000"):
                await client.chat.completions.create(
                    model="openai/m",
                    messages=[*chat_with(ids[0]), *chat_with(ids[1])],  # type: ignore[arg-type]
                )

    run(main())
