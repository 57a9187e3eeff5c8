"""What `/openapi.json` says of tasks and arms: more than a row of the route table does.

The schemas are made from the structs that the doors read (`agents/task.py`,
`agents/arms/contracts.py`).
"""

from typing import Any

import msgspec

from octoplex.agents.arms.contracts import CONTRACTS, schemas
from octoplex.agents.task import Event, Task
from octoplex.server.tasks import Word

REF = "#/components/schemas/{name}"
PARTS = (
    ("get", "events", "What happens to a task, as SSE; `Last-Event-ID` goes on from an event."),
    ("get", "artifacts", "List the files that a task made."),
    ("get", "artifacts/{path}", "A file that a task made."),
    ("post", "cancel", "Have a task end."),
    ("post", "resume", "Let a task go on that was cancelled or failed."),
    ("post", "approve", "Say whether a step may be done."),
)


def with_agents(document: dict[str, Any]) -> dict[str, Any]:
    """The document with these paths in it; the same without tasks."""
    paths = document["paths"]
    if "/v1/tasks" not in paths:
        return document
    (task, word, _), parts = msgspec.json.schema_components([Task, Word, Event], ref_template=REF)
    contracts, more = schemas()
    paths["/v1/tasks"]["post"]["requestBody"] = _body(task)
    one = paths["/v1/tasks/{id}"]
    security, about = one["get"]["security"], one["get"]["parameters"]
    one.pop("post", None)
    for method, part, says in PARTS:
        path = f"/v1/tasks/{{id}}/{part}"
        holes = [*about, _hole("path")] if part.endswith("{path}") else about
        operation = {**_operation(method, path, says), "security": security, "parameters": holes}
        if part == "approve":
            operation["requestBody"] = _body(word)
        paths.setdefault(path, {})[method] = operation
    paths.pop("/v1/arms/{id}", None)
    for path, of in contracts.items():
        says = f"{(CONTRACTS[path].request.__doc__ or '').partition(chr(10))[0]}"
        operation = _operation("post", f"/v1/arms{path}", says, of["reply"])
        operation |= {"security": security, "requestBody": _body(of["request"])}
        paths[f"/v1/arms{path}"] = {"post": operation}
    document["components"]["schemas"] = dict(sorted({**parts, **more}.items()))
    return document


def _operation(method: str, path: str, says: str, reply: Any = None) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": "The answer."}
    if reply is not None:
        answer["content"] = {"application/json": {"schema": reply}}
    return {
        "summary": says,
        "operationId": f"{method}{path.replace('/', '_')}",
        "responses": {
            "200": answer,
            "default": {"description": "An error in the openai-chat dialect."},
        },
    }


def _body(schema: Any) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _hole(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
