"""Fast decisions before any model is asked: key, model, rate limit.

keys.py     secrets to keys (`Keyring`, `credentials`, `new_key`, `weak`, `pepper`)
models.py   which models a key may name
limit.py    the limit string and its buckets
gate.py     `admitted(inner, desk)`: the reflex layer as an Answerer
cache/      `cached(inner, cache, rule_of)`: the same reply again for the same ask
"""

from octoplex.reflex.gate import Desk, admitted
from octoplex.reflex.keys import (
    Entry,
    Hasher,
    Key,
    Keyring,
    KeySpec,
    credentials,
    from_config,
    from_row,
    in_force,
    new_key,
    pepper,
    weak,
)
from octoplex.reflex.limit import Figure, Limits, Rate, parse
from octoplex.reflex.models import Models

__all__ = [
    "Desk",
    "Entry",
    "Figure",
    "Hasher",
    "Key",
    "KeySpec",
    "Keyring",
    "Limits",
    "Models",
    "Rate",
    "admitted",
    "credentials",
    "from_config",
    "from_row",
    "in_force",
    "new_key",
    "parse",
    "pepper",
    "weak",
]
