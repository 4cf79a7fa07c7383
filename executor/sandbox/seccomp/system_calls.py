"""The system calls that the filters deny or check, by name and machine. -1: the machine has no such call.

Invariants: each is denied, except those with checked arguments (`ARGUMENT_CHECKED_CALLS`). `allowed_calls` lists the others.
(https://github.com/torvalds/linux/tree/master/arch/x86/entry/syscalls and include/uapi/asm-generic/unistd.h)
"""

# name -> numbers on x86-64 and on arm64
CALLS: dict[str, tuple[int, int]] = {
    "socket": (41, 198),
    "socketpair": (53, 199),
    "bind": (49, 200),
    "connect": (42, 203),
    "sendto": (44, 206),
    "sendmsg": (46, 211),
    "sendmmsg": (307, 269),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "execveat": (322, 281),
    "personality": (135, 92),
    "unshare": (272, 97),
    "setns": (308, 268),
    "ptrace": (101, 117),
    "kcmp": (312, 272),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "userfaultfd": (323, 282),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "kexec_load": (246, 104),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "quotactl": (179, 60),
    "acct": (163, 89),
    "settimeofday": (164, 170),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "shmget": (29, 194),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "msgget": (68, 186),
    "msgsnd": (69, 189),
    "msgrcv": (70, 188),
    "msgctl": (71, 187),
    "semget": (64, 190),
    "semop": (65, 193),
    "semctl": (66, 191),
    "semtimedop": (220, 192),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    "syslog": (103, 116),
    "fanotify_init": (300, 262),
    "inotify_init": (253, 26),
    "inotify_init1": (294, 26),
    "clone3": (435, 435),
    "clone": (56, 220),
    "mmap": (9, 222),
    "mprotect": (10, 226),
    "pkey_mprotect": (329, 288),
    "kill": (62, 129),
    "tkill": (200, 130),
    "tgkill": (234, 131),
    "rt_sigqueueinfo": (129, 138),
    "pidfd_send_signal": (424, 424),
    "prlimit64": (302, 261),
    "setpriority": (141, 140),
    "ioprio_set": (251, 30),
    "sched_setaffinity": (203, 122),
    "sched_setscheduler": (144, 119),
    "sched_setparam": (142, 118),
    "sched_setattr": (314, 274),
    "rt_tgsigqueueinfo": (297, 240),
    "open": (2, -1),
    "openat": (257, 56),
    "openat2": (437, 437),
    "creat": (85, -1),
    "mkdir": (83, -1),
    "mkdirat": (258, 34),
    "mknod": (133, -1),
    "mknodat": (259, 33),
    "chmod": (90, -1),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "fcntl": (72, 25),
    "ioctl": (16, 29),
    "flock": (73, 32),
    "fallocate": (285, 47),
}
# Calls that start a program or a process: fork, vfork, execve.
PROCESS_START_CALLS = ((57, -1), (58, -1), (59, 221))
# Calls of a server on its socket: listen, accept, accept4.
LISTEN_CALLS = ((50, 201), (43, 202), (288, 242))
# The CLI uses a pidfd for its own programs only, and watches its own files.
CLI_CALLS = ("pidfd_open", "inotify_init", "inotify_init1")
# inotify_add_watch, inotify_rm_watch.
INOTIFY_WATCH_CALLS = ((254, 27), (255, 28))
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
