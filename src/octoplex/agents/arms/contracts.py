"""The arms as services: what each takes and gives, once, for the door, the client and OpenAPI.

    reply = await served(CONTRACTS["/execute"], body, call)

A contract names the request's and the reply's types, and how both are said in the words of our
arms; `call` is whoever has arms, a world and a token (the door). Types are read strictly and
written from the same structs, so that both sides and the document cannot differ.

What nobody knows is null and never made up: how sure a planner was, how long a step will take.
"""

from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256
from time import perf_counter, time
from types import MappingProxyType
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from octoplex.agents.arms.form import schema_of
from octoplex.agents.faults import before
from octoplex.agents.place import place_of
from octoplex.agents.plan import Plan
from octoplex.agents.words import Failed, Offer, Outcome
from octoplex.dialects.members import UNREADABLE
from octoplex.wire.error import InvalidCall

Text = Annotated[str, Meta(min_length=1, max_length=10_000)]
Status = Literal["healthy", "degraded", "unavailable"]


class Asked(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every request may have."""

    capability_token: str = ""
    """A token of `Mint`; "" has the door mint one, of what the caller's key allows."""
    metadata: dict[str, str] = {}
    timeout_seconds: Annotated[float, Meta(ge=1, le=300)] = 30.0


class PlanRequest(Asked, frozen=True, kw_only=True):
    """`POST /plan`."""

    goal: Text
    constraints: tuple[str, ...] = ()
    context: Annotated[str, Meta(max_length=50_000)] = ""


class SubTask(Struct, frozen=True, kw_only=True):
    """A step of a plan; `step` counts from 1, `depends_on` are such numbers."""

    step: int
    action: str
    required_arm: str
    acceptance_criteria: tuple[str, ...] = ()
    depends_on: tuple[int, ...] = ()
    estimated_cost_tier: int | None = None
    estimated_duration_seconds: float | None = None


class PlanReply(Struct, frozen=True, kw_only=True):
    """What `POST /plan` gives. `typed` is the plan as `POST /v1/tasks` runs it."""

    plan: tuple[SubTask, ...]
    rationale: str = ""
    typed: dict[str, Any] = {}
    confidence: float | None = None
    total_estimated_duration: float | None = None
    complexity_score: float | None = None


class ExecuteRequest(Asked, frozen=True, kw_only=True):
    """`POST /execute`. `shell` is a program and its words, no shell; `http` fetches `command`."""

    action_type: Literal["shell", "http", "python"]
    command: Annotated[str, Meta(min_length=1, max_length=100_000)]
    args: Annotated[tuple[str, ...], Meta(max_length=1_000)] = ()


class Provenance(Struct, frozen=True, kw_only=True):
    """Who did what, when (seconds since 1970), allowed by what."""

    arm_id: str
    timestamp: float
    action_type: str
    command_hash: str
    capabilities_used: tuple[str, ...] = ()


class ExecuteReply(Struct, frozen=True, kw_only=True):
    """What `POST /execute` gives; `exit_code` is null where nothing was run to its end."""

    success: bool
    stdout: str
    stderr: str
    exit_code: int | None
    duration_ms: int
    provenance: Provenance
    why: str = ""


class SearchRequest(Asked, frozen=True, kw_only=True):
    """`POST /search`. `keyword` looks through the workspace, the others through memory."""

    query: Annotated[str, Meta(min_length=1, max_length=500)]
    method: Literal["vector", "keyword", "hybrid"] = "keyword"
    limit: Annotated[int, Meta(ge=1, le=100)] = 10
    filters: dict[str, str] = {}
    """`path`: a folder to look in."""
    min_relevance_score: Annotated[float, Meta(ge=0, le=1)] = 0.5
    """Of what the best one has."""
    include_citations: bool = True


class Found(Struct, frozen=True, kw_only=True):
    """A passage or a fact."""

    text: str
    source: str
    score: float


class SearchReply(Struct, frozen=True, kw_only=True):
    """What `POST /search` gives. Nothing is synthesised: `model.ask` does that."""

    results: tuple[Found, ...]
    citations: tuple[str, ...] = ()
    synthesis: str | None = None


class CodeRequest(Asked, frozen=True, kw_only=True):
    """`POST /code`."""

    request_type: Literal["generate", "debug", "refactor", "analyze", "test", "explain", "optimize"]
    instruction: Text
    language: str = ""
    files: Annotated[tuple[str, ...], Meta(max_length=50)] = ()
    tests: tuple[str, ...] = ()


class CodeReply(Struct, frozen=True, kw_only=True):
    """What `POST /code` gives; `passed` is null where there were no tests."""

    success: bool
    text: str
    files: tuple[str, ...] = ()
    passed: bool | None = None
    tests: str = ""
    why: str = ""


class ValidateRequest(Asked, frozen=True, kw_only=True):
    """`POST /validate`."""

    output: Any
    validation_types: tuple[
        Literal["schema", "facts", "criteria", "hallucination", "quality"], ...
    ] = ("criteria",)
    acceptance_criteria: Annotated[tuple[str, ...], Meta(max_length=50)] = ()
    expected_schema: dict[str, Any] | None = None
    trusted_sources: tuple[str, ...] = ()
    context: Annotated[str, Meta(max_length=50_000)] = ""


class ValidateReply(Struct, frozen=True, kw_only=True):
    """What `POST /validate` gives."""

    valid: bool
    issues: tuple[str, ...] = ()
    passed_criteria: tuple[str, ...] = ()
    failed_criteria: tuple[str, ...] = ()
    confidence: float | None = None
    quality_score: float | None = None


class CheckRequest(Asked, frozen=True, kw_only=True):
    """`POST /check`."""

    text: Annotated[str, Meta(max_length=50_000)]
    check_types: tuple[Literal["pii", "secrets", "content", "policy", "all"], ...] = ("all",)
    redact_pii: bool = True
    block_on_high_risk: bool = False


class Issue(Struct, frozen=True, kw_only=True):
    """A finding, without its text."""

    kind: str
    type: str
    start: int
    end: int
    score: float


class CheckReply(Struct, frozen=True, kw_only=True):
    """What `POST /check` gives."""

    safe: bool
    risk_level: Literal["none", "low", "medium", "high", "critical"]
    issues: tuple[Issue, ...]
    sanitized_text: str
    blocked: bool


class ArmCapability(Struct, frozen=True, kw_only=True):
    """An action, described for others."""

    arm_id: Annotated[str, Meta(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
    name: str
    description: str
    capabilities: tuple[str, ...]
    cost_tier: Annotated[int, Meta(ge=1, le=5)]
    endpoint: str
    status: Status
    input_schema: dict[str, Any]
    output_schema: dict[str, Any]
    metadata: dict[str, Any] = {}


class Wanted(Struct, frozen=True):
    """An action that a request comes to."""

    action: str
    inputs: dict[str, Any]
    seconds: float
    token: str


class Took(Struct, frozen=True):
    """How it went. `began_at` is in seconds since 1970."""

    wanted: Wanted
    outcome: Outcome
    began_at: float
    seconds: float
    used: tuple[str, ...] = ()

    @property
    def output(self) -> dict[str, Any]:
        """What came of it, {} where it failed before that."""
        return self.outcome.output or {}


Call = Callable[[Wanted], Awaitable[tuple[Outcome, tuple[str, ...]]]]
"""Has an arm do it; what came of it, and the capabilities of its grant. Raises `Failed`."""


class Contract(Struct, frozen=True):
    """One service."""

    path: str
    request: type[Asked]
    reply: type[Struct]
    wanted: Callable[[Any], tuple[str, dict[str, Any]]]
    said: Callable[[Any, Took], Struct]


async def served(contract: Contract, body: bytes, call: Call) -> Struct:
    """Read a request, have it done, and say what came of it.

    Raises:
        InvalidCall: the request is none.
        Failed: as the arm says.
    """
    try:
        request = msgspec.json.decode(body, type=contract.request)
    except UNREADABLE as error:
        raise InvalidCall(f"{contract.path}: {error}.") from None
    action, inputs = contract.wanted(request)
    wanted = Wanted(action, inputs, request.timeout_seconds, request.capability_token)
    began_at, began_s = time(), perf_counter()
    outcome, used = await call(wanted)
    if outcome.failure and outcome.output is None:
        raise Failed(outcome.failure, outcome.why)
    took = Took(wanted, outcome, began_at, perf_counter() - began_s, used)
    return contract.said(request, took)


def _planned(request: PlanRequest) -> tuple[str, dict[str, Any]]:
    inputs: dict[str, Any] = {"goal": request.goal}
    if request.constraints:
        inputs["constraints"] = list(request.constraints)
    if request.context:
        inputs["context"] = request.context
    return "planner.plan", inputs


def _plan(_: PlanRequest, took: Took) -> PlanReply:
    plan = msgspec.convert(took.output, Plan)
    numbers = {step.id: at for at, step in enumerate(plan.steps, 1)}
    return PlanReply(
        plan=tuple(
            SubTask(
                step=numbers[step.id],
                action=step.why or step.arm,
                required_arm=step.arm,
                acceptance_criteria=tuple(one.text or one.kind for one in step.criteria),
                depends_on=tuple(sorted(numbers[one] for one in before(step) if one in numbers)),
            )
            for step in plan.steps
        ),
        rationale=plan.why,
        typed=took.output,
    )


def _executed(request: ExecuteRequest) -> tuple[str, dict[str, Any]]:
    match request.action_type:
        case "shell":
            return "executor.command", {"argv": [request.command, *request.args]}
        case "python":
            return "executor.python", {"code": request.command, "args": list(request.args)}
        case "http":
            return "retriever.web", {"url": request.command}


def _execution(request: ExecuteRequest, took: Took) -> ExecuteReply:
    outcome, output = took.outcome, took.output
    stdout = output.get("stdout", output.get("text", ""))
    exits = [one.value for one in outcome.evidence if one.kind == "exit"]
    command = msgspec.json.encode([request.command, *request.args])
    return ExecuteReply(
        success=outcome.failure is None,
        stdout=stdout,
        stderr=output.get("stderr", ""),
        exit_code=exits[0] if exits else None,
        duration_ms=round(took.seconds * 1_000),
        provenance=Provenance(
            arm_id=took.wanted.action.partition(".")[0],
            timestamp=took.began_at,
            action_type=request.action_type,
            command_hash=sha256(command).hexdigest(),
            capabilities_used=took.used,
        ),
        why=outcome.why,
    )


def _searched(request: SearchRequest) -> tuple[str, dict[str, Any]]:
    inputs: dict[str, Any] = {"query": request.query, "limit": request.limit}
    stray = sorted(set(request.filters) - {"path"})
    if stray:
        raise InvalidCall(f"/search: there is no filter {stray[0]!r:.60}; there is `path`.")
    if request.method != "keyword":
        return "retriever.memory", inputs
    if "path" in request.filters:
        inputs["path"] = place_of(request.filters["path"])
    return "retriever.search", inputs


def _search(request: SearchRequest, took: Took) -> SearchReply:
    output = took.output
    rows = output.get("results", output.get("facts", []))
    best = max((float(row.get("score", 0)) for row in rows), default=0.0) or 1.0
    found = [
        Found(
            text=row["text"],
            source=f"{row['path']}:{row['line']}" if "path" in row else row.get("source", ""),
            score=round(float(row.get("score", 0)) / best, 4),
        )
        for row in rows
    ]
    kept = tuple(one for one in found if one.score >= request.min_relevance_score)
    cited = dict.fromkeys(one.source for one in kept) if request.include_citations else {}
    return SearchReply(results=kept, citations=tuple(cited))


def _coded(request: CodeRequest) -> tuple[str, dict[str, Any]]:
    told = request.instruction + (f"\nIn {request.language[:60]}." if request.language else "")
    inputs: dict[str, Any] = {"instruction": told, "files": list(request.files)}
    if request.request_type in ("analyze", "explain"):
        return "coder.explain", inputs
    inputs["request_type"] = request.request_type
    if request.tests:
        inputs["tests"] = list(request.tests)
    return "coder.code", inputs


def _code(_: CodeRequest, took: Took) -> CodeReply:
    outcome, output = took.outcome, took.output
    return CodeReply(
        success=outcome.failure is None,
        text=output.get("text", output.get("summary", "")),
        files=tuple(output.get("files", ())),
        passed=output.get("passed"),
        tests=output.get("tests", ""),
        why=outcome.why,
    )


def _validated(request: ValidateRequest) -> tuple[str, dict[str, Any]]:
    criteria: list[dict[str, Any]] = [
        {"kind": "model", "text": text} for text in request.acceptance_criteria
    ]
    if request.expected_schema is not None:
        criteria.insert(0, {"kind": "schema", "value": request.expected_schema})
    asks = {
        "facts": "Every claim in it is borne out by the context or the trusted sources.",
        "hallucination": "It says nothing that the context or the trusted sources do not say.",
        "quality": "It is clear, complete and of use for what the context asks for.",
    }
    criteria += [
        {"kind": "model", "text": asks[name]} for name in request.validation_types if name in asks
    ]
    if not criteria:
        raise InvalidCall("/validate: give `acceptance_criteria` or `expected_schema`.")
    context = "\n\n".join((request.context, *request.trusted_sources)).strip()
    return "judge.validate", {"output": request.output, "criteria": criteria, "goal": context}


def _validation(_: ValidateRequest, took: Took) -> ValidateReply:
    verdicts = took.output.get("verdicts", [])
    failed = [one for one in verdicts if not one["passed"]]
    return ValidateReply(
        valid=bool(verdicts) and not failed,
        issues=tuple(one.get("why", "") for one in failed),
        passed_criteria=tuple(one["what"] for one in verdicts if one["passed"]),
        failed_criteria=tuple(one["what"] for one in failed),
    )


def _checked(request: CheckRequest) -> tuple[str, dict[str, Any]]:
    return "guardian.check", {
        "text": request.text,
        "check_types": list(request.check_types),
        "redact_pii": request.redact_pii,
        "block_on_high_risk": request.block_on_high_risk,
    }


def _check(_: CheckRequest, took: Took) -> CheckReply:
    return msgspec.convert(took.output, CheckReply)


CONTRACTS: Mapping[str, Contract] = MappingProxyType(
    {
        one.path: one
        for one in (
            Contract("/plan", PlanRequest, PlanReply, _planned, _plan),
            Contract("/execute", ExecuteRequest, ExecuteReply, _executed, _execution),
            Contract("/search", SearchRequest, SearchReply, _searched, _search),
            Contract("/code", CodeRequest, CodeReply, _coded, _code),
            Contract("/validate", ValidateRequest, ValidateReply, _validated, _validation),
            Contract("/check", CheckRequest, CheckReply, _checked, _check),
        )
    }
)


def capability_of(offer: Offer, endpoint: str = "", status: Status = "healthy") -> ArmCapability:
    """An action, described."""
    return ArmCapability(
        arm_id=offer.name.replace(".", "-").replace("_", "-").lower(),
        name=offer.name,
        description=offer.description,
        capabilities=offer.needs,
        cost_tier=offer.cost_tier,
        endpoint=endpoint,
        status=status,
        input_schema=offer.input_schema or schema_of({}),
        output_schema=offer.output_schema or {},
        metadata={"effect": offer.effect, "max_concurrent_tasks": offer.parallel},
    )


def schemas() -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """For OpenAPI: each path with its request's and reply's schema, and the components."""
    kinds = [kind for one in CONTRACTS.values() for kind in (one.request, one.reply)]
    found, parts = msgspec.json.schema_components(
        [*kinds, ArmCapability], ref_template="#/components/schemas/{name}"
    )
    paths = {
        path: {"request": found[2 * at], "reply": found[2 * at + 1]}
        for at, path in enumerate(CONTRACTS)
    }
    return paths, parts
