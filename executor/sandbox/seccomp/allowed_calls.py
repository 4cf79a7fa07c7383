"""The system calls that a command may make with any arguments, by name and machine.

Invariants: a call that is neither listed here nor checked by its arguments does not exist for a command.
(https://man7.org/linux/man-pages/man2/syscalls.2.html)
"""

# The name, then the numbers on x86-64 and on arm64; a dash where the machine has no such call.
_TABLE = """
# Input and output, by descriptors.
read 0 63, write 1 64, readv 19 65, writev 20 66, pread64 17 67, pwrite64 18 68, preadv 295 69, pwritev 296 70,
preadv2 327 286, pwritev2 328 287, lseek 8 62, sendfile 40 71, splice 275 76, tee 276 77, vmsplice 278 75,
copy_file_range 326 285, close 3 57, close_range 436 436, dup 32 23, dup2 33 -, dup3 292 24, pipe 22 -,
pipe2 293 59, poll 7 -, ppoll 271 73, select 23 -, pselect6 270 72, epoll_create 213 -, epoll_create1 291 20,
epoll_ctl 233 21, epoll_wait 232 -, epoll_pwait 281 22, epoll_pwait2 441 441, eventfd 284 -, eventfd2 290 19,
signalfd 282 -, signalfd4 289 74, timerfd_create 283 85, timerfd_settime 286 86, timerfd_gettime 287 87,
fsync 74 82, fdatasync 75 83, syncfs 306 267, sync_file_range 277 84, readahead 187 213, fadvise64 221 223,
cachestat 451 451, ftruncate 77 46, fstat 5 80, fstatfs 138 44, getdents 78 -, getdents64 217 61, fchdir 81 50,
fchown 93 55, flistxattr 196 13, fgetxattr 193 10, fsetxattr 190 7, fremovexattr 199 16
# Files, by paths: Landlock controls them.
access 21 -, faccessat 269 48, faccessat2 439 439, stat 4 -, lstat 6 -, newfstatat 262 79, statx 332 291,
statfs 137 43, readlink 89 -, readlinkat 267 78, openat2 437 437, truncate 76 45, link 86 -, linkat 265 37,
symlink 88 -, symlinkat 266 36, rename 82 -, renameat 264 38, renameat2 316 276, unlink 87 -, unlinkat 263 35,
rmdir 84 -, chdir 80 49, getcwd 79 17, umask 95 166, chown 92 -, lchown 94 -, fchownat 260 54, utime 132 -,
utimes 235 -, futimesat 261 -, utimensat 280 88, listxattr 194 11, llistxattr 195 12, getxattr 191 8,
lgetxattr 192 9, setxattr 188 5, lsetxattr 189 6, removexattr 197 14, lremovexattr 198 15
# Memory.
brk 12 214, munmap 11 215, mremap 25 216, madvise 28 233, mincore 27 232, msync 26 227, mlock 149 228,
mlock2 325 284, munlock 150 229, mlockall 151 230, munlockall 152 231, membarrier 324 283, pkey_alloc 330 289,
pkey_free 331 290, mseal 462 462, map_shadow_stack 453 453
# Processes and threads.
fork 57 -, vfork 58 -, execve 59 221, exit 60 93, exit_group 231 94, wait4 61 260, waitid 247 95, futex 202 98,
futex_waitv 449 449, futex_wake 454 454, futex_wait 455 455, futex_requeue 456 456, set_robust_list 273 99,
get_robust_list 274 100, set_tid_address 218 96, rseq 334 293, arch_prctl 158 -, prctl 157 167, getpid 39 172,
getppid 110 173, gettid 186 178, getpgid 121 155, getpgrp 111 -, setpgid 109 154, getsid 124 156,
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
rt_sigtimedwait 128 137, sigaltstack 131 132, restart_syscall 219 128, pause 34 -, alarm 37 -, nanosleep 35 101,
clock_nanosleep 230 115, clock_gettime 228 113, clock_getres 229 114, gettimeofday 96 169, time 201 -,
getitimer 36 102, setitimer 38 103, timer_create 222 107, timer_settime 223 110, timer_gettime 224 108,
timer_getoverrun 225 109, timer_delete 226 111
# The machine, and random numbers.
uname 63 160, sysinfo 99 179, getrandom 318 278
# Sockets: none can be made, but some programs check whether they inherited one.
getsockopt 55 209, setsockopt 54 208, getsockname 51 204, getpeername 52 205, recvfrom 45 207, recvmsg 47 212,
recvmmsg 299 243, shutdown 48 210, sendto 44 206, sendmsg 46 211, sendmmsg 307 269
"""


def list_numbers(column: int) -> tuple[int, ...]:
    """Returns the numbers of the calls on the machine of this column."""
    rows = [
        row.split()
        for line in _TABLE.splitlines()
        if not line.startswith("#")
        for row in line.split(",")
        if row.strip()
    ]
    return tuple(int(row[1 + column]) for row in rows if row[1 + column] != "-")
