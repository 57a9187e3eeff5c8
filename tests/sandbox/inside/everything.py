"""Every attempt by its name."""

import functools
import inspect
from typing import Any

import files_and_processes
import kernel_and_network
from trying import Attempt, main


def _takes_facts(one: Any) -> bool:
    return inspect.isfunction(one) and list(inspect.signature(one).parameters) == ["facts"]


_MODULES = (files_and_processes, kernel_and_network)
_FOUND = [pair for one in _MODULES for pair in inspect.getmembers(one, _takes_facts)]
ATTEMPTS: dict[str, Attempt] = dict(_FOUND)
for _name in files_and_processes.HOME_FILES:
    ATTEMPTS[f"read {_name}"] = functools.partial(files_and_processes.read_home_file, _name)
for _name in kernel_and_network.CALLS:
    ATTEMPTS[_name] = functools.partial(kernel_and_network.system_call, _name)
for _name, _family in kernel_and_network.FAMILIES.items():
    ATTEMPTS[f"socket {_name}"] = functools.partial(kernel_and_network.open_family, _family)

if __name__ == "__main__":
    main(ATTEMPTS)
