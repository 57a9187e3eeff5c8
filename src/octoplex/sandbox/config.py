"""`[sandbox]` of the configuration file."""

from msgspec import Struct

from octoplex.sandbox.limits import Backend, limits_of
from octoplex.wire.error import BadConfig


class SandboxTable(Struct, frozen=True, kw_only=True):
    """What programs may use that run in the sandbox, and whether they may run without one."""

    limits: str = ""
    tools: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    unsafe: bool = False
    backend: Backend = "bubblewrap"

    def __post_init__(self) -> None:
        """Raises `BadConfig`: the limits cannot be read, or a tool is no absolute path."""
        try:
            limits_of(self.limits)
        except BadConfig as error:
            raise BadConfig(f"[sandbox] {error}") from None
        for tool in self.tools:
            if not tool.startswith("/") or tool == "/":
                raise BadConfig(f'[sandbox] tools: "{tool}" must be a folder, like "/opt/node".')
