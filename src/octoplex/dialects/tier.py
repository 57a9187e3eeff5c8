"""The service tier of a reply: what is served sooner or later than usual has its own price.

References: https://developers.openai.com/api/docs/guides/priority-processing,
https://platform.claude.com/docs/en/api/service-tiers
"""

from msgspec.structs import replace

from octoplex.wire.event import Usage

USUAL = frozenset({"default", "auto", "standard", "on_demand", "unspecified"})


def tiered(usage: Usage | None, tier: str | None) -> Usage | None:
    """The usage with the tier it was billed at, where that is not the usual one."""
    if not tier or usage is None or tier in USUAL:
        return usage
    return replace(usage, tier=tier)
