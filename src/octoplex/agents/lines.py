"""What happens to a task, a line each: for pipes, logs, and chats that an agent answers.

    line_of(event)   "+ plot  executor.python  done in 1.2 s, $0.0004"      "" where there is none

What a model or a tool has said in it is other people's text: `shown` takes out what could command
a terminal.
"""

import re
from collections.abc import Mapping
from typing import Any

from octoplex.agents.task import Event
from octoplex.ledger.allowance import dollars

LONGEST = 300
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]+")


def shown(text: object, longest: int = LONGEST) -> str:
    """A text on one line, without what commands a terminal."""
    plain = _CONTROL.sub(" ", str(text)).strip()
    return plain if len(plain) <= longest else f"{plain[: longest - 3]}..."


def line_of(event: Event) -> str:
    """The line of an event."""
    subject, _, what = event.kind.partition(".")
    body, step = event.body, shown(event.step, 60)
    match subject:
        case "step":
            return _step(step, what, body)
        case "task":
            return _task(what, body)
        case "plan":
            return _plan(what, body)
        case "approval" if what == "asked":
            return f"? {step} waits for approval: {shown(body.get('action', ''))}: {_why(body)}"
        case "approval":
            word = "approved" if body.get("approved") else "denied"
            note = f": {shown(body['note'])}" if body.get("note") else ""
            return f"? {step} {word} by {shown(body.get('by', ''), 60)}{note}"
        case "repair":
            return f"~ repair {body.get('round', '')}: {_reasons(body)}"
        case _:
            mark = "ok" if body.get("passed") else "NOT MET"
            of = f" of {step}" if step else ""
            return f"= criterion{of} {mark}: {shown(body.get('what', ''))}{_because(body)}"


def _step(step: str, what: str, body: Mapping[str, Any]) -> str:
    match what:
        case "started":
            attempt = body.get("attempt", 1)
            again = f" (attempt {attempt})" if attempt > 1 else ""
            return f"> {step}  {shown(body.get('action', ''))}{again}"
        case "progress":
            return f"  {step}: {shown(body['text'])}" if body.get("text") else ""
        case "done":
            files = ", ".join(shown(one["path"], 80) for one in body.get("artifacts", ()))
            return f"+ {step} done in {_spent(body)}{f'; wrote {files}' if files else ''}"
        case "skipped":
            return f"- {step} skipped: {_why(body)}"
        case "retried":
            return f"! {step} failed and is tried again: {_why(body)}"
        case _:
            return f"! {step} failed in {_spent(body)}: {_why(body)}"


def _task(what: str, body: Mapping[str, Any]) -> str:
    match what:
        case "failed":
            return f"! the task failed: {_why(body)}"
        case "cancelled":
            return f"! cancelled by {shown(body.get('by', ''), 60)}{_because(body)}"
        case "planning":
            return "planning"
        case "resumed":
            return "resumed"
        case _:
            return ""


def _plan(what: str, body: Mapping[str, Any]) -> str:
    if what == "rejected":
        return f"! a plan was rejected: {_reasons(body)}"
    steps = body["plan"]["steps"]
    words = ", ".join(f"{shown(s['id'], 40)} ({shown(s['arm'], 60)})" for s in steps)
    return f"plan of {len(steps)} {'step' if len(steps) == 1 else 'steps'}: {words}"


def _spent(body: Mapping[str, Any]) -> str:
    cost = body.get("nanos", 0)
    return f"{body.get('seconds', 0.0):.1f} s" + (f", {dollars(cost)}" if cost else "")


def _why(body: Mapping[str, Any]) -> str:
    return shown(body.get("why", "")) or "it does not say why"


def _because(body: Mapping[str, Any]) -> str:
    return f" ({shown(body['why'])})" if body.get("why") else ""


def _reasons(body: Mapping[str, Any]) -> str:
    return "; ".join(shown(one) for one in body.get("reasons", ()))
