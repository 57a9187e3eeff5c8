"""Attempts on files, the environment, /proc and other processes."""

import ctypes
import fcntl
import os
import resource
import signal
import socket
import stat
from pathlib import Path

from trying import Facts, must

_HOME_FILES = """
.ssh/id_rsa .aws/credentials .netrc .git-credentials .kube/config .docker/config.json
.config/gh/hosts.yml .bash_history
"""
HOME_FILES = _HOME_FILES.split()


def read_home_file(name: str, facts: Facts) -> None:
    must("secret" in Path(facts["home"], name).read_text())


def read_shadow(facts: Facts) -> None:
    must("root" in Path("/etc/shadow").read_text())


def read_accounts(facts: Facts) -> None:
    must("root:" in Path("/etc/passwd").read_text())


def read_private_file(facts: Facts) -> None:
    must("secret" in Path(facts["secret"]).read_text())


def read_by_dots(facts: Facts) -> None:
    must("secret" in Path("../" * 12 + facts["secret"].lstrip("/")).read_text())


def read_by_own_root(facts: Facts) -> None:
    must("secret" in Path("/proc/self/root" + facts["secret"]).read_text())


def read_by_first_root(facts: Facts) -> None:
    must("secret" in Path("/proc/1/root" + facts["secret"]).read_text())


def read_by_link(facts: Facts) -> None:
    os.symlink(facts["secret"], "link-to-secret")
    must("secret" in Path("link-to-secret").read_text())


def read_by_cwd_of_others(facts: Facts) -> None:
    must(os.listdir(f"/proc/{facts['pid']}/cwd") is not None)


def read_tmp_of_host(facts: Facts) -> None:
    must("secret" in Path(facts["tmp"]).read_text())


def read_shm_of_host(facts: Facts) -> None:
    must("secret" in Path(facts["shm"]).read_text())


def write_outside(facts: Facts) -> None:
    Path(facts["outside"], "written").write_text("x")


def write_by_link(facts: Facts) -> None:
    os.symlink(facts["outside"], "link-out")
    Path("link-out/by-link").write_text("x")


def remove_outside(facts: Facts) -> None:
    os.unlink(Path(facts["outside"], "victim"))


def link_secret(facts: Facts) -> None:
    os.link(facts["secret"], "hard-link")


def write_programs(facts: Facts) -> None:
    path = Path("/usr/local/bin/octoplex-attempt")
    path.write_text("x")
    path.unlink()


def write_etc(facts: Facts) -> None:
    path = Path("/etc/octoplex-attempt")
    path.write_text("x")
    path.unlink()


def write_root(facts: Facts) -> None:
    path = Path("/octoplex-attempt")
    path.write_text("x")
    path.unlink()


def write_hook(facts: Facts) -> None:
    Path(".git/hooks/pre-commit").write_text("#!/bin/sh\n")


def write_git_config(facts: Facts) -> None:
    with open(".git/config", "a") as file:
        file.write("[core]\n")


def replace_git_config(facts: Facts) -> None:
    Path("config").write_text("x")
    os.rename("config", ".git/config")


def rename_git(facts: Facts) -> None:
    os.rename(".git", ".git-away")
    os.rename(".git-away", ".git")


def write_editor_tasks(facts: Facts) -> None:
    Path(".vscode/tasks.json").write_text("{}")


def write_shell_start(facts: Facts) -> None:
    Path(".bashrc").write_text("id\n")


def set_user_id_bit(facts: Facts) -> None:
    path = Path("set-user-id")
    path.write_text("x")
    path.chmod(0o4755)
    must(path.stat().st_mode & stat.S_ISUID)


def set_group_id_bit(facts: Facts) -> None:
    os.mkdir("set-group-id")
    os.chmod("set-group-id", 0o2777)
    must(os.stat("set-group-id").st_mode & stat.S_ISGID)


def open_with_user_id_bit(facts: Facts) -> None:
    os.umask(0)
    fd = os.open("made-set-user-id", os.O_CREAT | os.O_WRONLY, 0o4755)
    must(os.fstat(fd).st_mode & stat.S_ISUID)


def make_device(facts: Facts) -> None:
    os.mknod("device", stat.S_IFCHR | 0o666, os.makedev(1, 3))


def make_disk(facts: Facts) -> None:
    os.mknod("disk", stat.S_IFBLK | 0o666, os.makedev(7, 0))


def open_disk(facts: Facts) -> None:
    disks = [p for p in Path("/dev").iterdir() if p.is_block_device()]
    must(disks)
    with open(disks[0], "rb") as disk:
        must(disk.read(1))


def open_kernel_log(facts: Facts) -> None:
    os.close(os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK))


def give_away(facts: Facts) -> None:
    Path("given").write_text("x")
    os.chown("given", 12345, 12345)


def set_capabilities_of_file(facts: Facts) -> None:
    Path("capable").write_text("x")
    value = bytes.fromhex("0100000200200000000000000000000000000000")
    os.setxattr("capable", "security.capability", value)


def set_trusted_attribute(facts: Facts) -> None:
    Path("trusted").write_text("x")
    os.setxattr("trusted", "trusted.octoplex", b"x")


def make_immutable(facts: Facts) -> None:
    Path("immutable").write_text("x")
    with open("immutable") as file:
        for flags in (0x10, 0):  # FS_IMMUTABLE_FL, and back
            fcntl.ioctl(file, 0x40086602, flags.to_bytes(8, "little"))


def see_variable(facts: Facts) -> None:
    must("secret" in os.environ["OCTOPLEX_ATTEMPT"])


def see_own_environment(facts: Facts) -> None:
    must(b"OCTOPLEX_ATTEMPT" in Path("/proc/self/environ").read_bytes())


def see_first_environment(facts: Facts) -> None:
    Path("/proc/1/environ").read_bytes()


def see_any_environment(facts: Facts) -> None:
    for place in Path("/proc").glob("[0-9]*"):
        if place.name != str(os.getpid()):
            try:
                if b"OCTOPLEX_ATTEMPT=secret" in (place / "environ").read_bytes():
                    return
            except OSError:
                continue
    must(False)


def see_command_lines(facts: Facts) -> None:
    lines = [p.read_bytes() for p in Path("/proc").glob("[0-9]*/cmdline")]
    must(any(facts["marker"].encode() in line for line in lines))


def see_memory_of_host(facts: Facts) -> None:
    os.close(os.open(f"/proc/{facts['pid']}/mem", os.O_RDONLY))


def see_sockets_of_host(facts: Facts) -> None:
    must(f":{facts['port']:04X} " in Path("/proc/net/tcp").read_text())


def see_host_name(facts: Facts) -> None:
    must(socket.gethostname() == facts["hostname"])


def see_devices(facts: Facts) -> None:
    must(os.listdir("/sys/class"))


def see_control_groups(facts: Facts) -> None:
    must(os.listdir("/sys/fs/cgroup"))


def use_inherited_descriptor(facts: Facts) -> None:
    must(os.pread(facts["fd"], 6, 0) == b"secret")


def _write_back(path: str) -> None:
    with open(path, "r+") as file:
        value = file.read()
        file.seek(0)
        file.write(value)


def write_sysctl(facts: Facts) -> None:
    _write_back("/proc/sys/kernel/domainname")


def write_core_pattern(facts: Facts) -> None:
    _write_back("/proc/sys/kernel/core_pattern")


def open_sysrq(facts: Facts) -> None:
    os.close(os.open("/proc/sysrq-trigger", os.O_WRONLY))


def read_kernel_memory(facts: Facts) -> None:
    with open("/proc/kcore", "rb") as file:
        must(file.read(4) == b"\x7fELF")


def read_kernel_symbols(facts: Facts) -> None:
    must(Path("/proc/kallsyms").read_text())


def read_keys(facts: Facts) -> None:
    must(Path("/proc/key-users").read_text())


def spare_from_memory_killer(facts: Facts) -> None:
    Path("/proc/self/oom_score_adj").write_text("-500")


def signal_host(facts: Facts) -> None:
    os.kill(facts["pid"], 0)


def signal_host_by_descriptor(facts: Facts) -> None:
    signal.pidfd_send_signal(os.pidfd_open(facts["pid"]), 0)


def limit_host(facts: Facts) -> None:
    resource.prlimit(facts["pid"], resource.RLIMIT_NOFILE)


def become_root(facts: Facts) -> None:
    os.setresuid(0, 0, 0)


def become_another(facts: Facts) -> None:
    os.setresuid(12345, 12345, 12345)


def join_groups(facts: Facts) -> None:
    os.setgroups([0, 4, 24])


def raise_priority(facts: Facts) -> None:
    os.nice(-5)


def run_in_real_time(facts: Facts) -> None:
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))


def raise_limits(facts: Facts) -> None:
    for kind in (resource.RLIMIT_NPROC, resource.RLIMIT_FSIZE, resource.RLIMIT_CORE):
        resource.setrlimit(kind, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def type_into_terminal(facts: Facts) -> None:
    _, terminal = os.openpty()
    fcntl.ioctl(terminal, 0x5412, b"x")  # TIOCSTI


def lock_much_memory(facts: Facts) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    library.mmap.restype = ctypes.c_void_p
    size = 1 << 20
    place = library.mmap(None, ctypes.c_size_t(size), 3, 0x22, -1, ctypes.c_long(0))
    must(library.mlock(ctypes.c_void_p(place), ctypes.c_size_t(size)) == 0)


def start_many_processes(facts: Facts) -> None:
    children = []
    try:
        for _ in range(facts["many"]):
            pid = os.fork()
            if pid == 0:
                signal.pause()
            children.append(pid)
    finally:
        for pid in children:
            os.kill(pid, 9)
            os.waitpid(pid, 0)


def take_much_memory(facts: Facts) -> None:
    bytearray(b"x") * facts["much"]


def fill_tmp(facts: Facts) -> None:
    path = Path("/tmp/octoplex-attempt-fill")
    try:
        with open(path, "wb") as file:
            for _ in range(facts["much"] >> 20):
                file.write(bytes(1 << 20))
    finally:
        path.unlink()


def make_many_files(facts: Facts) -> None:
    made = []
    try:
        for number in range(facts["files"]):
            path = f"/tmp/octoplex-attempt-{number}"
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
            made.append(path)
    finally:
        for path in made:
            os.unlink(path)


def make_huge_file(facts: Facts) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with open("huge", "wb") as file:
        file.truncate(4 << 30)
    os.unlink("huge")


def open_many_files(facts: Facts) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    for _ in range(4200):
        os.open("/dev/null", os.O_RDONLY)
