"""The limits that the reaper checks while a job runs, because the kernel does not enforce them for all its processes together."""

import os

from msgspec import Struct

from executor.sandbox.zygote import processes


class JobLimits(Struct, frozen=True):
    """timeout: in seconds. memory: bytes of all the job's processes. disk: bytes that the job may take in `folders`.

    processes: how many the job may have, where the kernel can't count them separately. files: how many it may create in
    `folders`.
    """

    timeout: float
    memory: int
    folders: tuple[str, ...] = ()
    disk: int = 0
    processes: int = 0
    files: int = 0


class LimitChecker:
    """Checks the limits of one job against what its folders had free at the start."""

    def __init__(self, limits: JobLimits, reaper_pid: int) -> None:
        """reaper_pid: of this process, as /proc shows it."""
        self._limits = limits
        self._reaper_pid = reaper_pid
        self._free_at_start = [_measure_free(folder) for folder in limits.folders]

    def find_exceeded(self) -> str:
        """Returns the limit that the job's processes exceed; empty if they exceed none."""
        pids = processes.list_descendants(self._reaper_pid)
        if sum(map(processes.read_resident_bytes, pids)) > self._limits.memory:
            return "memory"
        return "processes" if self._limits.processes and len(pids) > self._limits.processes else ""

    def find_exceeded_on_disk(self) -> str:
        """Returns the limit that the job exceeds in its folders; empty if it exceeds none."""
        for folder, (free_bytes, free_files) in zip(self._limits.folders, self._free_at_start, strict=True):
            bytes_now, files_now = _measure_free(folder)
            if self._limits.disk and free_bytes - bytes_now > self._limits.disk:
                return "disk"
            if self._limits.files and free_files - files_now > self._limits.files:
                return "files"
        return ""


def _measure_free(folder: str) -> tuple[int, int]:
    """Returns how many bytes and files a folder has room for. A file system that does not count files reports none."""
    try:
        state = os.statvfs(folder)
    except OSError:
        return 0, 0
    return state.f_bavail * state.f_frsize, state.f_favail
