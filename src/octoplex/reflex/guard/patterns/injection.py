"""Prompt injection: text that speaks to the model in place of the one who may.

Not promised: that injection is recognised by its words. What arrives as data must be treated as
data; this finds the ready-made attacks.
"""

from octoplex.reflex.guard.patterns.carrying import CARRYING
from octoplex.reflex.guard.patterns.commanding import COMMANDING
from octoplex.reflex.guard.patterns.demanding import DEMANDING
from octoplex.reflex.guard.patterns.overruling import OVERRULING
from octoplex.reflex.guard.patterns.steering import STEERING
from octoplex.reflex.guard.patterns.tongues import TONGUES

INJECTION = (*OVERRULING, *DEMANDING, *CARRYING, *STEERING, *COMMANDING, *TONGUES)
