"""The containers, as they run: built, started, asked, and looked at from inside, where a container engine answers."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from testcontainers.compose import DockerCompose

from tests.support.stack import REPOSITORY, find_free_port
from tests.support.timeouts import TEST_TIMEOUT

FOLDER = REPOSITORY / "deploy/compose"
PROGRAMS = ("api", "claude-executor", "tools-executor")

pytestmark = [pytest.mark.timeout(1800), pytest.mark.slow]


def engine() -> str:
    """Why no containers can be run here; nothing if they can."""
    program = shutil.which("docker")
    if program is None:
        return "there is no docker"
    for arguments, reason in (
        (["version"], "no container engine answers"),
        (["compose", "version"], "docker has no `compose`"),
    ):
        if subprocess.run([program, *arguments], capture_output=True, check=False, timeout=60).returncode:
            return reason
    return ""


@pytest.fixture(scope="module")
def compose(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerCompose]:
    """Everything, built and well, with a port and secrets of its own."""
    if reason := engine():
        pytest.skip(reason)
    checkout = tmp_path_factory.mktemp("compose") / "checkout"
    left = shutil.ignore_patterns(".git", ".venv", ".venvs", ".uv", ".run", "secrets", "__pycache__", "*.env")
    shutil.copytree(REPOSITORY, checkout, ignore=left)
    folder = checkout / "deploy/compose"
    subprocess.run(["/bin/sh", folder / "prepare.sh"], check=True)
    (folder / "workspace/hello.txt").write_text("hello from the workspace\n", encoding="utf-8")
    ports = {"LISTEN": find_free_port(), "GRAFANA_LISTEN": find_free_port()}
    (folder / ".env").write_text(
        "".join(f"{name}=127.0.0.1:{port}\n" for name, port in ports.items())
        + "COMPOSE_PROFILES=watch\nOTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318\n",
        encoding="utf-8",
    )
    with DockerCompose(folder, build=True, wait=True, env_file=".env", profiles=["watch"]) as running:
        yield running


@pytest.fixture
def client(compose: DockerCompose) -> Iterator[httpx2.Client]:
    """A client of the API, with the key."""
    key = (Path(compose.context) / "secrets/api-secret-token").read_text(encoding="utf-8")
    host, port = compose.get_service_host_and_port("api", 8020)
    headers = {"authorization": f"Bearer {key}"}
    with httpx2.Client(base_url=f"http://{host}:{port}", headers=headers, timeout=TEST_TIMEOUT) as opened:
        yield opened


def inside(compose: DockerCompose, service: str, code: str) -> str:
    """What a piece of Python says inside a container."""
    said, _, _ = compose.exec_in_container(["python", "-c", code], service)
    return said.strip()


def test_a_chat_is_answered_offline_and_a_file_is_read(client: httpx2.Client):
    """All three containers work together over their sockets."""
    body = {"model": "sonnet", "messages": [{"role": "user", "content": "Hello!"}]}
    answer = client.post("/v1/chat/completions", json=body)
    assert answer.status_code == 200
    assert answer.headers["x-claude-api-server-mode"] == "offline"
    read = client.post("/api/tools/file-read", json={"path": "/workspace/hello.txt"})
    assert read.json()["content"] == "hello from the workspace\n"
    ran = client.post("/api/tools/bash", json={"command": "ls /workspace"})
    assert ran.json()["stdout"] == "hello.txt\n"


def test_what_the_sandbox_lacks_in_a_container_is_told(client: httpx2.Client):
    """The engine's profile refuses namespaces: folders are not without exec, and `/health` says so."""
    [tools] = client.get("/health").json()["tools"]
    assert tools["up"]
    assert tools["problem"] == ""
    assert all("without exec" in lack for lack in tools["missing"])


@pytest.mark.parametrize("service", PROGRAMS)
def test_no_container_is_root_or_can_write_its_code(compose: DockerCompose, service: str):
    """Nor has it a capability."""
    code = (
        "import json, os\n"
        "status = dict(line.split(':', 1) for line in open('/proc/self/status'))\n"
        "try:\n    open('/opt/claude-api-server/x', 'w')\n    wrote = True\nexcept OSError:\n    wrote = False\n"
        "print(json.dumps([os.getuid(), status['CapEff'].strip(), status['NoNewPrivs'].strip(), wrote]))"
    )
    uid, capabilities, no_new, wrote = json.loads(inside(compose, service, code))
    assert uid in {10001, 10002, 10003}
    assert (int(capabilities, 16), no_new, wrote) == (0, "1", False)


def test_secrets_and_sockets_are_for_whom_they_should_be(compose: DockerCompose):
    """The API sees no credential; the tools see no secret, no network, and can't reach the other executor."""
    listed = "import os; print(sorted(os.listdir('/run/secrets')) if os.path.isdir('/run/secrets') else [])"
    assert inside(compose, "api", listed) == "['API_SECRET_TOKEN']"
    assert inside(compose, "tools-executor", listed) == "[]"
    assert inside(compose, "tools-executor", "import os; print(os.listdir('/sys/class/net'))") == "['lo']"
    reach = (
        "import socket\ns = socket.socket(socket.AF_UNIX)\n"
        "try:\n    s.connect('/run/claude-api-server/claude/claude-1.sock'); print('reached')\n"
        "except OSError:\n    print('refused')"
    )
    assert inside(compose, "tools-executor", reach) == "refused"
    assert inside(compose, "api", reach) == "reached"


def test_prometheus_scrapes_and_grafana_has_the_dashboard(compose: DockerCompose):
    """Without a key, by its address; and the dashboard is provisioned."""
    query = "wget -qO- http://127.0.0.1:9090/api/v1/query?query=up"
    up, _, _ = compose.exec_in_container(["sh", "-c", query], "prometheus")
    assert json.loads(up)["data"]["result"][0]["value"][1] == "1"
    password = (Path(compose.context) / "secrets/grafana-admin-password").read_text(encoding="utf-8")
    host, port = compose.get_service_host_and_port("grafana", 3000)
    found = httpx2.get(f"http://{host}:{port}/api/dashboards/uid/claude-api-server", auth=("admin", password))
    assert found.status_code == 200
