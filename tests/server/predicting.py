"""A scripted Replicate on a real socket: predictions that go on, their events, their end.

What it answers is typed from https://replicate.com/docs/reference/http and
https://replicate.com/docs/topics/predictions/streaming.
"""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from tests.upstream_server import Entry, Exchange, head

BILL = (19, 10)
METRICS = {
    "input_token_count": BILL[0],
    "output_token_count": BILL[1],
    "predict_time": 0.41,
    "time_to_first_token": 0.08,
}
JSON = ("content-type", "application/json")


def event(name: str, data: str) -> bytes:
    lines = "".join(f"data: {line}\n" for line in data.split("\n"))
    return f"event: {name}\nid: 1690212292:0\n{lines}\n".encode()


def said(*texts: str, end: str = "{}") -> list[bytes]:
    """The events of a prediction that says this."""
    return [*(event("output", text) for text in texts), event("done", end)]


class Replicate:
    """Plays predictions. `looks` is how often one is looked at before it is done.

    `urls` replaces addresses, `fails` are statuses that looks get first, `hangs` keeps the
    first reply back, `stops` says how a stream ends: done, stall, reset.
    """

    def __init__(
        self,
        *texts: str,
        looks: int = 0,
        events: Sequence[bytes] | None = None,
        stops: str = "done",
        fails: Sequence[int] = (),
        **more: Any,
    ) -> None:
        self.texts, self.looks, self.events, self.stops = texts, looks, events, stops
        self.fails, self.more = list(fails), more
        self.urls: dict[str, str] = more.pop("urls", {})
        self.hangs: bool = more.pop("hangs", False)
        self.streams: bool = more.pop("streams", True)
        self.cancelled: list[Entry] = []
        self.asked: list[Entry] = []

    async def play(self, exchange: Exchange) -> None:
        entry = exchange.entry
        method, path = entry.head.split(b" ")[0], entry.path
        self.asked.append(entry)
        if path.endswith("/cancel"):
            self.cancelled.append(entry)
            self.say(exchange, self.prediction(entry, "canceled"))
        elif path.startswith("/stream/"):
            await self.stream(exchange)
        elif method == b"GET":
            self.look(exchange)
        elif self.hangs:
            await exchange.stall()
        else:
            listens = json.loads(entry.body).get("stream", False) and self.streams
            goes_on = self.looks or listens
            status = "starting" if goes_on else "succeeded"
            self.say(exchange, self.prediction(entry, status, listens=listens), 201)

    def look(self, exchange: Exchange) -> None:
        if self.fails:
            status = self.fails.pop(0)
            self.say(exchange, {"title": "Oops", "detail": "No look.", "status": status}, status)
            return
        self.looks -= 1
        status = "processing" if self.looks > 0 else self.more.get("status", "succeeded")
        self.say(exchange, self.prediction(exchange.entry, status))

    async def stream(self, exchange: Exchange) -> None:
        kind = ("content-type", "text/event-stream; charset=utf-8")
        exchange.send(head(200, [kind, ("transfer-encoding", "chunked")]))
        for wire in said(*self.texts) if self.events is None else self.events:
            exchange.chunk(wire)
            await asyncio.sleep(0.02)  # each is read by itself
        if self.stops == "done":
            exchange.send(b"0\r\n\r\n")
        elif self.stops == "reset":
            await asyncio.sleep(0.01)  # let the bytes be read: a reset overtakes them
            exchange.reset()
        else:
            await exchange.stall()

    def prediction(self, entry: Entry, status: str, *, listens: bool = False) -> dict[str, Any]:
        here = f"http://{entry.headers[b'host'].decode()}"
        urls = {
            "get": f"{here}/v1/predictions/p1",
            "cancel": f"{here}/v1/predictions/p1/cancel",
            **({"stream": f"{here}/stream/p1"} if listens else {}),
        }
        finished = status == "succeeded"
        return {
            "id": "p1",
            "model": "meta/meta-llama-3-70b-instruct",
            "version": "hidden",
            "input": {},
            "logs": "",
            "output": list(self.texts) if finished else None,
            "error": None,
            "status": status,
            "created_at": "2023-09-08T16:19:34.765994Z",
            "data_removed": False,
            "metrics": METRICS if finished else {},
            "urls": {**urls, **{n: u for n, u in self.urls.items() if n in urls}},
            **{name: value for name, value in self.more.items() if name != "status"},
        }

    def say(self, exchange: Exchange, reply: dict[str, Any], status: int = 200) -> None:
        body = json.dumps(reply).encode()
        exchange.send(head(status, [JSON, ("content-length", str(len(body)))]) + body)
