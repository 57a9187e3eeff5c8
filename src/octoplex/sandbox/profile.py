"""The filter of system calls as container programs take it: a profile in JSON.

The lists are those of `seccomp.py`, and its rules about arguments as far as the form has them: a
number above the newest that was known cannot be named, so calls that came later are listed here by
name, and what comes later still is let through. Kinds of IPv4 and IPv6 sockets are not looked at:
without capabilities there are no raw ones.

Reference: the OCI runtime specification, `config-linux.md`, "Seccomp".
"""

import errno
from collections.abc import Iterable, Iterator, Mapping
from functools import cache

import msgspec

from octoplex.sandbox import seccomp

_LATER_NAMES = """
setxattrat getxattrat listxattrat removexattrat open_tree_attr file_getattr file_setattr
"""
_WORD = 0xFFFFFFFF
Rule = Mapping[str, object]


@cache
def profile() -> bytes:
    """The profile. It is read on every machine: calls that one does not have are passed over."""
    absent = (*seccomp.ABSENT, *_LATER_NAMES.split())
    rules: list[Rule] = [_refused(absent, errno.ENOSYS), _refused(seccomp.REFUSED, errno.EPERM)]
    for name, conditions in _judged():
        rules.append(_refused((name,), errno.EPERM, conditions))
    return msgspec.json.encode({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules})


def _refused(
    names: Iterable[str], why: int, conditions: Iterable[tuple[int, int, int]] = ()
) -> Rule:
    """Where all of `conditions` hold: (index of the argument, mask, what is left of it)."""
    args = [
        {"index": index, "value": mask, "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ"}
        for index, mask, value in conditions
    ]
    return {"names": list(names), "action": "SCMP_ACT_ERRNO", "errnoRet": why, "args": args}


def _judged() -> Iterator[tuple[str, list[tuple[int, int, int]]]]:
    """Calls and the conditions that refuse them."""
    for bit in _bits(seccomp.NAMESPACES | seccomp.NOT_OURS):
        yield "clone", [(0, bit, bit)]
    for request in seccomp.TERMINAL:
        yield "ioctl", [(1, _WORD, request)]
    for name, values in seccomp.ONE_OF.items():
        for mask, value in _others(values):
            yield name, [(0, mask, value)]
    for bit in _bits(seccomp.SET_IDS):
        for name, index in seccomp.MODES.items():
            yield name, [(index, bit, bit)]
        for creates in _bits(seccomp.CREATES):
            for name, index in seccomp.OPENS.items():
                yield name, [(index, creates, creates), (index + 1, bit, bit)]


def _bits(word: int) -> Iterator[int]:
    return (1 << at for at in range(32) if word >> at & 1)


def _others(values: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Masks and values that together stand for all words but these: by their leading bits."""
    prefixes = {0}
    for at in reversed(range(32)):
        wanted = {value >> at for value in values}
        below = {2 * prefix + bit for prefix in prefixes for bit in (0, 1)}
        for other in sorted(below - wanted):
            yield _WORD >> at << at, other << at
        prefixes = below & wanted
