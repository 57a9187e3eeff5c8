"""System calls by name: their numbers on x86_64 and aarch64.

Only those that the filter judges or the launcher makes. The kernel never changes a number; the
tests compare these with its headers. -1 is a call that the machine does not have.
"""

import platform
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from octoplex.wire.error import BadConfig

NEWEST = 462
"""The highest number that was known when the filter was written (mseal, Linux 6.10)."""

_TABLE = """
read 0 63
write 1 64
open 2 -1
close 3 57
ioctl 16 29
shmget 29 194
socket 41 198
bind 49 200
listen 50 201
sendmsg 46 211
socketpair 53 199
clone 56 220
setsid 112 157
setpgid 109 154
chdir 80 49
creat 85 -1
chmod 90 -1
fchmod 91 52
ptrace 101 117
syslog 103 116
mknod 133 -1
uselib 134 -1
personality 135 92
ustat 136 -1
sysfs 139 -1
vhangup 153 58
modify_ldt 154 -1
pivot_root 155 41
prctl 157 167
adjtimex 159 171
chroot 161 51
acct 163 89
settimeofday 164 170
mount 165 40
umount2 166 39
swapon 167 224
swapoff 168 225
reboot 169 142
sethostname 170 161
setdomainname 171 162
iopl 172 -1
ioperm 173 -1
init_module 175 105
delete_module 176 106
quotactl 179 60
lookup_dcookie 212 18
clock_settime 227 112
exit_group 231 94
kexec_load 246 104
add_key 248 217
request_key 249 218
keyctl 250 219
migrate_pages 256 238
openat 257 56
mknodat 259 33
fchmodat 268 53
unshare 272 97
move_pages 279 239
execve 59 221
perf_event_open 298 241
fanotify_init 300 262
prlimit64 302 261
setgroups 116 159
setresgid 119 149
setresuid 117 147
name_to_handle_at 303 264
open_by_handle_at 304 265
clock_adjtime 305 266
setns 308 268
process_vm_readv 310 270
process_vm_writev 311 271
kcmp 312 272
finit_module 313 273
seccomp 317 277
memfd_create 319 279
kexec_file_load 320 294
bpf 321 280
userfaultfd 323 282
io_uring_setup 425 425
io_uring_enter 426 426
io_uring_register 427 427
open_tree 428 428
move_mount 429 429
fsopen 430 430
fsconfig 431 431
fsmount 432 432
fspick 433 433
clone3 435 435
close_range 436 436
openat2 437 437
pidfd_getfd 438 438
process_madvise 440 440
mount_setattr 442 442
quotactl_fd 443 443
landlock_create_ruleset 444 444
landlock_add_rule 445 445
landlock_restrict_self 446 446
memfd_secret 447 447
process_mrelease 448 448
fchmodat2 452 452
statmount 457 457
listmount 458 458
"""

_COLUMNS = MappingProxyType({"x86_64": 1, "aarch64": 2})


@cache
def numbers(machine: str) -> Mapping[str, int]:
    """The calls that this machine has.

    Raises:
        BadConfig: it is neither x86_64 nor aarch64.
    """
    if machine not in _COLUMNS:
        raise BadConfig(f"There is no sandbox for machines of the kind {machine}.")
    rows = (line.split() for line in _TABLE.split("\n") if line)
    found = {row[0]: int(row[_COLUMNS[machine]]) for row in rows}
    return MappingProxyType({name: number for name, number in found.items() if number >= 0})


def machine() -> str:
    """What this machine is: "x86_64", "aarch64", or another that has no sandbox."""
    return platform.machine()
