"""A program that makes a list of system calls and then becomes another program.

What only a process itself can do (mount into its namespace, bow to a filter, limit itself) must
be done between the sandbox's walls and the program that runs in it. An interpreter there would
cost more than all the rest, and be seen. This is a static ELF file of a few kB, written here for
each run: straight code, no loop, no library, nothing that could be asked to do anything else.

    launch = Launcher(report_fd)
    fd = launch.word()
    launch.call("openat", AT_FDCWD, launch.text("/tmp"), O_PATH, 0, keep=fd)
    launch.call("close", Held(fd))
    launch.image()          # run as: image argv[1] argv[2] ...; becomes argv[1]

A call that fails ends it with status 121, after eight bytes to `report_fd`: which step, and the
errno. When it becomes the other program the report is closed without a byte. Step `len(steps)`
is that last one.

References: System V ABI for x86-64, section 3.4; `elf(5)`; Intel's manual, volume 2.

Not promised: other machines than x86_64; the code for aarch64 could not be run.
"""

import struct
from typing import NamedTuple

from octoplex.sandbox.syscalls import numbers
from octoplex.wire.error import BadConfig

FAILED = 121
REPORT = struct.Struct("<II")
_CODE, _DATA, _PAGE = 0x400000, 0x800000, 0x1000
_TOP = 64 + 3 * 56
_LOADS = (b"\x48\xbf", b"\x48\xbe", b"\x48\xba", b"\x49\xba", b"\x49\xb8", b"\x49\xb9")
"""movabs of a constant into rdi, rsi, rdx, r10, r8, r9: the arguments of a call."""
_FOLLOWS = tuple(bytes.fromhex(code) for code in ("48633f", "486336", "486312"))
_FOLLOWS += tuple(bytes.fromhex(code) for code in ("4d6312", "4d6300", "4d6309"))
"""movsxd of the word that the register points at into the same register."""


class At(NamedTuple):
    """A place in the data; as an argument, its address."""

    offset: int

    @property
    def address(self) -> int:
        """Where it will lie."""
        return _DATA + self.offset


class Held(NamedTuple):
    """As an argument: the number that an earlier call left at this place."""

    place: At


Argument = int | At | Held


class Launcher:
    """Collects steps. `steps` names them, for what is said of a failure."""

    def __init__(self, report_fd: int, machine: str = "x86_64") -> None:
        """Raises `BadConfig` where it has no code for the machine."""
        if machine != "x86_64":
            raise BadConfig(f"The sandbox starts no programs on {machine}: x86_64 only so far.")
        self.steps: list[str] = []
        self._numbers = numbers(machine)
        self.report_fd = report_fd
        self._data = bytearray(REPORT.size)
        self._code = bytearray(b"\x49\x89\xe4")  # mov r12, rsp: argc, argv, environment
        self._jumps: list[int] = []

    def data(self, content: bytes) -> At:
        """Bytes that calls may point at, aligned for any structure."""
        self._data += bytes(-len(self._data) % 8)
        place = At(len(self._data))
        self._data += content
        return place

    def text(self, content: str) -> At:
        """A path or another string, with its NUL."""
        return self.data(content.encode() + b"\0")

    def word(self) -> At:
        """Room for the number that a call leaves."""
        return self.data(bytes(4))

    def call(self, name: str, *arguments: Argument, keep: At | None = None) -> None:
        """Make a call; go on only if it succeeds. `keep` is where its result is written."""
        self._code += b"\x41\xbd" + struct.pack("<I", len(self.steps))  # mov r13d, step
        for index, argument in enumerate(arguments):
            self._code += _LOADS[index] + struct.pack("<Q", _word(argument))
            if isinstance(argument, Held):
                self._code += _FOLLOWS[index]
        self._code += b"\xb8" + struct.pack("<I", self._numbers[name]) + b"\x0f\x05"
        self._code += b"\x48\x85\xc0"  # test rax, rax
        self._fail_if(b"\x0f\x88")  # js
        if keep is not None:
            self._code += b"\x48\xb9" + struct.pack("<Q", keep.address) + b"\x89\x01"
        self.steps.append(name)

    def begin(self) -> None:
        """Report that it runs: eight bytes of zeros, before those of a failure."""
        self.call("write", self.report_fd, self.data(bytes(REPORT.size)), REPORT.size)

    def image(self) -> bytes:
        """The whole file."""
        self._code += b"\x41\xbd" + struct.pack("<I", len(self.steps))
        self._code += b"\x49\x8b\x7c\x24\x10"  # mov rdi, [r12+16]: argv[1]
        self._code += b"\x49\x8d\x74\x24\x10"  # lea rsi, [r12+16]
        self._code += b"\x49\x8b\x04\x24"  # mov rax, [r12]: argc
        self._code += b"\x49\x8d\x54\xc4\x10"  # lea rdx, [r12+rax*8+16]: environment
        self._code += b"\xb8" + struct.pack("<I", self._numbers["execve"]) + b"\x0f\x05"
        for jump in self._jumps:
            self._code[jump : jump + 4] = struct.pack("<i", len(self._code) - jump - 4)
        self._code += self._failure()
        return _elf(bytes(self._code), bytes(self._data))

    def _fail_if(self, jump: bytes) -> None:
        self._code += jump
        self._jumps.append(len(self._code))
        self._code += bytes(4)

    def _failure(self) -> bytes:
        """Report step and errno (rax is its negative), and end."""
        code = b"\xf7\xd8"  # neg eax
        code += b"\x48\xb9" + struct.pack("<Q", _DATA)  # movabs rcx, report
        code += b"\x44\x89\x29\x89\x41\x04"  # mov [rcx], r13d; mov [rcx+4], eax
        code += b"\xbf" + struct.pack("<I", self.report_fd)  # mov edi, fd
        code += b"\x48\x89\xce\xba" + struct.pack("<I", REPORT.size)  # mov rsi, rcx; mov edx, 8
        code += b"\xb8" + struct.pack("<I", self._numbers["write"]) + b"\x0f\x05"
        code += b"\xbf" + struct.pack("<I", FAILED)
        return code + b"\xb8" + struct.pack("<I", self._numbers["exit_group"]) + b"\x0f\x05"


def _word(argument: Argument) -> int:
    """An argument as the 64 bits of its register."""
    if isinstance(argument, Held):
        return argument.place.address
    if isinstance(argument, At):
        return argument.address
    return argument & 0xFFFFFFFFFFFFFFFF


def _elf(code: bytes, data: bytes) -> bytes:
    """Two segments, code that cannot be written and data that cannot be run."""
    at = -(-(_TOP + len(code)) // _PAGE) * _PAGE
    head = b"\x7fELF" + bytes((2, 1, 1)) + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, _CODE + _TOP, 64, 0, 0, 64, 56, 3, 0, 0, 0)
    for kind, flags, offset, address, size in (
        (1, 5, 0, _CODE, _TOP + len(code)),
        (1, 6, at, _DATA, len(data)),
        (0x6474E551, 6, 0, 0, 0),  # a stack that cannot be run
    ):
        head += struct.pack("<IIQQQQQQ", kind, flags, offset, address, address, size, size, _PAGE)
    return (head + code).ljust(at, b"\0") + data
