"""How many CLI processes may be held, and how much memory they may use on this host."""

import os
from pathlib import Path

from msgspec import Struct

# What a CLI process uses that it does not share with its siblings, after some turns.
PROCESS_BYTES = 120 * 1024 * 1024
# Of the memory that is available at the start.
MEMORY_SHARE = 0.25
# For each conversation that may run at the same time.
PROCESSES_PER_SLOT = 4
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

MEMINFO = Path("/proc/meminfo")
OWN_CGROUP = Path("/proc/self/cgroup")
CGROUP_ROOT = Path("/sys/fs/cgroup")


class HeldLimits(Struct, frozen=True):
    """max_processes: 0 for none. ttl: seconds. max_bytes: of all held processes together."""

    max_processes: int
    ttl: float
    max_bytes: int


NOTHING_HELD = HeldLimits(0, 0, 0)


def build_limits(max_processes: int | None, ttl: float, max_mb: int | None, slots: int, available: int) -> HeldLimits:
    """Builds the limits; None stands for what fits. slots: running conversations. available: bytes of memory."""
    max_bytes = int(available * MEMORY_SHARE) if max_mb is None else max_mb * 1024 * 1024
    if max_processes is None:
        max_processes = min(slots * PROCESSES_PER_SLOT, max_bytes // PROCESS_BYTES)
    return HeldLimits(max_processes, ttl, max_bytes)


def read_available_memory() -> int:
    """Returns how many bytes this program and its children may still use: of the host, or of the control group."""
    fields = dict(line.split(":", 1) for line in MEMINFO.read_text(encoding="ascii").splitlines())
    available = int(fields["MemAvailable"].split()[0]) * 1024
    for folder in _list_cgroups():
        try:
            limit = (folder / "memory.max").read_text(encoding="ascii").strip()
            used = int((folder / "memory.current").read_text(encoding="ascii"))
        except (OSError, ValueError):
            continue
        if limit != "max":
            available = min(available, max(0, int(limit) - used))
    return available


def read_private_memory(pid: int) -> int:
    """Returns the bytes of a process that it shares with no other; 0 if it has ended."""
    try:
        _size, resident, shared, *_rest = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return 0
    return (int(resident) - int(shared)) * PAGE_BYTES


def _list_cgroups() -> list[Path]:
    """Returns this program's control group and those above it (https://docs.kernel.org/admin-guide/cgroup-v2.html)."""
    try:
        lines = OWN_CGROUP.read_text(encoding="ascii").splitlines()
    except OSError:
        return []
    own = next((line.removeprefix("0::") for line in lines if line.startswith("0::")), None)
    if own is None:
        return []
    folder = CGROUP_ROOT / own.lstrip("/")
    return [folder, *(parent for parent in folder.parents if parent.is_relative_to(CGROUP_ROOT))]
