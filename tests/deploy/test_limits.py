"""Limits of units and containers fit each other, and what the settings let each program hold fits into them."""

import re
from typing import Any

import pytest

from api.media.blocks import MAX_IMAGE_BYTES
from api.media.fetcher import MAX_FETCHES
from api.settings import Settings as ApiSettings
from executor.settings import Settings as ExecutorSettings
from tests.deploy.test_compose import SERVICES
from tests.deploy.test_systemd import UNITS

MIB = 1 << 20
UNIT_OF = {
    "claude-api.service": "api",
    "claude-executor@.service": "claude-executor",
    "tools-executor@.service": "tools-executor",
}
SCALES = {"M": MIB, "G": 1 << 30}
# A body as it came, as values, and as what is sent on.
COPIES = 3
# A program of ours at rest, and a CLI at work, with room to spare.
PROGRAM, CLI = 256 * MIB, 512 * MIB
THREADS = 64


def default(settings: Any, name: str) -> int:
    """What a setting is where nobody sets it."""
    return int(settings.model_fields[name].default)


def limit_of(unit: str, name: str) -> int:
    """What a unit allows."""
    [(number, scale)] = re.findall(rf"^{name}=(\d+)([MG]?)$", (UNITS / unit).read_text(encoding="utf-8"), re.MULTILINE)
    return int(number) * SCALES.get(scale, 1)


def needed(unit: str) -> tuple[int, int]:
    """The bytes and the tasks that a program may come to need by its settings' defaults."""
    jobs = default(ExecutorSettings, "max_concurrent")
    if unit == "claude-api.service":
        bodies = COPIES * default(ApiSettings, "max_inflight_body_bytes")
        return bodies + default(
            ApiSettings, "response_store_max_bytes"
        ) + MAX_FETCHES * MAX_IMAGE_BYTES + PROGRAM, THREADS
    if unit == "claude-executor@.service":
        processes = jobs + default(ExecutorSettings, "cli_pool_size")
        return processes * CLI + PROGRAM, processes * THREADS
    memory = jobs * default(ExecutorSettings, "command_memory_mb") * MIB
    return memory + PROGRAM, jobs * default(ExecutorSettings, "command_processes") + THREADS


@pytest.mark.parametrize("unit", UNIT_OF)
def test_what_the_settings_allow_fits_into_the_limits(unit: str):
    """So a program is never killed for what its own settings let in."""
    memory, tasks = needed(unit)
    assert memory <= limit_of(unit, "MemoryMax")
    assert tasks <= limit_of(unit, "TasksMax")


@pytest.mark.parametrize("unit", UNIT_OF)
def test_a_container_has_the_limits_of_the_unit(unit: str):
    """Neither way of starting has a program die of what the other lets it do."""
    limits = SERVICES[UNIT_OF[unit]]["deploy"]["resources"]["limits"]
    number, scale = re.fullmatch(r"(\d+)([mg])", limits["memory"]).groups()  # pyright: ignore[reportOptionalMemberAccess]
    assert int(number) * SCALES[scale.upper()] == limit_of(unit, "MemoryMax")
    assert int(limits["pids"]) == limit_of(unit, "TasksMax")
