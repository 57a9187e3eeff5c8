"""The guardian as an action: the gateway's guard asked about a text.

    guardian.check  {"text": "..."}               -> {"safe", "risk_level", "issues", ...}

It looks for everything that is known, and says of each finding what kind and type it is and where
it stands, never its text. What enters and leaves a task is looked at in any case, as `[guard]` says
(`World.screen`).
"""

import asyncio
from hashlib import sha256
from typing import Any

from octoplex.agents.arms.actions import Acts, Doing
from octoplex.agents.arms.form import BOOLEAN, OBJECT, TEXT, list_of, schema_of, text_of
from octoplex.agents.words import Offer, Outcome
from octoplex.reflex.guard.config import Guard
from octoplex.reflex.guard.finding import Finding, Kind
from octoplex.reflex.guard.ruling import Verdict, compile_ruling, find

LOOKS_FOR = Guard(pii="mask", secrets="mask", injection="flag")
TYPES: dict[str, frozenset[Kind]] = {
    "pii": frozenset({"pii"}),
    "secrets": frozenset({"secret"}),
    "policy": frozenset({"injection"}),
    "content": frozenset({"injection", "word"}),
}
"""What each of the contract's `check_types` is here; "all" is all of them."""
RISKS = ("none", "low", "medium", "high", "critical")
SHOWN = ("kind", "type", "start", "end", "score")
_OF_KIND: dict[Kind, int] = {"pii": 2, "secret": 4, "injection": 3, "word": 2}
CHECK = Offer(
    "guardian.check",
    "Look for personal data, secrets and instructions to models in a text, and take them out.",
    schema_of(
        {
            "text": text_of("What is looked through.", 50_000),
            "check_types": list_of({"enum": [*TYPES, "all"]}),
            "redact_pii": BOOLEAN,
            "block_on_high_risk": BOOLEAN,
        },
        "text",
    ),
    schema_of(
        {
            "safe": BOOLEAN,
            "risk_level": {"enum": list(RISKS)},
            "issues": list_of(OBJECT),
            "sanitized_text": TEXT,
            "blocked": BOOLEAN,
        }
    ),
)


async def _check(doing: Doing) -> Outcome:
    output = await asyncio.to_thread(_checked, doing.inputs)
    text = output["risk_level"] if output["issues"] else "nothing was found"
    return Outcome(output=output, text=text, is_untrusted=doing.order.is_tainted)


def _checked(inputs: dict[str, Any]) -> dict[str, Any]:
    text, types = inputs["text"], inputs.get("check_types") or ["all"]
    kinds = frozenset[Kind]().union(
        *(TYPES.values() if "all" in types else (TYPES[name] for name in types))
    )
    ruling = compile_ruling(LOOKS_FOR, lambda data: sha256(data).digest(), str)
    assert ruling is not None
    assert ruling.asked is not None
    found = [one for one in find(ruling.asked, text) if one.kind in kinds]
    risk = max((_risk(one) for one in found), default=0)
    redacts = inputs.get("redact_pii", True)
    masked = [one for one in found if redacts or one.kind != "pii"]
    return {
        "safe": not found,
        "risk_level": RISKS[risk],
        "issues": [{name: getattr(one, name) for name in SHOWN} for one in found],
        "sanitized_text": Verdict(ruling).changed(text, masked),
        "blocked": bool(inputs.get("block_on_high_risk")) and risk >= RISKS.index("high"),
    }


def _risk(one: Finding) -> int:
    """As its kind says; one step less where it is not sure."""
    return max(_OF_KIND[one.kind] - (one.score < 0.6), 1)


GUARDIAN: Acts = ((CHECK, _check),)
