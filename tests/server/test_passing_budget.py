"""`/providers/{id}/...` under a dollar budget: what it costs is known before it goes on."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.server import provider
from tests.server.check import error_of
from tests.server.conftest import Run
from tests.server.gate import APP_KEY, Gate, file
from tests.server.test_passing import RESPONSES
from tests.upstream_server import Upstream, says, streams

FREE = "\n[keys.app]\nsecret = 'env:APP_KEY'\n"
KEY = FREE + "models = ['a/m', 'a/-']\nlimits = '$5/day'\n"
FORM = ("content-type", "multipart/form-data; boundary=BB")


def form(**values: str) -> bytes:
    """As https://developers.openai.com/api/reference/resources/images/methods/edit has it."""
    parts = [("image[]; filename=model.png", "\0model=x"), *values.items()]
    return (
        b"".join(
            f"--BB\r\ncontent-disposition: form-data; name={name}\r\n\r\n{value}\r\n".encode()
            for name, value in parts
        )
        + b"--BB--\r\n"
    )


def lines(*models: str, **params: Any) -> bytes:
    """As https://platform.claude.com/docs/en/api/messages/batches/create has it."""
    asked = [{"custom_id": m, "params": {"model": m, "messages": [], **params}} for m in models]
    return json.dumps({"requests": asked}).encode()


NAMELESS = [
    ("responses", b'{"prompt":{"id":"pmpt_1"}}'),
    ("responses", b'{"model":7}'),
    ("responses/compact", b'{"previous_response_id":"resp_1"}'),
    ("threads/thread_1/runs", b'{"assistant_id":"asst_1"}'),
    ("files/chat/completions", b"{}"),
    ("v1/messages/batches", b'{"model":"m","requests":[]}'),
    ("v1/messages/batches", b'{"model":"m","requests":[{"params":{}}]}'),
    ("v1/messages/batches", lines("m", "dearer")),
    ("batches", b'{"input_file_id":"file-1","endpoint":"/v1/responses"}'),
    ("v1/batch/jobs", b'{"model":"m","input_files":["file-1"]}'),
    ("models/m:batchGenerateContent", b'{"batch":{}}'),
    ("images/edits", form(prompt="a cat")),
    ("images/edits", form(model="m")[:60]),
    # what one parser reads and another does not
    ("v1/x", '{"model":"m"}'.encode("utf-16")),
    ("v1/x", b'\xef\xbb\xbf{"model":"m"}'),
    ("v1/x", b'{"model":"m","top_p":NaN}'),
    ("v1/x", b'{"model":"m","input":"\\ud800"}'),
    ("v1/x", b'{"model":"m","input":"a\tb"}'),
    ("v1/x", b'{"model":"m","model":null}'),
]


def test_what_names_no_model_is_refused(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(says(b"{}")) as up,
            Gate(tmp_path, file(KEY, a=up), key=APP_KEY) as gate,
        ):
            for path, body in NAMELESS:
                reply = await gate.post("/providers/a/" + path, body, *([FORM] * (b"--BB" in body)))
                assert reply.status == 403, (path, reply)
                said = error_of(reply, "openai-chat")
                assert (said["code"], "dollar budget" in said["message"]) == ("forbidden", True)
            assert not up.book

    run(main())


@pytest.mark.parametrize(
    "path",
    [
        "files",
        "v1/files",
        "uploads/upload_1/parts",
        "batches/batch_1/cancel",
        "v1/messages/count_tokens",
    ],
)
def test_what_nobody_bills_goes_on(tmp_path: Path, run: Run, path: str) -> None:
    async def main() -> None:
        said = b'{"model":"m","usage":{"prompt_tokens":12,"completion_tokens":7}}'
        async with (
            Upstream(says(said)) as up,
            Gate(tmp_path, file(KEY, a=up), key=APP_KEY) as gate,
        ):
            assert (await gate.post("/providers/a/" + path, b"{}")).status == 200
            assert (await gate.get("/providers/a/responses/resp_1")).status == 200
            assert [row["nano"] for row in await gate.rows(2)] == [0, 0]

    run(main())


def test_a_form_and_a_batch_name_theirs(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        said = b'{"usage":{"input_tokens":12,"output_tokens":7,"total_tokens":19}}'
        async with (
            Upstream(says(said), says(b'{"id":"msgbatch_1"}')) as up,
            Gate(tmp_path, file(KEY, a=up), key=APP_KEY) as gate,
        ):
            assert (
                await gate.post("/providers/a/images/edits", form(model="m"), FORM)
            ).status == 200
            dearer = await gate.post("/providers/a/images/edits", form(model="dearer"), FORM)
            assert dearer.status == 403
            body = lines("m", "m", max_tokens=100)
            assert (await gate.post("/providers/a/v1/messages/batches", body)).status == 200
            assert len(up.book) == 2
            edit, batch = await gate.rows(2)
            assert (edit["model"], edit["nano"]) == ("m", provider.nano(provider.BILL))
            assert (batch["model"], batch["output_tokens"], batch["estimated"]) == ("m", 200, True)
            assert batch["nano"] == provider.nano((-(-len(body) // 3), 200))

    run(main())


def test_a_batch_that_the_budget_does_not_hold(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        text = KEY.replace("$5/day", "$0.0001/month")
        async with (
            Upstream(says(b"{}")) as up,
            Gate(tmp_path, file(text, a=up), key=APP_KEY) as gate,
        ):
            body = lines("m", "m", max_tokens=4_000)
            assert (await gate.post("/providers/a/v1/messages/batches", body)).status == 402
            assert not up.book

    run(main())


def test_without_a_budget_the_reply_names_the_model(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        whole = b'{"model":"m","usage":{"input_tokens":12,"output_tokens":7}}'
        created = provider.named("response.created", response={"id": "resp_1", "model": "m"})
        plays = (
            says(whole),
            streams([created, *RESPONSES[1:]]),
            says(b'{"usage":{"input_tokens":12,"output_tokens":7}}'),
            says(b'{"model":"m"}'),
        )
        async with Upstream(*plays) as up, Gate(tmp_path, file(FREE, a=up), key=APP_KEY) as gate:
            for _ in plays:
                body = b'{"prompt":{"id":"pmpt_1"}}'
                assert (await gate.post("/providers/a/responses", body)).status == 200
            billed = provider.nano(provider.BILL)
            assert [row["nano"] for row in await gate.rows(4)] == [billed, billed, 0, 0]

    run(main())


def test_what_is_asked_by_its_path_has_no_name_of_ours(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(says(b"{}")) as up,
            Gate(tmp_path, file(FREE, a=up), key=APP_KEY) as gate,
        ):
            reply = await gate.get("/providers/nosuch/models")
            assert reply.status == 404
            said = error_of(reply, "openai-chat")["message"]
            assert "pass:" not in said
            assert "'nosuch'" in said

    run(main())
