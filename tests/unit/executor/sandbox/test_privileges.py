"""Giving up capabilities, as root and under a supervisor that took them before."""

import os
import platform
import subprocess
import sys

import pytest

from tests.support.stack import REPOSITORY

CAPSET = {"x86_64": 126, "aarch64": 91}
SCRIPT = """
import errno, os, sys
sys.path.insert(0, sys.argv[1])
from executor.sandbox import privileges
from tests.support import kernel
uid = int(sys.argv[2])
if uid:
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
if int(sys.argv[3]):
    kernel.refuse_calls([int(sys.argv[3])], errno.EPERM)
before = privileges.has_capabilities()
try:
    privileges.drop_capabilities()
except OSError as error:
    sys.exit(error.strerror)
print(before, privileges.has_capabilities())
"""


def gave_up(uid: int, refused: int = 0) -> str:
    """What giving up came to: capabilities before and after, or the error."""
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(REPOSITORY), str(uid), str(refused)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return (ran.stdout or ran.stderr).strip()


@pytest.mark.skipif(os.getuid() != 0, reason="only root has capabilities to give up")
def test_root_keeps_none() -> None:
    """Whatever it had."""
    assert gave_up(0) == "True False"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_a_supervisor_that_forbids_the_call_has_taken_them_before() -> None:
    """As a systemd unit does: an ordinary user without any goes on, and root that still has some is refused."""
    number = CAPSET[platform.machine()]
    assert gave_up(4711, number) == "False False"
    assert gave_up(0, number) == "Operation not permitted"
