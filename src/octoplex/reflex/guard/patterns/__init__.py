"""What the guard looks for by itself. The type of a pattern is its name in the configuration."""

from octoplex.reflex.guard.patterns.injection import INJECTION
from octoplex.reflex.guard.patterns.papers import PAPERS
from octoplex.reflex.guard.patterns.personal import PERSONAL
from octoplex.reflex.guard.patterns.secrets import SECRETS
from octoplex.reflex.guard.patterns.states import STATES

BUILT_IN = (*PERSONAL, *PAPERS, *STATES, *SECRETS, *INJECTION)
UNNAMED = frozenset({"private_ip"})
"""Types that are looked for only where the configuration names them: mostly nobody's."""
