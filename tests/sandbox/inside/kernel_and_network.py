"""Attempts on the kernel's less used doors, and on the network."""

import fcntl
import os
import socket
import struct
from pathlib import Path

from trying import Facts, must, reached

NULL = None
_NEW_USERS, _NEW_MOUNTS, _NEW_NET = 0x10000000, 0x20000, 0x40000000

CALLS = {
    "ptrace": (0, 0, 0, 0),
    "process_vm_readv": (-1, NULL, 0, NULL, 0, 0),
    "process_vm_writev": (-1, NULL, 0, NULL, 0, 0),
    "kcmp": (1, 1, 99, 0, 0),
    "pidfd_getfd": (-1, 0, 0),
    "mount": (NULL, b"/nowhere", b"tmpfs", 0, NULL),
    "umount2": (b"/nowhere", 0),
    "pivot_root": (b"/nowhere", b"/nowhere"),
    "chroot": (b"/",),
    "setns": (-1, 0),
    "open_tree": (-1, b"nowhere", 1),
    "move_mount": (-1, b"nowhere", -1, b"nowhere", 0),
    "fsopen": (b"nothing", 0),
    "fsmount": (-1, 0, 0),
    "mount_setattr": (-1, b"nowhere", 0, NULL, 0),
    "open_by_handle_at": (-1, NULL, 0),
    "name_to_handle_at": (-1, b"nowhere", NULL, NULL, 0),
    "bpf": (0, NULL, 0),
    "perf_event_open": (NULL, 0, -1, -1, 0),
    "userfaultfd": (0,),
    "keyctl": (0, -3, 0),
    "add_key": (b"user", b"octoplex", b"x", 1, -1),
    "request_key": (b"user", b"octoplex-none", NULL, 0),
    "kexec_load": (0, 99, NULL, 99),
    "kexec_file_load": (-1, -1, 0, NULL, 0),
    "init_module": (NULL, 0, b""),
    "finit_module": (-1, b"", 0),
    "delete_module": (b"octoplex-none", 0),
    "io_uring_setup": (1, NULL),
    "io_uring_enter": (-1, 0, 0, 0, NULL, 0),
    "modify_ldt": (0, NULL, 0),
    "memfd_secret": (0,),
    "reboot": (0, 0, 0, NULL),
    "swapon": (b"/nowhere", 0),
    "swapoff": (b"/nowhere",),
    "acct": (b"/nowhere",),
    "quotactl": (0, NULL, 0, NULL),
    "iopl": (0,),
    "ioperm": (0, 1, 0),
    "syslog": (10, NULL, 0),
    "settimeofday": (NULL, NULL),
    "clock_settime": (99, NULL),
    "sethostname": (NULL, -1),
    "setdomainname": (NULL, -1),
    "fanotify_init": (0xFFFF, 0),
    "lookup_dcookie": (0, NULL, 0),
    "migrate_pages": (0, 0, NULL, NULL),
    "openat2": (-100, b"/", NULL, 0),
}
"""With arguments that the kernel refuses for what they are, once it looks at them."""


def system_call(name: str, facts: Facts) -> None:
    reached(facts, name, *CALLS[name])


def trace_itself(facts: Facts) -> None:
    must(reached(facts, "ptrace", 0, 0, 0, 0) == 0)


def mount_something(facts: Facts) -> None:
    os.makedirs("mounted", exist_ok=True)
    must(reached(facts, "mount", b"tmpfs", b"mounted", b"tmpfs", 0, NULL) == 0)


def enter_new_user_namespace(facts: Facts) -> None:
    must(reached(facts, "unshare", _NEW_USERS) == 0)


def enter_new_mount_namespace(facts: Facts) -> None:
    must(reached(facts, "unshare", _NEW_MOUNTS) == 0)


def _cloned(facts: Facts, result: int) -> None:
    if result == 0:
        os._exit(0)
    must(result > 0)
    os.waitpid(result, 0)


def clone_new_user_namespace(facts: Facts) -> None:
    _cloned(facts, reached(facts, "clone", _NEW_USERS | 17, 0, 0, 0, 0))


def clone_new_network(facts: Facts) -> None:
    _cloned(facts, reached(facts, "clone", _NEW_USERS | _NEW_NET | 17, 0, 0, 0, 0))


def clone3_new_user_namespace(facts: Facts) -> None:
    wanted = struct.pack("<8Q", _NEW_USERS, 0, 0, 0, 17, 0, 0, 0)
    _cloned(facts, reached(facts, "clone3", wanted, len(wanted)))


def enter_namespace_of_first(facts: Facts) -> None:
    fd = os.open("/proc/1/ns/mnt", os.O_RDONLY)
    must(reached(facts, "setns", fd, 0) == 0)


def open_host_file_by_handle(facts: Facts) -> None:
    """Shocker: root's directory is inode 2 of most disks."""
    handle = struct.pack("<IiQ", 8, 1, 2)
    fd = os.open(".", os.O_RDONLY)
    must(reached(facts, "open_by_handle_at", fd, handle, os.O_RDONLY | os.O_DIRECTORY) > 0)


def turn_randomness_off(facts: Facts) -> None:
    must(reached(facts, "personality", 0x0040000) >= 0)  # ADDR_NO_RANDOMIZE


def make_data_executable(facts: Facts) -> None:
    must(reached(facts, "personality", 0x0400000) >= 0)  # READ_IMPLIES_EXEC


def paste_into_console(facts: Facts) -> None:
    _, terminal = os.openpty()
    try:
        fcntl.ioctl(terminal, 0x541C, b"\x06")  # TIOCLINUX
    except OSError as error:
        if error.errno == 1:
            raise


def read_port(facts: Facts) -> None:
    with open("/dev/port", "rb") as file:
        file.seek(0x70)
        must(file.read(1))


def make_control_group(facts: Facts) -> None:
    place = Path(facts["groups"], "octoplex-attempt")
    place.mkdir()
    place.rmdir()


def connect_to_host(facts: Facts) -> None:
    socket.create_connection(("127.0.0.1", facts["port"]), 2).close()


def connect_to_host_by_ipv6(facts: Facts) -> None:
    socket.create_connection(("::1", facts["port6"]), 2).close()


def connect_to_address_of_host(facts: Facts) -> None:
    socket.create_connection((facts["address"], facts["port_all"]), 2).close()


def send_datagram_to_host(facts: Facts) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(0.5)
        asking.sendto(b"ping", ("127.0.0.1", facts["port_udp"]))
        must(asking.recv(16) == b"pong")


def resolve_name(facts: Facts) -> None:
    """As a resolver does it: a datagram to port 53 of the address that is configured."""
    lines = Path("/etc/resolv.conf").read_text().splitlines()
    servers = [line.split()[1] for line in lines if line.startswith("nameserver ")]
    must(servers)


def connect_by_path(facts: Facts) -> None:
    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect(facts["unix"])


def connect_by_abstract_name(facts: Facts) -> None:
    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect("\0" + facts["abstract"])


def open_family(number: int, facts: Facts) -> None:
    kind = socket.SOCK_SEQPACKET if number == 38 else socket.SOCK_RAW
    kind = socket.SOCK_STREAM if number == 40 else kind
    socket.socket(number, kind).close()


def listen_where_the_host_hears(facts: Facts) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", facts["port_free"]))
        listening.listen()
        must(facts["interfaces"] == len(socket.if_nameindex()))


def open_raw_socket(facts: Facts) -> None:
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()


def open_multipath_socket(facts: Facts) -> None:
    socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262).close()


def change_interfaces(facts: Facts) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        request = struct.pack("16sh14x", b"lo", 0x49)  # SIOCSIFFLAGS: up, running, loopback
        fcntl.ioctl(asking, 0x8914, request)


FAMILIES = {"netlink": 16, "packet": 17, "vsock": 40, "alg": 38}
