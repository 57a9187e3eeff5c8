"""Everyone who speaks a dialect, from the table that the server itself uses.

A dialect that joins `assembly/dialects.py` joins here by itself: its grammar checker is the
module of its name, and a face's question is the one below that it accepts.
"""

import inspect
from collections.abc import Callable
from importlib import import_module
from typing import Any

from octoplex.assembly.arrival import Arrival, Patience, read_call
from octoplex.assembly.dialects import dialects, faces
from octoplex.dialects.dialect import Dialect, Face, Form, PathFace
from octoplex.wire.ask import Call


def still(side: Any) -> Any:
    """The same, with a clock that stands still where it has one."""
    timed = "now" in inspect.signature(type(side)).parameters
    return type(side)(now=lambda: 1_741_569_952.0) if timed else side


DIALECTS: dict[str, Dialect] = {name: still(side) for name, side in dialects().items()}
FACES: dict[str, Face] = {name: still(side) for name, side in faces().items()}
CHECKS: dict[str, Callable[..., None]] = {
    name: import_module(f"tests.dialects.grammar.{name.replace('-', '_')}").check for name in FACES
}
PATH = "/models/m:streamGenerateContent?alt=sse"
_ASK = (
    b'{"model":"m","max_tokens":100,"stream":true,"input":"x",'
    b'"messages":[{"role":"user","content":"x"}],"contents":[{"parts":[{"text":"x"}]}]%b}'
)
ASKS = (_ASK % b"", _ASK % b',"stream_options":{"include_usage":true}')
"""What every face is asked: plainly, and with usage wanted."""
PATIENCE = Patience(600.0, 3600.0)


def asked(face: Face, body: bytes, path: str = PATH) -> Call:
    """The call that the door makes of a body."""
    place = face.read_path(*path.split("?", 1)) if isinstance(face, PathFace) else None
    op: Any = place.op if place is not None else "chat"
    return read_call(Arrival("req-1", face, 0.0, PATIENCE, place=place), body, op)


def words_of(dialect: Dialect) -> str:
    """The face whose words a dialect has, which its streams pass to as they come."""
    return dialect.words if isinstance(dialect, Form) else dialect.name
