"""The units: systemd itself finds nothing to say against them, and how exposed they are may only become less."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.stack import REPOSITORY

UNITS = REPOSITORY / "deploy/systemd"
# Ten times the exposure that `systemd-analyze security` finds: the exact figure reached, which a change may lower only.
EXPOSURE = {"claude-api.service": 13, "claude-executor@.service": 12, "tools-executor@.service": 3}


def analyze(*arguments: str | Path) -> tuple[int, str]:
    """What systemd-analyze says: its status, and both of its outputs."""
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_systemd_has_nothing_to_say(tmp_path: Path):
    """Unknown keys are only told, so not a word may be said. What the units start is not on this machine: a stand-in is."""
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(0o755)
    for unit in (*UNITS.glob("*.service"), *UNITS.glob("*.socket")):
        text = unit.read_text(encoding="utf-8").replace("/opt/claude-api-server/.venv/bin/python", str(program))
        (tmp_path / unit.name.replace("@.", "@1.")).write_text(text, encoding="utf-8")
    units = [path for path in tmp_path.iterdir() if path != program]
    assert len(units) == 6
    assert analyze("verify", "--man=no", *units) == (0, "")


@pytest.mark.parametrize("unit", EXPOSURE)
def test_a_unit_is_no_more_exposed_than_it_was(unit: str):
    """`--threshold` fails above it; one less must fail, so that the figure is the exact one."""
    security = ("security", "--offline=true", "--no-pager")
    reached = EXPOSURE[unit]
    status, output = analyze(*security, f"--threshold={reached}", UNITS / unit)
    assert status == 0, output
    assert f"{reached / 10:.1f}" in output.splitlines()[-1]
    assert reached <= 15


def test_three_users_and_no_secret_in_two_places():
    """Each program has its own user; the credential is one's only, the clients' key another's."""
    texts = {name: (UNITS / name).read_text(encoding="utf-8") for name in EXPOSURE}
    users = {name: re.findall(r"^User=(.*)$", text, re.MULTILINE) for name, text in texts.items()}
    assert sorted(user for [user] in users.values()) == ["claude-api", "claude-executor", "tools-executor"]
    made = re.findall(r"^u (\S+)", (UNITS / "sysusers.conf").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(made) == sorted(user for [user] in users.values())
    secrets = {name: set(re.findall(r"^LoadCredential=(\w+):", text, re.MULTILINE)) for name, text in texts.items()}
    assert secrets == {
        "claude-api.service": {"API_SECRET_TOKEN"},
        "claude-executor@.service": {"CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_API_KEY"},
        "tools-executor@.service": set(),
    }


def test_the_sandbox_may_be_built_where_commands_run():
    """Systemd 252 counts these calls to no group of what services may do."""
    text = (UNITS / "tools-executor@.service").read_text(encoding="utf-8")
    for call in ("landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self", "seccomp"):
        assert call in text


def test_each_command_may_have_a_control_group_of_its_own():
    """The unit's own group is handed over, and is all of the tree that can be written; no other unit has one."""
    text = (UNITS / "tools-executor@.service").read_text(encoding="utf-8")
    assert "\nDelegate=memory pids\n" in text
    assert "\nProtectControlGroups=yes\n" in text
    [group] = re.findall(r"^ReadWritePaths=-/sys/fs/cgroup/(.*)$", text, re.MULTILINE)
    [parent] = re.findall(r"^Slice=(.*)$", text, re.MULTILINE)
    assert group == f"{parent}/tools-executor@%i.service"
    others = [(UNITS / name).read_text(encoding="utf-8") for name in EXPOSURE if not name.startswith("tools")]
    assert not any("Delegate" in each for each in others)


def test_the_installer_is_a_script_that_refuses_whom_it_must():
    """It parses, and does nothing for who is not root."""
    script = UNITS / "install.sh"
    subprocess.run(["/bin/sh", "-n", script], check=True)
    assert os.access(script, os.X_OK)
    assert '[ "$(id -u)" -eq 0 ]' in script.read_text(encoding="utf-8").partition("install -m")[0]
