"""Octoplex: one front door to every language model.

    from octoplex import Octoplex
    print(Octoplex().chat("octoplex/smollm2", "Say hello.").text)

The same spine runs in process, behind `octoplex serve`, and under the shell. Names are
imported at their first use, so that `import octoplex` costs next to nothing.
"""

from importlib import import_module

__all__ = [
    "AsyncChatStream",
    "AsyncOctoplex",
    "ChatReply",
    "ChatStream",
    "Message",
    "ModelOffer",
    "Octoplex",
    "Receipt",
    "Sandbox",
    "Tool",
    "error",
    "event",
    "execute",
    "plan",
    "run",
]

_HOMES = {
    "Message": "wire.chat",
    "Sandbox": "sandbox.sandbox",
    "Tool": "wire.chat",
    "error": "wire",
    "event": "wire",
    **dict.fromkeys(("execute", "plan", "run"), "client.goals"),
}


def __getattr__(name: str) -> object:
    """Find an exported name in its room."""
    if name not in __all__:
        raise AttributeError(f"module 'octoplex' has no attribute {name!r}")
    home = import_module(f"octoplex.{_HOMES.get(name, 'client')}")
    if name in ("error", "event"):
        return import_module(f"octoplex.wire.{name}")
    return getattr(home, name)
