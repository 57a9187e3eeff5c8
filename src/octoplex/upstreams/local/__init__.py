"""Models that run on this machine: where their files are, and the process that runs one.

`models` finds files, `install` fetches the built-in one, `worker` owns the process in the
gateway and `launch` starts it, `engine` is what that process runs. Nothing here imports
the engine's library into the gateway.
"""

from octoplex.upstreams.local.launch import Address
from octoplex.upstreams.local.models import Listed, LocalModel, available, find
from octoplex.upstreams.local.worker import LocalWorker

__all__ = ["Address", "Listed", "LocalModel", "LocalWorker", "available", "find"]
