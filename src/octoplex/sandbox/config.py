"""`[sandbox]` of the configuration file."""

import re
from ipaddress import ip_network

from msgspec import Struct

from octoplex.sandbox.limits import Backend, limits_of
from octoplex.sandbox.work import Container
from octoplex.transport.public import Network
from octoplex.wire.error import BadConfig

_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9\-]{0,61}[a-z0-9])?")
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./:@\-]{0,254}")


class SandboxTable(Struct, frozen=True, kw_only=True):
    """What programs may use that run in the sandbox, and whether they may run without one."""

    limits: str = ""
    tools: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    unsafe: bool = False
    backend: Backend = "bubblewrap"
    image: str = ""
    namespace: str = ""
    context: str = ""

    @property
    def permitted(self) -> list[Network]:
        """The networks that count as public. Raises `BadConfig`."""
        try:
            return [ip_network(text) for text in self.networks]
        except ValueError as error:
            raise BadConfig(f"[sandbox] networks: {error}.") from None

    def __post_init__(self) -> None:
        """Raises `BadConfig`: the limits cannot be read, a tool is no absolute path, or a container
        has no image or tools of this machine, or a job no namespace."""
        try:
            limits_of(self.limits)
        except BadConfig as error:
            raise BadConfig(f"[sandbox] {error}") from None
        _ = self.permitted
        for tool in self.tools:
            if not tool.startswith("/") or tool == "/":
                raise BadConfig(f'[sandbox] tools: "{tool}" must be a folder, like "/opt/node".')
        if self.image and not _IMAGE.fullmatch(self.image):
            raise BadConfig(f'[sandbox] image: "{self.image[:80]}" is not the name of an image.')
        if self.is_experimental and (self.tools or not self.image):
            raise BadConfig(f'[sandbox] backend = "{self.backend}" needs an image, and no tools.')
        if self.namespace and not _NAMESPACE.fullmatch(self.namespace):
            raise BadConfig(f'[sandbox] namespace: "{self.namespace[:80]}" is not the name of one.')
        if self.context.startswith("-") or not self.context.isprintable():
            raise BadConfig(f"[sandbox] context: {self.context[:80]!r} is not the name of one.")
        is_job = self.backend == "kubernetes"
        if is_job != bool(self.namespace) or (self.context and not is_job):
            raise BadConfig(
                '[sandbox] backend = "kubernetes" needs a namespace, and no other has one, or a '
                "context."
            )

    @property
    def is_experimental(self) -> bool:
        """Whether programs run in what was not tried as far as the walls were."""
        return self.backend in ("docker", "podman", "kubernetes")

    @property
    def container(self) -> Container:
        """What they run in."""
        return Container(self.backend, self.image, self.namespace, self.context)
