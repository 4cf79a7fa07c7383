"""The clients' key that is made when the owner gives none."""

import os
from pathlib import Path

import pytest
from pydantic import SecretStr

from api.settings import check_token_strength
from cli import StartupError
from cli.up.token_file import TOKEN_PREFIX, load_or_create_token


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the key will be."""
    return tmp_path / "api-token"


def test_a_key_is_made_once_and_found_again(file: Path):
    """The first start makes it and says so; later ones have the same key."""
    first, second = load_or_create_token(file), load_or_create_token(file)
    assert first.is_new
    assert not second.is_new
    assert second.value == first.value
    assert file.read_text(encoding="ascii") == first.value + "\n"


def test_two_keys_differ(tmp_path: Path):
    """It is random, and different each time."""
    assert load_or_create_token(tmp_path / "one").value != load_or_create_token(tmp_path / "two").value


def test_the_api_takes_a_made_key(file: Path):
    """What is made here passes the API's own test for keys."""
    made = load_or_create_token(file).value
    assert made.startswith(TOKEN_PREFIX)
    assert check_token_strength(SecretStr(made)).get_secret_value() == made


def test_only_its_owner_can_read_the_file_under_any_umask(file: Path):
    """The mode is set when the file is made, not after."""
    before = os.umask(0)
    try:
        load_or_create_token(file)
    finally:
        os.umask(before)
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666])
def test_a_file_that_others_could_read_is_refused_with_the_fix(file: Path, mode: int):
    """Its key may be known by now, so it is not taken on in silence; the file stays as it is."""
    load_or_create_token(file)
    file.chmod(mode)
    with pytest.raises(StartupError, match=f"Other users can read .*chmod 600 {file}"):
        load_or_create_token(file)
    assert file.stat().st_mode & 0o777 == mode


@pytest.mark.parametrize("content", [b"", b"\n", b"hello\n", b"\xff\xfe\n"])
def test_a_file_without_a_key_in_it_is_refused(file: Path, content: bytes):
    """Half a file (a full disk, a crash) is no key."""
    file.write_bytes(content)
    file.chmod(0o600)
    with pytest.raises(StartupError, match=r"has no key\. Remove it"):
        load_or_create_token(file)


def test_a_link_is_not_followed(file: Path, tmp_path: Path):
    """Nobody can make the server take another file for its key."""
    load_or_create_token(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StartupError, match="can't be used"):
        load_or_create_token(file)


def test_a_pipe_of_that_name_does_not_hold_the_start_up(file: Path):
    """Only a plain file is read."""
    os.mkfifo(file, 0o600)
    with pytest.raises(StartupError, match="not a file of yours"):
        load_or_create_token(file)


def test_a_folder_that_is_not_there_is_said(file: Path):
    """The error has the reason of the system and the fix."""
    with pytest.raises(StartupError, match=r"No such file or directory.*RUN_DIR"):
        load_or_create_token(file / "deeper")


def test_the_key_does_not_show_in_its_repr(file: Path):
    """A key that lands in a log line by mistake is not readable there."""
    token = load_or_create_token(file)
    assert repr(token) == "<Token is_new=True>"
