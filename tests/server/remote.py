"""Providers that run batches, played as their documentation says, on a real socket.

    async with Upstream(openai_batches(site)) as up: ...
    site.finish(); site.cancelled, site.batches, site.files

Shapes: https://developers.openai.com/api/reference/resources/batches,
https://platform.claude.com/docs/en/build-with-claude/batch-processing
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any

from tests.server import provider
from tests.upstream_server import Exchange, Play, head

STAMP = "2026-01-01T00:00:00Z"


@dataclass
class Site:
    """What the provider keeps. `refuse` is a status for what would make a batch."""

    files: dict[str, bytes] = field(default_factory=dict)
    batches: dict[str, dict[str, Any]] = field(default_factory=dict)
    lines: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    sent: list[tuple[str, str]] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    refuse: int = 0
    drop_reply: bool = False
    """The next batch is made and its reply never comes."""
    down: bool = False
    without: set[str] = field(default_factory=set)
    """Lines that fail."""
    lost: set[str] = field(default_factory=set)
    """Lines that the results say nothing of."""
    running: bool = True
    deaf: int = 0
    """So many cancellations fail."""

    @property
    def said(self) -> list[str]:
        """What was asked in lines of batches, in their order."""
        return [
            str((line.get("body") or line["params"])["messages"][-1]["content"])
            for lines in self.lines.values()
            for line in lines
        ]

    @property
    def models(self) -> set[str]:
        lines = [line for lines in self.lines.values() for line in lines]
        return {(line.get("body") or line["params"])["model"] for line in lines}


def _reply(exchange: Exchange, body: bytes, status: int = 200) -> None:
    kind = ("content-type", "application/json")
    exchange.send(head(status, [kind, ("content-length", str(len(body)))]) + body)


def _json(exchange: Exchange, value: Any, status: int = 200) -> None:
    _reply(exchange, json.dumps(value).encode(), status)


def _kept(exchange: Exchange, site: Site) -> tuple[str, str]:
    method = exchange.entry.head.split(b" ")[0].decode()
    path = exchange.entry.path
    site.sent.append((method, path))
    headers = exchange.entry.headers
    site.keys.add((headers.get(b"authorization") or headers.get(b"x-api-key", b"")).decode())
    return method, path


def _uploaded(exchange: Exchange, site: Site) -> None:
    body = exchange.entry.body
    if site.refuse:
        _json(exchange, {"error": {"message": "no batches for you"}}, site.refuse)
        return
    kind = exchange.entry.headers[b"content-type"]
    assert kind.startswith(b"multipart/form-data; boundary="), kind
    said = rb'form-data; name="file".*?\r\n\r\n(.*)\r\n--[0-9a-f]+--\r\n$'
    found = re.search(said, body, re.DOTALL)
    assert found is not None
    assert b'form-data; name="purpose"\r\n\r\nbatch\r\n' in body
    id_ = f"file-{len(site.files)}"
    site.files[id_] = found[1]
    _json(exchange, {"id": id_, "object": "file"})


def openai_batches(site: Site) -> Play:
    async def play(exchange: Exchange) -> None:
        method, path = _kept(exchange, site)
        if site.down:
            _json(exchange, {"error": {"message": "down"}}, 503)
        elif path == "/files":
            _uploaded(exchange, site)
        elif path == "/batches" and method == "POST":
            await _made(exchange, site, json.loads(exchange.entry.body))
        elif path.startswith("/batches?"):
            _json(exchange, {"object": "list", "data": list(site.batches.values())})
        elif path.endswith("/cancel"):
            _cancelled(exchange, site, site.batches[path.split("/")[2]])
        elif path.startswith("/batches/"):
            batch = site.batches[path.split("/")[2]]
            if not site.running and batch["status"] in ("in_progress", "cancelling"):
                _over(site, batch)
            _json(exchange, batch)
        elif path.endswith("/content"):
            _reply(exchange, site.files[path.split("/")[2]])
        else:
            exchange.bill(*provider.BILL)
            _reply(exchange, provider.chat_body("here"))

    return play


def _cancelled(exchange: Exchange, site: Site, batch: dict[str, Any]) -> None:
    if site.deaf:
        site.deaf -= 1
        _json(exchange, {"error": {"message": "not now"}}, 503)
        return
    batch["status"] = "cancelling"
    _json(exchange, batch)


async def _made(exchange: Exchange, site: Site, asked: dict[str, Any]) -> None:
    id_ = f"batch_there{len(site.batches)}"
    lines = [json.loads(line) for line in site.files[asked["input_file_id"]].splitlines()]
    site.lines[id_] = lines
    site.batches[id_] = {
        "id": id_,
        "object": "batch",
        "status": "in_progress",
        "endpoint": asked["endpoint"],
        "metadata": asked.get("metadata"),
        "request_counts": {"total": len(lines), "completed": 1, "failed": 0},
    }
    assert asked["completion_window"] == "24h"
    if site.drop_reply:
        site.drop_reply = False
        await exchange.stall()
        return
    _json(exchange, site.batches[id_])


def _over(site: Site, batch: dict[str, Any]) -> None:
    good, bad = [], []
    lines = site.lines[batch["id"]]
    if batch["status"] == "cancelling":
        lines = lines[:1]
    for n, line in enumerate(lines):
        wrong = line["custom_id"] in site.without
        body = {"error": {"message": "no"}} if wrong else json.loads(provider.chat_body("there"))
        result = {
            "id": f"batch_req_{n}",
            "custom_id": line["custom_id"],
            "response": {"status_code": 400 if wrong else 200, "request_id": "r", "body": body},
            "error": None,
        }
        if line["custom_id"] not in site.lost:
            (bad if wrong else good).append(json.dumps(result))
    for name, rows in (("output_file_id", good), ("error_file_id", bad)):
        if rows:
            id_ = f"file-{len(site.files)}"
            site.files[id_] = "\n".join(rows[::-1]).encode() + b"\n"
            batch[name] = id_
    batch["status"] = "cancelled" if batch["status"] == "cancelling" else "completed"
    batch["request_counts"] |= {"completed": len(good), "failed": len(bad)}


def anthropic_batches(site: Site) -> Play:
    async def play(exchange: Exchange) -> None:
        method, path = _kept(exchange, site)
        if path == "/v1/messages/batches" and method == "POST":
            if site.refuse:
                error = {"type": "invalid_request_error", "message": "no batches for you"}
                _json(exchange, {"type": "error", "error": error}, site.refuse)
                return
            id_ = f"msgbatch_there{len(site.batches)}"
            site.lines[id_] = json.loads(exchange.entry.body)["requests"]
            counts = {"processing": len(site.lines[id_]), "succeeded": 0, "errored": 0}
            site.batches[id_] = {
                "id": id_,
                "type": "message_batch",
                "processing_status": "in_progress",
                "request_counts": counts | {"canceled": 0, "expired": 0},
                "created_at": STAMP,
                "expires_at": STAMP,
            }
            _json(exchange, site.batches[id_])
        elif path.endswith("/cancel"):
            site.batches[path.split("/")[4]]["processing_status"] = "canceling"
            _json(exchange, site.batches[path.split("/")[4]])
        elif path.endswith("/results"):
            _reply(exchange, _results(site, path.split("/")[4]))
        elif path.startswith("/v1/messages/batches/"):
            batch = site.batches[path.split("/")[4]]
            if not site.running:
                batch["processing_status"] = "ended"
                batch["results_url"] = "https://elsewhere.example/steal"
            _json(exchange, batch)
        else:
            exchange.bill(*provider.BILL)
            _reply(exchange, provider.message_body("here"))

    return play


def _results(site: Site, id_: str) -> bytes:
    rows = []
    for line in site.lines[id_]:
        result: dict[str, Any] = {
            "type": "succeeded",
            "message": json.loads(provider.message_body("there")),
        }
        if line["custom_id"] in site.without:
            error = {"type": "invalid_request_error", "message": "no"}
            result = {"type": "errored", "error": {"type": "error", "error": error}}
        rows.append(json.dumps({"custom_id": line["custom_id"], "result": result}))
    return "\n".join(rows).encode() + b"\n"
