"""Tasks by the operator's socket: what `octoplex run` and `octoplex runs` ask a running server.

Who commands the machine is nobody's caller: such a task may name any folder, and has no key.
"""

from typing import Any

import msgspec

from octoplex.agents.task import Task
from octoplex.assembly.agents import OVER
from octoplex.assembly.assigning import Rights
from octoplex.gateway import Gateway
from octoplex.server.tasks import agents_of
from octoplex.wire.error import InvalidCall

LONGEST_WAIT_S = 15.0


async def ordered(gateway: Gateway, how: str, order: dict[str, Any], who: str) -> Any:
    """Do what is said of a task.

    Raises:
        GatewayError: as `Agents`.
    """
    agents = agents_of(gateway)
    id_ = str(order.get("id", ""))
    match how:
        case "submit":
            task = msgspec.convert(order.get("task"), Task)
            return (await agents.submit(Rights(trusted=True), task)).id
        case "events":
            wait_s = min(float(order.get("wait_s", 0)), LONGEST_WAIT_S)
            await agents.row(id_)
            return await (await agents.opened()).changed(id_, int(order.get("after", 0)), wait_s)
        case "over":
            events = await (await agents.opened()).events(id_)
            return not events or (
                events[-1].kind in OVER and events[-1].number <= int(order.get("after", 0))
            )
        case "approve":
            word = {**dict(order.get("word", {})), "by": who}
            return await agents.approve(id_, str(order.get("step", "")), word)
        case "cancel":
            return await agents.cancel(id_, str(order.get("by", "")) or who)
        case "resume":
            return await agents.resume(id_)
    raise InvalidCall(f'The server knows no command "tasks.{how}".')
