"""The guard at the doors beside chat: one body in and out, passed, websocket, batches, records."""

import json
from pathlib import Path

from tests.server.batch_scene import answers, chat, made, output, over, text
from tests.server.conftest import Run
from tests.server.gate import APP_KEY, Gate
from tests.server.responses_scene import config, sdk
from tests.server.talking import said as words
from tests.server.talking import talk
from tests.server.test_guard import CARD, MAIL, MASKS, SECRET, ask, echo, said
from tests.upstream_server import Upstream, says


def test_a_record_holds_of_labels_what_the_guard_lets_pass(tmp_path: Path, run: Run) -> None:
    """Also where the request is blocked, refused for its model, or answered before."""

    async def main() -> None:
        table = MASKS + "[models.strict]\ntry = ['up/m']\nguard = { pii = 'block' }\n"
        async with (
            Upstream(echo()) as up,
            Gate(tmp_path, config(table, up=("openai-chat", up)), key=APP_KEY) as gate,
        ):
            labels = {"user": MAIL, "metadata": {"by": f"x {CARD}", "team": "a"}}
            for model in ("up/m", "up/m", "strict", "nowhere"):
                body = json.dumps({"model": model, "messages": ask("Hi"), **labels}).encode()
                await gate.post("/v1/chat/completions", body, ("idempotency-key", model))
            wrong = {"model": "up/m", "messages": ask("Hi"), "max_tokens": CARD, **labels}
            reply = await gate.post("/v1/chat/completions", json.dumps(wrong).encode())
            assert CARD in reply.json["error"]["message"]  # its caller may know
            newest, *records = await gate.records(5)
            assert CARD not in json.dumps(newest)
            assert "[CREDIT_CARD]" in newest["error"]
            assert [r["status"] for r in records] == [404, 400, 200, 200]
            assert [r["attempts"][0]["outcome"] for r in records[2:]] == ["replayed", "done"]
            assert [r["user"] for r in records] == ["[EMAIL_1]", "[EMAIL]", *["[EMAIL_1]"] * 2]
            want = {"by": "x [CREDIT_CARD]", "team": "a"}
            assert all(record["metadata"] == want for record in records)

    run(main())


def test_other_operations_are_guarded_too(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(echo()) as up,
            Gate(tmp_path, config(MASKS, up=("openai-chat", up)), key=APP_KEY) as gate,
        ):
            body = json.dumps({"model": "m", "messages": ask(f"card {CARD}")}).encode()
            kind = ("content-type", "application/json")
            passed = await gate.post("/providers/up/chat/completions", body, kind)
            assert said(up.book[0]) == "card [CREDIT_CARD]"
            assert passed.json["choices"][0]["message"]["content"] == "card [CREDIT_CARD]"
            blocked = await gate.post(
                "/providers/up/anything", SECRET.join(['{"x":"', '"}']).encode(), kind
            )
            assert blocked.json["error"]["code"] == "guard_blocked"
            question = {"model": "up/m", "prompt": f"x {SECRET}"}
            refused = await gate.post("/v1/completions", json.dumps(question).encode())
            assert refused.json["error"]["code"] == "guard_blocked"
            question = {"model": "up/m", "input": ["x", f"card {CARD}"]}
            await gate.post("/v1/embeddings", json.dumps(question).encode())
            assert json.loads(up.book[1].body)["input"] == ["x", "card [CREDIT_CARD]"]
            for entry in up.book:
                assert SECRET.encode() not in entry.body
                assert CARD.encode() not in entry.body

    run(main())


def test_passed_requests_hide_nothing_from_it(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        kind = ("content-type", "application/json")
        async with (
            Upstream(echo("ok"), says(b"{}")) as up,
            Gate(tmp_path, config(MASKS, up=("openai-chat", up)), key=APP_KEY) as gate,
        ):
            body = json.dumps({"messages": ask(f"card {CARD}")})
            await gate.post("/providers/up/x", b"\xef\xbb\xbf" + body.encode(), kind)
            assert said(up.book[0]) == "card [CREDIT_CARD]"
            wide = await gate.post("/providers/up/x", body.encode("utf-16"), kind)
            query = await gate.post(f"/providers/up/x?q={SECRET}", b"{}", kind)
            named = ("x-goog-upload-file-name", f"{CARD}.txt")
            name = await gate.post("/providers/up/x", b"{}", kind, named)
            assert (wide.status, query.status, name.status) == (400, 400, 400)
            assert len(up.book) == 1
            edge, audio = b"--4e1d\r\n", bytes(range(256))
            parts = {"prompt": f"to {CARD}".encode(), f"{CARD}.wav": audio, "x.csv": CARD.encode()}
            form = [
                b'%bcontent-disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (edge, n.encode(), v)
                for n, v in parts.items()
            ]
            multi = ("content-type", 'multipart/form-data; boundary="4e1d"')
            sent = b"".join(form) + b"--4e1d--\r\n"
            await gate.post("/providers/up/x", sent, multi)
            assert up.book[1].body == sent.replace(CARD.encode(), b"[CREDIT_CARD]")
            plain = b"mail=%b&card=" % MAIL.replace("@", "%40").encode() + CARD.encode()
            form_kind, odd = "application/x-www-form-urlencoded", "text/plain; charset=latin-1"
            for other, tail in ((form_kind, b""), (odd, b"&\xe9")):
                await gate.post("/providers/up/x", plain + tail, ("content-type", other))
                assert up.book[-1].body.startswith(b"mail=[EMAIL_1]&card=[CREDIT_CARD]")

    run(main())


def test_what_a_websocket_says_is_guarded_both_ways(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(echo()) as up,
            Gate(tmp_path, config(MASKS, up=("openai-chat", up)), key=APP_KEY) as gate,
            talk(gate) as ws,
        ):
            await ws.create("up/m", f"Mail {MAIL}, card {CARD}.")
            assert words(await ws.answer()) == f"Mail {MAIL}, card [CREDIT_CARD]."
            assert said(up.book[0]) == "Mail [EMAIL_1], card [CREDIT_CARD]."
            await ws.create("up/m", f"My key is {SECRET}.")
            failed = await ws.answer()
            assert "guard_blocked" in json.dumps(failed)
            assert len(up.book) == 1

    run(main())


def test_the_lines_of_a_batch_are_guarded(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(answers()) as up,
            Gate(tmp_path, text(MASKS, a=up), key=APP_KEY) as gate,
            sdk(gate) as client,
        ):
            lines = [chat("1", f"card {CARD}"), chat("2", f"key {SECRET}")]
            batch = await over(client, (await made(client, lines)).id)
            results = await output(client, batch.output_file_id)
            errors = await output(client, batch.error_file_id)
            (content,) = [
                c["message"]["content"] for c in results["1"]["response"]["body"]["choices"]
            ]
            assert content == "you said card [CREDIT_CARD]"
            assert "guard_blocked" in json.dumps(errors["2"])
            assert all(SECRET.encode() not in entry.body for entry in up.book)

    run(main())
