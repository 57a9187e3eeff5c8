"""The route table: every path there is, who may ask, and in which dialect it answers."""

from typing import Any, Literal

import msgspec

from octoplex.gateway import Gateway
from octoplex.server import (
    admin,
    arms,
    batches,
    chat,
    compaction,
    feedback,
    files,
    guard,
    mcp,
    message_batches,
    operations,
    optimizer,
    passing,
    reads,
    responses,
    strands,
    tasks,
)
from octoplex.server.agent_paths import with_agents
from octoplex.server.app import Route, Who
from octoplex.server.inbound import JSON, Inbound

VERSION = "0.1.0"
CHANGING = ("POST", "PUT", "DELETE")
PASSED = ("GET", "POST", "PUT", "PATCH", "DELETE")
Door = Literal["all", "public", "admin"]
"""Which rows: where `/admin` has an address of its own, it is there and nowhere else."""


def _row(
    method: str, path: str, who: Who, face: str, serve: Any, *, websocket: bool = False
) -> Route:
    says = (serve.__doc__ or "").strip().partition("\n")[0]
    return Route(
        method=method, path=path, who=who, face=face, serve=serve, says=says, websocket=websocket
    )


def routes(door: Door = "all") -> list[Route]:
    """The rows of a door, all of which it describes at `/openapi.json`."""
    rows = [row for row in _rows() if door == "all" or _is_at(door, row.path)]

    async def openapi(inbound: Inbound, gateway: Gateway) -> None:
        """This table as OpenAPI 3.1."""
        await inbound.line.whole(
            200, JSON + inbound.cors, msgspec.json.encode(with_agents(describe(rows)))
        )

    rows.append(_row("GET", "/openapi.json", "anyone", "openai-chat", openapi))
    return rows


def _is_at(door: Door, path: str) -> bool:
    if path.startswith("/health/"):
        return True
    return path.startswith("/admin/") == (door == "admin")


def _rows() -> list[Route]:
    return [
        _row("POST", "/v1/chat/completions", "key", "openai-chat", chat.chat),
        _row("POST", "/v1/messages", "key", "anthropic", chat.chat),
        _row("POST", "/v1/messages/count_tokens", "key", "anthropic", chat.count_tokens),
        _row("POST", "/v1/responses", "key", "openai-responses", responses.respond),
        _row("GET", "/v1/responses", "key", "openai-responses", strands.connect, websocket=True),
        _row(
            "POST", "/v1/responses/input_tokens", "key", "openai-responses", responses.count_tokens
        ),
        _row("POST", "/v1/responses/compact", "key", "openai-responses", compaction.compact),
        _row("GET", "/v1/responses/", "key", "openai-responses", responses.read),
        _row("DELETE", "/v1/responses/", "key", "openai-responses", responses.delete),
        _row("POST", "/v1/responses/", "key", "openai-responses", responses.cancel),
        _row("POST", "/v1/embeddings", "key", "openai-chat", operations.embeddings),
        _row("POST", "/v1/rerank", "key", "openai-chat", operations.rerank),
        _row("POST", "/v1/moderations", "key", "openai-chat", operations.moderations),
        _row("POST", "/v1/completions", "key", "openai-chat", operations.completions),
        _row("POST", "/v1beta/models/", "key", "gemini", operations.of_gemini),
        _row("POST", "/v1/models/", "key", "gemini", operations.of_gemini),
        _row("GET", "/v1beta/models", "key", "gemini", reads.models),
        _row("GET", "/v1beta/models/", "key", "gemini", reads.model),
        *[_row(m, "/providers/", "key", "openai-chat", passing.passed) for m in PASSED],
        _row("POST", "/v1/guard", "key", "openai-chat", guard.guard),
        _row("POST", "/v1/feedback", "key", "openai-chat", feedback.feedback),
        _row("GET", "/v1/optimizer/decisions/", "key", "openai-chat", optimizer.decision),
        _row("GET", "/v1/optimizer/labels/", "admin", "openai-chat", optimizer.questions),
        _row("POST", "/v1/optimizer/labels/", "admin", "openai-chat", optimizer.label),
        _row("GET", "/v1/optimizer", "admin", "openai-chat", optimizer.routes),
        _row("GET", "/v1/optimizer/", "admin", "openai-chat", optimizer.route),
        *_rows_of_work(),
        _row("GET", "/v1/models", "key", "either", reads.models),
        _row("GET", "/v1/models/", "key", "either", reads.model),
        _row("GET", "/v1/requests", "key", "openai-chat", reads.requests),
        _row("GET", "/v1/requests/", "key", "openai-chat", reads.request),
        _row("GET", "/v1/key", "key", "openai-chat", reads.key),
        _row("GET", "/admin/", "admin", "openai-chat", admin.look),
        *[_row(m, "/admin/", "admin", "openai-chat", admin.change) for m in CHANGING],
        _row("GET", "/health/live", "anyone", "openai-chat", reads.live),
        _row("GET", "/health/ready", "anyone", "openai-chat", reads.ready),
        _row("GET", "/metrics", "loopback", "openai-chat", reads.metrics),
    ]


def _rows_of_work() -> list[Route]:
    """What is kept for callers, and what is done for them beside their requests."""
    return [
        _row("POST", "/mcp", "key", "openai-chat", mcp.mcp),
        _row("POST", "/v1/files", "key", "openai-chat", files.upload),
        _row("GET", "/v1/files", "key", "openai-chat", files.files),
        _row("GET", "/v1/files/", "key", "openai-chat", files.read),
        _row("DELETE", "/v1/files/", "key", "openai-chat", files.delete),
        _row("POST", "/v1/batches", "key", "openai-chat", batches.create),
        _row("GET", "/v1/batches", "key", "openai-chat", batches.batches),
        _row("GET", "/v1/batches/", "key", "openai-chat", batches.read),
        _row("POST", "/v1/batches/", "key", "openai-chat", batches.cancel),
        *_of_agents(),
        _row("POST", "/v1/messages/batches", "key", "anthropic", message_batches.create),
        _row("GET", "/v1/messages/batches", "key", "anthropic", message_batches.batches),
        _row("GET", "/v1/messages/batches/", "key", "anthropic", message_batches.read),
        _row("POST", "/v1/messages/batches/", "key", "anthropic", message_batches.cancel),
        _row("DELETE", "/v1/messages/batches/", "key", "anthropic", message_batches.delete),
    ]


def _of_agents() -> list[Route]:
    return [
        _row("POST", "/v1/tasks", "key", "openai-chat", tasks.create),
        _row("GET", "/v1/tasks", "key", "openai-chat", tasks.tasks),
        _row("GET", "/v1/tasks/", "key", "openai-chat", tasks.read_task),
        _row("POST", "/v1/tasks/", "key", "openai-chat", tasks.change),
        _row("GET", "/v1/arms", "key", "openai-chat", arms.arms),
        _row("POST", "/v1/arms/", "key", "openai-chat", arms.act),
    ]


def describe(rows: list[Route]) -> dict[str, Any]:
    """OpenAPI of a route table. Bodies are the vendors' own; their references are linked."""
    paths: dict[str, Any] = {}
    for route in rows:
        path = route.path + "{id}" if route.path.endswith("/") else route.path
        operation: dict[str, Any] = {
            "summary": route.says,
            "operationId": f"{route.method.lower()}{path.replace('/', '_')}",
            "security": [] if route.who == "anyone" else [{"bearer": []}, {"apiKey": []}],
            "responses": {
                "101" if route.websocket else "200": {"description": "The answer."},
                "default": {"description": f"An error in the {route.face} dialect."},
            },
        }
        if route.path.endswith("/"):
            operation["parameters"] = [
                {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
            ]
        if route.method == "POST" and route.serve not in WITHOUT_BODY:
            schema = OF_ONE_BODY.get(route.path) or BODIES[route.face]
            kind = "multipart/form-data" if route.serve is files.upload else "application/json"
            content = {kind: {"schema": schema}}
            operation["requestBody"] = {"required": True, "content": content}
        paths.setdefault(path, {})[route.method.lower()] = operation
    schemes = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "apiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Octoplex",
            "version": VERSION,
            "description": "One front door to every language model.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {"securitySchemes": schemes},
    }


def _body(required: list[str], docs: str) -> dict[str, Any]:
    return {
        "type": "object",
        "required": required,
        "properties": {
            "model": {"type": "string", "description": "A route, or provider/model."},
            "messages": {"type": "array", "minItems": 1, "items": {"type": "object"}},
            "stream": {"type": "boolean", "default": False},
            "max_tokens": {"type": "integer", "minimum": 1},
        },
        "additionalProperties": True,
        "externalDocs": {"url": docs},
    }


def _object(properties: dict[str, Any], docs: str = "") -> dict[str, Any]:
    made = {
        "type": "object",
        "required": list(properties),
        "properties": properties,
        "additionalProperties": True,
    }
    return made | ({"externalDocs": {"url": docs}} if docs else {})


def _single(required: list[str], docs: str) -> dict[str, Any]:
    return {
        "type": "object",
        "required": required,
        "properties": {"model": {"type": "string", "description": "A route, or provider/model."}},
        "additionalProperties": True,
        "externalDocs": {"url": docs},
    }


BODIES = {
    "openai-chat": _body(
        ["model", "messages"], "https://developers.openai.com/api/reference/chat-completions"
    ),
    "openai-responses": _body(
        ["model"], "https://developers.openai.com/api/reference/resources/responses"
    ),
    "anthropic": _body(["model", "messages"], "https://platform.claude.com/docs/en/api/messages"),
    "gemini": _body(["contents"], "https://ai.google.dev/api/generate-content"),
}
WITHOUT_BODY = (responses.cancel, batches.cancel, message_batches.cancel)
OPENAI = "https://developers.openai.com/api/reference/resources/"
OF_ONE_BODY = {
    "/v1/embeddings": _single(["model", "input"], OPENAI + "embeddings"),
    "/v1/rerank": _single(
        ["model", "query", "documents"], "https://docs.cohere.com/reference/rerank"
    ),
    "/v1/moderations": _single(["input"], OPENAI + "moderations"),
    "/v1/completions": _single(["model", "prompt"], OPENAI + "completions"),
    "/v1/guard": _object({"text": {"type": "string"}}),
    "/v1/feedback": _object(
        {
            **{name: {"type": "string"} for name in ("request_id", "conversation_id", "label")},
            **{name: {"type": "string"} for name in ("comment", "correction")},
            "score": {"type": "number", "minimum": 0, "maximum": 1},
        }
    ),
    "/mcp": {
        "type": "object",
        "required": ["jsonrpc", "method"],
        "properties": {"jsonrpc": {"const": "2.0"}, "method": {"type": "string"}},
        "externalDocs": {"url": "https://modelcontextprotocol.io/specification"},
    },
    "/v1/files": _object(
        {"file": {"type": "string", "format": "binary"}, "purpose": {"enum": files.PURPOSES}},
        OPENAI + "files",
    ),
    "/v1/batches": _object(
        {
            "input_file_id": {"type": "string"},
            "endpoint": {"enum": batches.ENDPOINTS},
            "completion_window": {"enum": [batches.WINDOW]},
        },
        OPENAI + "batches",
    ),
    "/v1/messages/batches": _object(
        {"requests": {"type": "array", "items": {"type": "object"}}},
        "https://platform.claude.com/docs/en/api/messages/batches",
    ),
}
