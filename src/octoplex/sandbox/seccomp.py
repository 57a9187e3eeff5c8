"""The filter of system calls: what a program inside may not even ask the kernel.

A program of classic BPF, written here instruction by instruction, so that no library stands
between the rules and the kernel. It is a list of refusals, because ordinary tools use nearly
everything else; what is newer than the list (`NEWEST`) is answered as if it did not exist.

- Calls in another machine's numbers end the process (32 bits) or do not exist (x32).
- `clone3` keeps its flags where a filter cannot look: it does not exist, and libraries then use
  `clone`, whose flags are seen. `openat2` is the same with modes. `io_uring` makes calls past
  any filter: it does not exist either.
- Of sockets there are Unix, IPv4 and IPv6 ones, streams and datagrams; all other families are
  parts of the kernel that no isolation of networks covers, as vsock.
- No file gets a set-uid or set-gid bit: the workspace is the host's, where its owner may be root.

References: seccomp(2), `linux/filter.h`, `linux/seccomp.h`; Jann Horn's notes on x32 in libseccomp.
"""

import errno
import struct
from collections.abc import Iterable, Mapping
from functools import cache
from types import MappingProxyType

from octoplex.sandbox.syscalls import NEWEST, numbers

ALLOW, KILL, REFUSE = 0x7FFF0000, 0x80000000, 0x00050000
_LOAD, _EQUAL, _ABOVE, _ANY_BIT, _AND, _RETURN = 0x20, 0x15, 0x25, 0x45, 0x54, 0x06
_NUMBER, _MACHINE, _ARGUMENTS = 0, 4, 16
_AUDIT = MappingProxyType({"x86_64": 0xC000003E, "aarch64": 0xC00000B7})

ABSENT = ("clone3", "openat2", "io_uring_setup", "io_uring_enter", "io_uring_register")
"""Answered by ENOSYS, for which callers have another way."""

UNCOUNTED = ("memfd_create", "shmget")
"""Memory that belongs to no process. ENOSYS too, where no cgroup counts it."""

_REFUSED = """
mount umount2 pivot_root chroot open_tree move_mount fsopen fsconfig fsmount fspick
mount_setattr statmount listmount setns unshare ptrace process_vm_readv process_vm_writev
process_madvise process_mrelease kcmp pidfd_getfd bpf perf_event_open userfaultfd keyctl add_key
request_key memfd_secret kexec_load kexec_file_load init_module finit_module delete_module
reboot swapon swapoff iopl ioperm acct quotactl quotactl_fd vhangup syslog settimeofday
clock_settime clock_adjtime adjtimex sethostname setdomainname open_by_handle_at
name_to_handle_at lookup_dcookie fanotify_init modify_ldt uselib ustat sysfs migrate_pages
move_pages
"""
REFUSED = tuple(_REFUSED.split())

_HOSTING_NAMES = """
mount umount2 pivot_root chroot unshare setns ptrace process_vm_readv process_vm_writev
"""
HOSTING = frozenset(_HOSTING_NAMES.split())
"""What gVisor needs, before it bows to a filter of its own, to shut itself in and a program up."""

APART = ("setsid", "setpgid")
"""Refused where only its process group keeps a tree of processes together."""

NAMESPACES = 0x7E020000
"""CLONE_NEW* for cgroup, uts, ipc, user, pid, net and mount; `clone` knows no other."""
NOT_OURS = 0x8000
"""CLONE_PARENT: behind landlock alone the child would be Octoplex's own."""
SET_IDS = 0o6000
_NODES = ("mknod", "mknodat")
_DEVICES = 0x2000
"""The bit of S_IFMT that only character and block devices have."""
CREATES = 0x40 | 0x400000  # O_CREAT, __O_TMPFILE
TERMINAL = (0x5412, 0x541C, 0x541D)  # TIOCSTI, TIOCLINUX, TIOCCONS
_UNIX, _INET, _INET6 = 1, 2, 10
ONE_OF = MappingProxyType(
    {
        "personality": (0, 0xFFFFFFFF),  # the plain one, and asking which it is
        "socketpair": (_UNIX,),
        "socket": (_UNIX, _INET, _INET6),
    }
)
"""What the first argument may be."""
MODES = MappingProxyType(
    {"chmod": 1, "fchmod": 1, "fchmodat": 2, "fchmodat2": 2, "creat": 1, "mknod": 1, "mknodat": 2}
)
"""Which argument is the mode of a file."""
OPENS = MappingProxyType({"open": 1, "openat": 2})
"""Which are the flags; the mode comes next, and counts where a file is made."""
_STREAM, _DATAGRAM = 1, 2
_TCP, _UDP = 6, 17

Code = list[tuple[int, int, int, int]]


@cache
def program(machine: str, *, counted: bool = True, inside: bool = True) -> bytes:
    """The filter, as `struct sock_filter`s.

    `counted` says that a cgroup counts the memory; `inside` that the program has namespaces of
    its own. Without them it may open no socket at all, and stays in its process group.

    Raises:
        BadConfig: the machine is of a kind that has no sandbox.
    """
    absent = ABSENT if counted else (*ABSENT, *UNCOUNTED)
    refused = REFUSED if inside else (*REFUSED, *APART)
    return _packed(machine, absent, refused, {**_judged(inside), **_made()})


@cache
def hosting(machine: str) -> bytes:
    """The filter around gVisor and all that it starts.

    Raises: as `program`.
    """
    return _packed(machine, ABSENT, [one for one in REFUSED if one not in HOSTING], _made())


def _packed(
    machine: str, absent: Iterable[str], refused: Iterable[str], judged: Mapping[str, Code]
) -> bytes:
    number = numbers(machine)
    code = _start(machine)
    code += _all(number, absent, errno.ENOSYS)
    code += _all(number, refused, errno.EPERM)
    for name, body in judged.items():
        if name in number:
            code += [(_EQUAL, 0, len(body), number[name]), *body]
    code.append((_RETURN, 0, 0, ALLOW))
    return b"".join(struct.pack("HBBI", *one) for one in code)


def _start(machine: str) -> Code:
    return [
        (_LOAD, 0, 0, _MACHINE),
        (_EQUAL, 1, 0, _AUDIT[machine]),
        (_RETURN, 0, 0, KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_ABOVE, 0, 1, NEWEST),  # x32 too: its numbers begin at 2**30
        (_RETURN, 0, 0, REFUSE | errno.ENOSYS),
    ]


def _all(number: Mapping[str, int], names: Iterable[str], why: int) -> Code:
    code: Code = []
    for name in names:
        if name in number:
            code += [(_EQUAL, 0, 1, number[name]), (_RETURN, 0, 0, REFUSE | why)]
    return code


def _judged(inside: bool) -> dict[str, Code]:
    """The calls whose arguments decide."""
    return {
        "clone": _no_bit(0, NAMESPACES | NOT_OURS),
        "ioctl": _none_of(1, TERMINAL),
        "personality": _one_of(0, ONE_OF["personality"]),
        "socketpair": _one_of(0, ONE_OF["socketpair"]),
        "socket": _sockets() if inside else [(_RETURN, 0, 0, REFUSE | errno.EPERM)],
    }


def _made() -> dict[str, Code]:
    """Those that make files, or change what they may."""
    modes = {
        name: _no_bit(index, SET_IDS | (_DEVICES if name in _NODES else 0))
        for name, index in MODES.items()
    }
    return modes | {name: _opened(index) for name, index in OPENS.items()}


def _argument(index: int) -> tuple[int, int, int, int]:
    """Load the lower half of an argument: none of these is wider in the kernel."""
    return (_LOAD, 0, 0, _ARGUMENTS + 8 * index)


def _verdicts() -> Code:
    return [(_RETURN, 0, 0, ALLOW), (_RETURN, 0, 0, REFUSE | errno.EPERM)]


def _no_bit(index: int, bits: int) -> Code:
    return [_argument(index), (_ANY_BIT, 1, 0, bits), *_verdicts()]


def _none_of(index: int, values: Iterable[int]) -> Code:
    wanted = list(values)
    tests = [(_EQUAL, len(wanted) - at, 0, value) for at, value in enumerate(wanted)]
    return [_argument(index), *tests, *_verdicts()]


def _one_of(index: int, values: Iterable[int]) -> Code:
    wanted = list(values)
    tests = [(_EQUAL, len(wanted) - at, 0, value) for at, value in enumerate(wanted)]
    return [_argument(index), *tests, *reversed(_verdicts())]


def _opened(flags: int) -> Code:
    """A mode counts only where a file is made; else it is whatever lay in the register."""
    mode = _no_bit(flags + 1, SET_IDS)
    return [_argument(flags), (_ANY_BIT, 1, 0, CREATES), (_RETURN, 0, 0, ALLOW), *mode]


def _sockets() -> Code:
    """Unix: any kind. IPv4 and IPv6: streams and datagrams of TCP and UDP."""
    return [
        _argument(0),
        (_EQUAL, 10, 0, _UNIX),
        (_EQUAL, 1, 0, _INET),
        (_EQUAL, 0, 9, _INET6),
        _argument(1),
        (_AND, 0, 0, 0xF),
        (_EQUAL, 1, 0, _STREAM),
        (_EQUAL, 0, 5, _DATAGRAM),
        _argument(2),
        (_EQUAL, 2, 0, 0),
        (_EQUAL, 1, 0, _TCP),
        (_EQUAL, 0, 1, _UDP),
        *_verdicts(),
    ]
