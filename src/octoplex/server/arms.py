"""The arms as services: `GET /v1/arms`, and `POST /v1/arms/NAME` for each contract.

    POST /v1/arms/execute   {"action_type": "python", "command": "print(6 * 7)"}

The contracts are `agents/arms/contracts.py`, from which OpenAPI is made too. `?agent=NAME` says
whose arms; it works in the folder "arms" of the caller, and asks models as the caller.
"""

from base64 import urlsafe_b64decode

import msgspec
from msgspec import Struct

from octoplex.agents.arms.contracts import CONTRACTS, Wanted, capability_of, served
from octoplex.agents.words import Failed, Order, Outcome
from octoplex.assembly.assigning import Rights
from octoplex.gateway import Gateway
from octoplex.server.files import send
from octoplex.server.inbound import Inbound, read_body
from octoplex.server.tasks import agents_of
from octoplex.wire.eager import in_task
from octoplex.wire.error import (
    DeadlinePassed,
    Forbidden,
    GatewayError,
    InvalidCall,
    NotFound,
    OverBudget,
    Unauthorized,
)

REFUSALS: dict[str, type[GatewayError]] = {
    "refused": Forbidden,
    "denied": Forbidden,
    "timeout": DeadlinePassed,
    "budget": OverBudget,
}


class _Bound(Struct):
    """What a token is bound to, as it says itself; the arm's checker says whether that holds."""

    task_id: str
    step_id: str


async def arms(inbound: Inbound, gateway: Gateway) -> None:
    """Describe what the arms of an agent can do."""
    offers = await agents_of(gateway).offers(Rights(inbound.caller), inbound.query.get("agent", ""))
    paths = {"planner": "plan", "retriever": "search", "coder": "code"}
    paths |= {"executor": "execute", "judge": "validate", "guardian": "check"}
    described = []
    for offer in offers:
        path = paths.get(offer.name.partition(".")[0], "")
        described.append(capability_of(offer, f"/v1/arms/{path}" if path else ""))
    await send(inbound, {"object": "list", "data": described})


async def act(inbound: Inbound, gateway: Gateway) -> None:
    """Have an arm do one thing, by its contract."""
    contract = CONTRACTS.get(f"/{inbound.rest}")
    if contract is None:
        listed = ", ".join(path.lstrip("/") for path in CONTRACTS)
        raise NotFound(f"There is no arm {inbound.rest[:60]!r}; there are {listed}.")
    body = await read_body(inbound, gateway.max_body)
    agents, agent = agents_of(gateway), inbound.query.get("agent", "")

    async def call(wanted: Wanted) -> tuple[Outcome, tuple[str, ...]]:
        bound = _bound(wanted.token) if wanted.token else _Bound(inbound.id, inbound.rest)
        order = Order(
            task_id=bound.task_id,
            step_id=bound.step_id,
            action=wanted.action,
            inputs=wanted.inputs,
            grant=wanted.token,
            seconds=wanted.seconds,
        )
        outcome, grant = await agents.act(Rights(inbound.caller), agent, order)
        return outcome, grant.can

    await in_task()  # arms bound their time
    try:
        await send(inbound, await served(contract, body, call))
    except Failed as failed:
        raise REFUSALS.get(failed.failure, InvalidCall)(str(failed)) from None


def _bound(token: str) -> _Bound:
    try:
        payload = token.partition(".")[0].encode("ascii")
        return msgspec.json.decode(
            urlsafe_b64decode(payload + b"=" * (-len(payload) % 4)), type=_Bound
        )
    except (ValueError, msgspec.MsgspecError):
        raise Unauthorized("capability_token is none of ours.") from None
