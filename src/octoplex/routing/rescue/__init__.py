"""A stream that breaks after content is asked for again, and goes on where it broke off."""

from octoplex.routing.rescue.layer import Rescue

__all__ = ["Rescue"]
