"""From a model name to an answer: candidates, order, retry, fallback, breaker, hedge."""

from octoplex.routing.chain import Chain
from octoplex.routing.count import Counted
from octoplex.routing.deadline import timely
from octoplex.routing.health import Health
from octoplex.routing.names import Resolver
from octoplex.routing.pick import Chooser, choosers
from octoplex.routing.policy import DEFAULT, Breaking, Policy
from octoplex.routing.rescue import Rescue
from octoplex.routing.route import Candidate, Lane, Route, Target, never
from octoplex.routing.single import Singles

__all__ = [
    "DEFAULT",
    "Breaking",
    "Candidate",
    "Chain",
    "Chooser",
    "Counted",
    "Health",
    "Lane",
    "Policy",
    "Rescue",
    "Resolver",
    "Route",
    "Singles",
    "Target",
    "choosers",
    "never",
    "timely",
]
