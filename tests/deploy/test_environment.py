"""What `make` installs: beside what runs, then in its place at once; and whether services can start it.

`deploy/environment.sh` states the invariants. Its `uv` is a stand-in that makes a small environment, as slowly as a test wants.
"""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator
from pathlib import Path

import httpx2
import pytest

from cli.up.command import find_command_folder
from tests.support.stack import REPOSITORY, find_free_port
from tests.support.timeouts import TEST_TIMEOUT

UV = """#!{python} -S
import pathlib, subprocess, shutil, sys, time
here = pathlib.Path({here!r})
match sys.argv[1:]:
    case ["python", "find", *_]:
        print((here / "found").read_text())
    case ["venv", *_, folder]:
        subprocess.run([{python!r}, "-m", "venv", "--without-pip", folder], check=True)
    case ["pip", "install", *_, "--no-deps", "--editable", "."]:
        pass
    case ["pip", *arguments]:
        (here / "begun").touch()
        (here / "asked").write_text(" ".join(arguments))
        while not (here / "go").exists():
            time.sleep(0.02)
        if failure := (here / "go").read_text():
            sys.exit(failure)
        if arguments[-1].startswith(".") and "--editable" not in arguments:
            python = arguments[arguments.index("--python") + 1]
            [packages] = pathlib.Path(python).parent.parent.glob("lib/*/site-packages")
            shutil.copytree("api", packages / "api")
"""
PROGRAM = """
import http.server, os, sys

class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/later":
            from api.later import VERSION
        else:
            from api.version import VERSION
        self.send_response(200)
        self.end_headers()
        self.wfile.write(VERSION.encode())
    def log_message(self, *_): pass

http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Answer).serve_forever()
"""


class Checkout:
    """A checkout of a program that is small. Mutable: its version, and what is installed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("cli", "executor", "shared", "api", "deploy"):
            (folder / name).mkdir(parents=True)
        for name in ("pyproject.toml", "requirements.lock", ".python-version"):
            (folder / name).touch()
        shutil.copy(REPOSITORY / "deploy/environment.sh", folder / "deploy")
        (folder / "uv").write_text(UV.format(python=sys.executable, here=str(folder)), encoding="utf-8")
        (folder / "uv").chmod(0o755)
        (folder / "found").write_text("/usr/bin/python3", encoding="utf-8")
        (folder / "api/__init__.py").touch()
        (folder / "api/__main__.py").write_text(PROGRAM, encoding="utf-8")
        self.fetch("one")

    def fetch(self, version: str) -> None:
        """As `git pull` does."""
        for name in ("version", "later"):
            (self.folder / f"api/{name}.py").write_text(f"VERSION = {version!r}\n", encoding="utf-8")

    def begin(self, kind: str = "copy") -> subprocess.Popen[str]:
        """Begin to install; it goes on once `go` is there."""
        return subprocess.Popen(
            [self.folder / "deploy/environment.sh", kind],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "UV": str(self.folder / "uv")},
            stderr=subprocess.PIPE,
            text=True,
        )

    def install(self, kind: str = "copy", fault: str = "") -> int:
        """Install at once; the exit status."""
        (self.folder / "go").write_text(fault, encoding="utf-8")
        with self.begin(kind) as installing:
            installing.communicate()
        (self.folder / "go").unlink()
        return installing.returncode

    @property
    def link(self) -> Path:
        return self.folder / ".venv"

    @property
    def environments(self) -> set[Path]:
        return set((self.folder / ".venvs").iterdir())

    @contextlib.contextmanager
    def started(self) -> Generator[str]:
        """The program, as its unit starts it; its address."""
        port = find_free_port()
        text = (REPOSITORY / "deploy/systemd/claude-api.service").read_text(encoding="utf-8")
        found = re.search(r"^ExecStart=/bin/sh -c '(.*)'$", text, re.MULTILINE)
        assert found
        line = found[1].replace("$$", "$").replace("/opt/claude-api-server", str(self.folder))
        process = subprocess.Popen(
            ["/bin/sh", "-c", line], cwd=self.folder, env={"PATH": os.environ["PATH"], "PORT": str(port)}
        )
        try:
            late = time.monotonic() + TEST_TIMEOUT
            while time.monotonic() < late:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
                time.sleep(0.02)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()
            process.wait()


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """Nothing is installed yet."""
    return Checkout(tmp_path)


def fetch_text(url: str) -> str:
    """What the program says of its version. Raises HTTPError."""
    return httpx2.get(url, trust_env=False).raise_for_status().text


def test_requests_go_on_while_a_new_environment_is_made_and_after(checkout: Checkout):
    """By the old code to its end, also in what it loads only later; the link is never without an environment."""
    assert checkout.install() == 0
    gaps: list[Path] = []
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            if not (checkout.link / "bin/python").exists():
                gaps.append(checkout.link.readlink())

    watching = threading.Thread(target=watch)
    watching.start()
    with checkout.started() as url:
        assert fetch_text(url) == "one"
        checkout.fetch("two")
        (checkout.folder / "begun").unlink()
        with checkout.begin() as installing:
            while not (checkout.folder / "begun").exists():
                assert fetch_text(url) == "one"
            (checkout.folder / "go").touch()
            while installing.poll() is None:
                assert fetch_text(url) == "one"
        assert installing.returncode == 0
        assert fetch_text(f"{url}/later") == "one"
        with checkout.started() as newer:
            assert (fetch_text(newer), fetch_text(f"{newer}/later")) == ("two", "two")
    over.set()
    watching.join()
    assert gaps == []


def test_what_runs_stays_and_what_is_older_goes(checkout: Checkout):
    """The environment in use, the one before, and each that a process runs from."""
    checkout.install()
    first = checkout.link.resolve()
    with checkout.started() as url:
        for version in ("two", "three", "four"):
            checkout.fetch(version)
            checkout.install()
        assert len(checkout.environments) == 3
        assert fetch_text(f"{url}/later") == "one"
    checkout.fetch("five")
    checkout.install()
    assert len(checkout.environments) == 2
    assert first not in checkout.environments


def test_an_installation_that_fails_changes_nothing_and_can_be_tried_again(checkout: Checkout):
    """What it left behind is built again."""
    checkout.install()
    before = checkout.link.resolve()
    checkout.fetch("two")
    assert checkout.install(fault="no network") != 0
    assert checkout.link.resolve() == before
    assert checkout.install() == 0
    with checkout.started() as url:
        assert fetch_text(url) == "two"


def test_each_kind_has_an_environment_of_its_own(checkout: Checkout):
    """`make run` in a checkout of services runs the checkout's code. It accepts what `make test` installed."""
    marks: dict[str, set[str]] = {}
    for kind in ("copy", "run", "copy", "dev"):
        checkout.install(kind)
        marks[kind] = {mark for mark in (".copied", ".runnable", ".ready") if (checkout.link / mark).exists()}
    assert marks == {"copy": {".copied"}, "run": {".runnable"}, "dev": {".runnable", ".ready"}}
    assert len(checkout.environments) == 2


@pytest.mark.parametrize("kind", ["run", "copy"])
def test_the_server_is_installed_without_the_test_tools_by_the_lock(checkout: Checkout, kind: str):
    """The drivers for several API hosts are among what it needs; `dev` alone installs everything in the lock."""
    checkout.install(kind)
    requested = (checkout.folder / "asked").read_text(encoding="utf-8")
    assert requested.startswith("install ")
    assert "--constraints requirements.lock" in requested
    assert requested.endswith(" .[cluster]")
    checkout.install("dev")
    requested = (checkout.folder / "asked").read_text(encoding="utf-8")
    assert requested.startswith("sync ")
    assert requested.endswith(" requirements.lock")


def test_a_folder_of_an_earlier_version_makes_place(checkout: Checkout):
    """It was the environment itself."""
    (checkout.link / "bin").mkdir(parents=True)
    assert checkout.install() == 0
    assert checkout.link.is_symlink()
    assert checkout.environments == {checkout.link.resolve()}


def test_a_python_in_a_home_is_told(checkout: Checkout):
    """It is taken if no other can be had; services could not start it."""
    (checkout.folder / "found").write_text("/home/somebody/python/bin/python3.13", encoding="utf-8")
    uv = checkout.folder / "uv"
    lines = uv.read_text(encoding="utf-8").replace(
        "import pathlib",
        "import os\nif os.environ.get('UV_PYTHON_PREFERENCE') and sys.argv[1] == 'venv': sys.exit(1)\nimport pathlib",
    )
    uv.write_text(lines.replace("import os\n", "import os, sys\n"), encoding="utf-8")
    (checkout.folder / "go").touch()
    with checkout.begin() as installing:
        _, output = installing.communicate()
    assert installing.returncode == 0, output
    assert "/home/somebody/python/bin/python3.13, which services can't reach" in output


def test_what_uv_brings_stays_in_the_folder(tmp_path: Path):
    """Its Pythons and its cache, unless somebody says otherwise; `make clean` takes all of it away."""
    shutil.copy(REPOSITORY / "Makefile", tmp_path)
    make = shutil.which("make")
    assert make
    show = [make, "--eval", 'show: ; @echo "$$UV_PYTHON_INSTALL_DIR $$UV_CACHE_DIR"', "show"]
    given = {"PATH": os.environ["PATH"]}
    output = subprocess.run(show, cwd=tmp_path, env=given, capture_output=True, text=True, check=True).stdout
    assert output.split() == [f"{tmp_path}/.uv/python", f"{tmp_path}/.uv/cache"]
    given["UV_CACHE_DIR"] = "/elsewhere"
    output = subprocess.run(show, cwd=tmp_path, env=given, capture_output=True, text=True, check=True).stdout
    assert output.split() == [f"{tmp_path}/.uv/python", "/elsewhere"]
    ignored = [line.rstrip("/") for line in (REPOSITORY / ".gitignore").read_text(encoding="utf-8").split()]
    for made in (".uv/python", ".uv/cache", ".venvs/copy-1"):
        (tmp_path / made).mkdir(parents=True)
        assert made.partition("/")[0] in ignored
    (tmp_path / ".venv").symlink_to(".venvs/copy-1")
    subprocess.run([make, "clean"], cwd=tmp_path, env=given, check=True)
    assert os.listdir(tmp_path) == ["Makefile"]  # noqa: PTH208


def test_people_are_shown_the_link(checkout: Checkout):
    """It is what they type, and it leads to whichever environment is in use; without one it is where the commands are."""
    checkout.install()
    assert find_command_folder(str(checkout.link.resolve() / "bin/python")) == checkout.folder / ".venv/bin"
    assert find_command_folder("/somewhere/tool/bin/python") == Path("/somewhere/tool/bin")


STARTS = REPOSITORY / "deploy/systemd/starts.sh"
as_root = pytest.mark.skipif(
    os.getuid() != 0 or shutil.which("runuser") is None, reason="only root can become the services' users"
)


def starts(folder: Path, python: str, module: str, **environment: str) -> tuple[int, str]:
    """What is said of an environment around this Python."""
    (folder / ".venv/bin").mkdir(parents=True)
    (folder / ".venv/bin/python").symlink_to(python)
    (folder / ".python-version").write_text("3.13\n", encoding="utf-8")
    given = {**os.environ, **environment}
    tried = [STARTS, "nobody", folder / ".venv", module]
    done = subprocess.run(tried, env=given, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


@pytest.fixture
def system_python() -> str:
    """One that is everybody's."""
    if not Path("/usr/bin/python3").exists():
        pytest.skip("there is no Python of the system's")
    return "/usr/bin/python3"


@pytest.fixture
def open_path(tmp_path: Path) -> Path:
    """A folder that everybody may enter."""
    for folder in (*tmp_path.parents, tmp_path):
        if str(folder).startswith("/tmp/"):
            folder.chmod(0o755)
    return tmp_path


@as_root
def test_what_lies_in_a_home_is_not_there_for_a_service_even_if_all_may_enter(open_path: Path, system_python: str):
    """As a library that a Python outside of homes is linked to; where root may hide homes, it is tried so."""
    if subprocess.run(["/usr/bin/unshare", "--mount", "true"], capture_output=True, check=False).returncode:
        pytest.skip("no namespace of mounts can be made here")
    with tempfile.TemporaryDirectory(dir="/home") as home:
        Path(home).chmod(0o755)
        (Path(home) / "found_in_a_home.py").touch()
        status, output = starts(open_path / "linked", system_python, "found_in_a_home", PYTHONPATH=home)
    assert status == 1
    assert "No module named 'found_in_a_home'" in output


@as_root
def test_a_service_is_tried_as_its_user(open_path: Path, system_python: str):
    """One that starts is not worth a word; one that lacks its module, or may not be entered, is told."""
    tmp_path = open_path
    assert starts(tmp_path / "good", system_python, "json") == (0, "")
    status, output = starts(tmp_path / "bad", system_python, "nosuchmodule")
    assert status == 1
    assert "nobody can't run" in output
    assert "nosuchmodule" in output
    (tmp_path / "closed").mkdir(mode=0o700)
    status, output = starts(tmp_path / "closed", system_python, "json")
    assert status == 1
    assert f"chmod -R go+rX {tmp_path}/closed" in output


@as_root
def test_a_python_that_lies_in_a_home_is_refused_with_what_to_do(system_python: str):
    """Units have `ProtectHome=yes`: what works for root would not start."""
    home = Path("/root/.python-of-a-test")
    home.mkdir()
    try:
        shutil.copy(Path(system_python).resolve(), home / "python")
        status, output = starts(home, str(home / "python"), "json")
    finally:
        shutil.rmtree(home)
    assert status == 1
    assert "/root/.python-of-a-test/python is in a home directory" in output
    assert "make clean && make install" in output


def test_the_installer_tries_each_service_before_it_starts_any():
    """Each user of a unit, by the environment of that unit."""
    text = (REPOSITORY / "deploy/systemd/install.sh").read_text(encoding="utf-8")
    tried = text.partition("systemctl")[0]
    for unit in (REPOSITORY / "deploy/systemd").glob("*.service"):
        [user] = re.findall(r"^User=(.*)$", unit.read_text(encoding="utf-8"), re.MULTILINE)
        assert f"{user}:" in tried
    assert '"$here/starts.sh"' in tried
