"""The system calls that the filters know, by name: those that may have any arguments, and those that are denied or checked.

Invariants: a call that is in neither table does not exist for a command. A call of the second table is denied, unless its
arguments are checked (`ARGUMENT_CHECKED_CALLS`).
(https://man7.org/linux/man-pages/man2/syscalls.2.html, https://github.com/torvalds/linux/tree/master/arch/x86/entry/syscalls
and include/uapi/asm-generic/unistd.h)
"""

import platform

# The name, then the numbers on x86-64 and on arm64. -1: the machine has no such call.
_ANY_ARGUMENTS = """
# Input and output, by descriptors.
read 0 63, write 1 64, readv 19 65, writev 20 66, pread64 17 67, pwrite64 18 68, preadv 295 69, pwritev 296 70,
preadv2 327 286, pwritev2 328 287, lseek 8 62, sendfile 40 71, splice 275 76, tee 276 77, vmsplice 278 75,
copy_file_range 326 285, close 3 57, close_range 436 436, dup 32 23, dup2 33 -1, dup3 292 24, pipe 22 -1,
pipe2 293 59, poll 7 -1, ppoll 271 73, select 23 -1, pselect6 270 72, epoll_create 213 -1, epoll_create1 291 20,
epoll_ctl 233 21, epoll_wait 232 -1, epoll_pwait 281 22, epoll_pwait2 441 441, eventfd 284 -1, eventfd2 290 19,
signalfd 282 -1, signalfd4 289 74, timerfd_create 283 85, timerfd_settime 286 86, timerfd_gettime 287 87,
fsync 74 82, fdatasync 75 83, syncfs 306 267, sync_file_range 277 84, readahead 187 213, fadvise64 221 223,
cachestat 451 451, ftruncate 77 46, fstat 5 80, fstatfs 138 44, getdents 78 -1, getdents64 217 61, fchdir 81 50,
fchown 93 55, flistxattr 196 13, fgetxattr 193 10, fsetxattr 190 7, fremovexattr 199 16
# Files, by paths: Landlock controls them.
access 21 -1, faccessat 269 48, faccessat2 439 439, stat 4 -1, lstat 6 -1, newfstatat 262 79, statx 332 291,
statfs 137 43, readlink 89 -1, readlinkat 267 78, openat2 437 437, truncate 76 45, link 86 -1, linkat 265 37,
symlink 88 -1, symlinkat 266 36, rename 82 -1, renameat 264 38, renameat2 316 276, unlink 87 -1, unlinkat 263 35,
rmdir 84 -1, chdir 80 49, getcwd 79 17, umask 95 166, chown 92 -1, lchown 94 -1, fchownat 260 54, utime 132 -1,
utimes 235 -1, futimesat 261 -1, utimensat 280 88, listxattr 194 11, llistxattr 195 12, getxattr 191 8,
lgetxattr 192 9, setxattr 188 5, lsetxattr 189 6, removexattr 197 14, lremovexattr 198 15
# Memory.
brk 12 214, munmap 11 215, mremap 25 216, madvise 28 233, mincore 27 232, msync 26 227, mlock 149 228,
mlock2 325 284, munlock 150 229, mlockall 151 230, munlockall 152 231, membarrier 324 283, pkey_alloc 330 289,
pkey_free 331 290, mseal 462 462, map_shadow_stack 453 453
# Processes and threads.
fork 57 -1, vfork 58 -1, execve 59 221, exit 60 93, exit_group 231 94, wait4 61 260, waitid 247 95, futex 202 98,
futex_waitv 449 449, futex_wake 454 454, futex_wait 455 455, futex_requeue 456 456, set_robust_list 273 99,
get_robust_list 274 100, set_tid_address 218 96, rseq 334 293, arch_prctl 158 -1, prctl 157 167, getpid 39 172,
getppid 110 173, gettid 186 178, getpgid 121 155, getpgrp 111 -1, setpgid 109 154, getsid 124 156,
setsid 112 157, getuid 102 174, geteuid 107 175, getgid 104 176, getegid 108 177, getresuid 118 148,
getresgid 120 150, getgroups 115 158, setuid 105 146, setgid 106 144, setreuid 113 145, setregid 114 143,
setresuid 117 147, setresgid 119 149, setfsuid 122 151, setfsgid 123 152, setgroups 116 159, capget 125 90,
capset 126 91, getrlimit 97 163, setrlimit 160 164, getrusage 98 165, times 100 153, getpriority 140 141,
ioprio_get 252 31, sched_yield 24 124, sched_getaffinity 204 123, sched_getparam 143 121,
sched_getscheduler 145 120, sched_getattr 315 275, sched_get_priority_max 146 125,
sched_get_priority_min 147 126, sched_rr_get_interval 148 127, getcpu 309 168, seccomp 317 277,
landlock_create_ruleset 444 444, landlock_add_rule 445 445, landlock_restrict_self 446 446
# Handling of signals, and time.
rt_sigaction 13 134, rt_sigprocmask 14 135, rt_sigreturn 15 139, rt_sigpending 127 136, rt_sigsuspend 130 133,
rt_sigtimedwait 128 137, sigaltstack 131 132, restart_syscall 219 128, pause 34 -1, alarm 37 -1, nanosleep 35 101,
clock_nanosleep 230 115, clock_gettime 228 113, clock_getres 229 114, gettimeofday 96 169, time 201 -1,
getitimer 36 102, setitimer 38 103, timer_create 222 107, timer_settime 223 110, timer_gettime 224 108,
timer_getoverrun 225 109, timer_delete 226 111
# The machine, and random numbers.
uname 63 160, sysinfo 99 179, getrandom 318 278
# Sockets: none can be made, but some programs check whether they inherited one.
getsockopt 55 209, setsockopt 54 208, getsockname 51 204, getpeername 52 205, recvfrom 45 207, recvmsg 47 212,
recvmmsg 299 243, shutdown 48 210, sendto 44 206, sendmsg 46 211, sendmmsg 307 269
"""
_DENIED_OR_CHECKED = """
socket 41 198, socketpair 53 199, bind 49 200, connect 42 203, sendto 44 206, sendmsg 46 211, sendmmsg 307 269,
memfd_create 319 279, memfd_secret 447 447, execveat 322 281, personality 135 92, unshare 272 97, setns 308 268,
ptrace 101 117, kcmp 312 272, process_vm_readv 310 270, process_vm_writev 311 271, pidfd_open 434 434,
pidfd_getfd 438 438, keyctl 250 219, add_key 248 217, request_key 249 218, userfaultfd 323 282, bpf 321 280,
perf_event_open 298 241, mount 165 40, umount2 166 39, pivot_root 155 41, chroot 161 51, open_tree 428 428,
move_mount 429 429, fsopen 430 430, fsconfig 431 431, fsmount 432 432, fspick 433 433, mount_setattr 442 442,
io_uring_setup 425 425, io_uring_enter 426 426, io_uring_register 427 427, kexec_load 246 104,
init_module 175 105, finit_module 313 273, delete_module 176 106, reboot 169 142, swapon 167 224,
swapoff 168 225, quotactl 179 60, acct 163 89, settimeofday 164 170, name_to_handle_at 303 264,
open_by_handle_at 304 265, shmget 29 194, shmat 30 196, shmctl 31 195, msgget 68 186, msgsnd 69 189,
msgrcv 70 188, msgctl 71 187, semget 64 190, semop 65 193, semctl 66 191, semtimedop 220 192, mq_open 240 180,
mq_unlink 241 181, syslog 103 116, fanotify_init 300 262, inotify_init 253 26, inotify_init1 294 26,
clone3 435 435, clone 56 220, mmap 9 222, mprotect 10 226, pkey_mprotect 329 288, kill 62 129, tkill 200 130,
tgkill 234 131, rt_sigqueueinfo 129 138, pidfd_send_signal 424 424, prlimit64 302 261, setpriority 141 140,
ioprio_set 251 30, sched_setaffinity 203 122, sched_setscheduler 144 119, sched_setparam 142 118,
sched_setattr 314 274, rt_tgsigqueueinfo 297 240, open 2 -1, openat 257 56, openat2 437 437, creat 85 -1,
mkdir 83 -1, mkdirat 258 34, mknod 133 -1, mknodat 259 33, chmod 90 -1, fchmod 91 52, fchmodat 268 53,
fchmodat2 452 452, fcntl 72 25, ioctl 16 29, flock 73 32, fallocate 285 47
"""
_COLUMNS = {"x86_64": 1, "aarch64": 2}


def _parse_table(table: str) -> dict[str, int]:
    """Returns the numbers of the calls on this machine, by name; none on a machine that is not in the tables."""
    column = _COLUMNS.get(platform.machine())
    lines = (line for line in table.splitlines() if not line.startswith("#"))
    rows = (row.split() for line in lines for row in line.split(",") if row.strip())
    return {row[0]: int(row[column]) for row in rows if column}


ALLOWED_CALLS = _parse_table(_ANY_ARGUMENTS)
CALLS = _parse_table(_DENIED_OR_CHECKED)
PROCESS_START_CALLS = ("fork", "vfork", "execve")
# Calls of a server on its socket.
LISTEN_CALLS = _parse_table("listen 50 201, accept 43 202, accept4 288 242")
# The CLI uses a pidfd for its own programs only, and watches its own files.
CLI_CALLS = ("pidfd_open", "inotify_init", "inotify_init1")
INOTIFY_WATCH_CALLS = _parse_table("inotify_add_watch 254 27, inotify_rm_watch 255 28")
NETWORK_CALLS = ("socket", "socketpair", "bind", "connect")
# The index of the argument that holds the flags.
SEND_FLAG_ARGUMENTS = {"sendto": 3, "sendmsg": 2, "sendmmsg": 3}
SIGNAL_CALLS = ("kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_send_signal")
MEMORY_CALLS = ("mmap", "mprotect", "pkey_mprotect")
# Calls that limit or slow a process: the index of the argument that names the process (0 means the caller), and the value
# of the first argument that means all processes of a user.
OTHER_PROCESS_CALLS: dict[str, tuple[int, int | None]] = {
    "prlimit64": (0, None),
    "setpriority": (1, 2),
    "ioprio_set": (1, 3),
    "sched_setaffinity": (0, None),
    "sched_setscheduler": (0, None),
    "sched_setparam": (0, None),
    "sched_setattr": (0, None),
}
# The index of the argument with the mode of a file, and of the flags that decide whether there is one.
MODE_ARGUMENTS: dict[str, tuple[int, int | None]] = {
    "open": (2, 1),
    "openat": (3, 2),
    "creat": (1, None),
    "mkdir": (1, None),
    "mkdirat": (2, None),
    "mknod": (1, None),
    "mknodat": (2, None),
    "chmod": (1, None),
    "fchmod": (1, None),
    "fchmodat": (2, None),
    "fchmodat2": (2, None),
}
DESCRIPTOR_CALLS = ("fcntl", "ioctl", "flock", "fallocate", "openat2")
ARGUMENT_CHECKED_CALLS = (
    *NETWORK_CALLS,
    *SEND_FLAG_ARGUMENTS,
    *SIGNAL_CALLS,
    *MEMORY_CALLS,
    *OTHER_PROCESS_CALLS,
    *MODE_ARGUMENTS,
    *DESCRIPTOR_CALLS,
    "clone",
    "clone3",
)

# fcntl(2). They set the process and the signal for events of a descriptor, and request leases and notices of changes.
DENIED_FCNTL_COMMANDS = (8, 10, 15, 1024, 1026)
F_SETFL, O_ASYNC = 4, 0x2000
# Copies of descriptors, flags, queries of settings, sizes of pipes, hints. No locks, which would block a file's writers.
ALLOWED_FCNTL_COMMANDS = (0, 1, 2, 3, 4, 5, 9, 11, 16, 36, 1025, 1027, 1030, 1031, 1032, 1034, 1035, 1036, 1037, 1038)
# ioctl(2). FIOSETOWN, SIOCSPGRP, FIOASYNC, TIOCSTI, TIOCLINUX, FS_IOC_SETFLAGS, FS_IOC_FSSETXATTR.
DENIED_IOCTLS = (0x8901, 0x8902, 0x5452, 0x5412, 0x541C, 0x40086602, 0x401C5820)
# Properties of terminals; bytes to read, blocking, close-on-exec; attributes, extents and copies of files.
ALLOWED_IOCTLS = (
    *(0x5401, 0x5402, 0x5403, 0x5404, 0x802C542A, 0x540F, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451, 0x5460),
    *(0x80086601, 0x801C581F, 0xC020660B, 0x40049409, 0x4020940D),
)
