"""`[sandbox]` of the configuration file."""

import re

from msgspec import Struct

from octoplex.sandbox.containers import KINDS
from octoplex.sandbox.limits import Backend, limits_of
from octoplex.wire.error import BadConfig

_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./:@\-]{0,254}")


class SandboxTable(Struct, frozen=True, kw_only=True):
    """What programs may use that run in the sandbox, and whether they may run without one."""

    limits: str = ""
    tools: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    unsafe: bool = False
    backend: Backend = "bubblewrap"
    image: str = ""

    def __post_init__(self) -> None:
        """Raises `BadConfig`: the limits cannot be read, a tool is no absolute path, or a container
        has no image or tools of this machine."""
        try:
            limits_of(self.limits)
        except BadConfig as error:
            raise BadConfig(f"[sandbox] {error}") from None
        for tool in self.tools:
            if not tool.startswith("/") or tool == "/":
                raise BadConfig(f'[sandbox] tools: "{tool}" must be a folder, like "/opt/node".')
        if self.image and not _IMAGE.fullmatch(self.image):
            raise BadConfig(f'[sandbox] image: "{self.image[:80]}" is not the name of an image.')
        if self.backend in KINDS and (self.tools or not self.image):
            raise BadConfig(f'[sandbox] backend = "{self.backend}" needs an image, and no tools.')
