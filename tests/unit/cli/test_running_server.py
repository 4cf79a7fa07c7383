"""Where the owner's commands find the server and its key: a .env of a stranger's leads no key elsewhere."""

import os
from pathlib import Path

import pytest

from cli import StartupError
from cli.doctor.install import inspect_folder
from cli.running_server import find_server
from cli.up.command import read_dotenv
from cli.up.preflight import Address
from cli.up.token_file import load_or_create_token, read_address, write_address

KEY = "sk-mine-0f1e2d3c4b5a6978"


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """Where no unit's key is."""
    return tmp_path / "no-units"


@pytest.mark.parametrize("line", ["PORT=9999", "HOST=203.0.113.9", "HOST=127.0.0.2"])
def test_a_key_of_the_environment_does_not_go_where_a_dotenv_says(tmp_path: Path, units: Path, line: str):
    """Nor a container's, nor the units'; on this machine neither: any user may listen on a port."""
    (tmp_path / ".env").write_text(line + "\n", encoding="utf-8")
    (tmp_path / "API_SECRET_TOKEN").write_text(KEY, encoding="ascii")
    units.write_text(KEY, encoding="ascii")
    for environ in ({"API_SECRET_TOKEN": KEY}, {"CREDENTIALS_DIRECTORY": str(tmp_path)}, {}):
        with pytest.raises(StartupError, match="or pass --url"):
            find_server(environ, tmp_path, None, units)
        asked_for = find_server(environ, tmp_path, "http://10.0.0.5:80/", units)
        assert (asked_for.url, asked_for.key) == ("http://10.0.0.5:80", KEY)


def test_address_and_key_of_one_source_are_used(tmp_path: Path, units: Path):
    """The environment's are; .env's are, and the environment wins over it."""
    found = find_server({"API_SECRET_TOKEN": KEY, "PORT": "8021", "HOST": "0.0.0.0"}, tmp_path, None, units)
    assert (found.url, found.key) == ("http://127.0.0.1:8021", KEY)
    (tmp_path / ".env").write_text(f"API_SECRET_TOKEN={KEY}\nPORT=8022\n", encoding="utf-8")
    assert find_server({}, tmp_path, None, units).url == "http://127.0.0.1:8022"
    assert find_server({"PORT": "8023"}, tmp_path, None, units).url == "http://127.0.0.1:8023"


def test_no_key_leaves_the_machine_unasked(tmp_path: Path, units: Path):
    """Whatever the source."""
    (tmp_path / ".env").write_text(f"API_SECRET_TOKEN={KEY}\nHOST=203.0.113.9\n", encoding="utf-8")
    with pytest.raises(StartupError, match=r"--url http://203\.0\.113\.9:8020"):
        find_server({}, tmp_path, None, units)
    with pytest.raises(StartupError, match="not this machine's loopback"):
        find_server({"API_SECRET_TOKEN": KEY, "HOST": "api.example"}, tmp_path / "none", None, units)


def test_the_key_that_a_start_made_goes_to_the_address_that_it_wrote_down(tmp_path: Path, units: Path):
    """However a stranger's folder leads to it: by RUN_DIR, or by a link."""
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    for each in (mine / ".run", theirs):
        each.mkdir(parents=True)
    key = load_or_create_token(mine / ".run/api-token").value
    (theirs / ".env").write_text(f"RUN_DIR={mine}/.run\nPORT=9999\n", encoding="utf-8")
    with pytest.raises(StartupError, match="does not have the address of its server"):
        find_server({}, theirs, None, units)
    write_address(mine / ".run/api-address", Address("127.0.0.1", 8024))
    assert find_server({}, theirs, None, units).url == "http://127.0.0.1:8024"
    (theirs / ".env").write_text("PORT=9999\n", encoding="utf-8")
    (theirs / ".run").symlink_to(mine / ".run")
    found = find_server({}, theirs, None, units)
    assert (found.url, found.key) == ("http://127.0.0.1:8024", key)
    (mine / ".run/api-address").unlink()
    with pytest.raises(StartupError, match="does not have the address of its server"):
        find_server({}, theirs, None, units)
    (mine / ".env").write_text("PORT=8025\n", encoding="utf-8")
    assert find_server({}, mine, None, units).url == "http://127.0.0.1:8025"


def test_an_address_that_others_could_have_written_is_not_used(tmp_path: Path):
    """Nor one that is a link, nor nonsense."""
    file = tmp_path / "api-address"
    write_address(file, Address("::1", 8026))
    assert read_address(file) == Address("::1", 8026)
    file.chmod(0o622)
    assert read_address(file) is None
    file.chmod(0o600)
    file.write_text("nonsense", encoding="utf-8")
    assert read_address(file) is None
    (tmp_path / "link").symlink_to(file)
    assert read_address(tmp_path / "link") is None


@pytest.mark.skipif(os.getuid() != 0, reason="this test run is not root, so it can't give a file away")
def test_a_dotenv_of_another_user_is_not_read(tmp_path: Path):
    """Nor one that everybody may write."""
    file = tmp_path / ".env"
    file.write_text("PORT=9999\n", encoding="utf-8")
    assert read_dotenv(tmp_path) == {"PORT": "9999"}
    os.chown(file, 4711, 4711)
    with pytest.raises(StartupError, match=r"\.env is not used, .* belongs to user 4711"):
        read_dotenv(tmp_path)
    os.chown(file, 0, 0)
    file.chmod(0o666)
    with pytest.raises(StartupError, match="everybody may write"):
        read_dotenv(tmp_path)


def test_the_doctor_sends_no_credential_where_a_dotenv_says(tmp_path: Path):
    """It is told, and the service is not asked; a credential and an address of one place are used."""
    (tmp_path / ".env").write_text("ANTHROPIC_BASE_URL=http://203.0.113.9\n", encoding="utf-8")
    mixed = inspect_folder({"ANTHROPIC_API_KEY": "sk-ant-x"}, tmp_path)
    assert not mixed.can_ask_service
    assert [finding.check for finding in mixed.findings if finding.level == "warning"] == ["credential"]
    both = {"ANTHROPIC_API_KEY": "sk-ant-x", "ANTHROPIC_BASE_URL": "http://127.0.0.1:1"}
    assert inspect_folder(both, tmp_path).can_ask_service
    assert inspect_folder({}, tmp_path).can_ask_service
