"""The credential, looked for byte by byte from everywhere that a client or a model can look.

Invariants: it is in the claude executor and its CLIs and goes to the service; in no answer, in nothing that the model reads, in
no process of the tools executor. The same search finds what lies in the allowed folder, and finds the credential when it
is made outside of the sandbox.
"""

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncGenerator

import psutil
import pytest

from tests.integration.test_code import calls, results
from tests.integration.test_secrets import environment, memory
from tests.security.attack import PYTHON
from tests.security.conftest import LIBRARIES
from tests.support.scripted.upstream import AnswerReply, Upstream
from tests.support.stack import API_KEY, Stack

pytestmark = [
    pytest.mark.attack("The credential"),
]

CREDENTIAL = "sk-ant-api03-Kq7vTf2Wm9sXb4Zc"
CANARY = "sk-canary-5hJ8nP3rLd6yGt1V"
EVERYWHERE = ("/tmp", "/var/tmp", "/dev/shm", "/run", "/root", "/home", "/etc", "/srv", "/opt")
COMMANDS = "ls,cat,echo,head,tail,grep,find,sort,wc,df,uptime,free,stat,file,env,bash,xargs"

# Told what to look for backwards, so that it does not find itself.
SEARCH = """
import json, os, sys
wanted = {name: backwards[::-1].encode() for name, backwards in TOLD["wanted"].items()}
found, read = {}, 0
def look(path):
    global read
    try:
        held = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except (OSError, ValueError):
        return
    try:
        left = 32 << 20
        while left > 0 and (data := os.read(held, 1 << 20)):
            read += 1
            left -= len(data)
            for name, mark in wanted.items():
                if mark in data:
                    found.setdefault(name, []).append(path)
    except OSError:
        pass
    finally:
        os.close(held)
for pid in [*TOLD["pids"], "self", "1", "thread-self"]:
    for name in ("environ", "cmdline", "maps", "auxv", "status", "stack", "mountinfo", "cgroup", "comm"):
        look(f"/proc/{pid}/{name}")
    for number in range(64 if TOLD["descriptors"] else 0):
        look(f"/proc/{pid}/fd/{number}")
        look(f"/proc/{pid}/task/{pid}/fd/{number}")
for place in TOLD["places"]:
    look(place)
    for folder, _, files in os.walk(place):
        for name in files:
            look(os.path.join(folder, name))
print(json.dumps({"found": found, "read": read}))
"""


@pytest.fixture(scope="module")
async def shared_vault(shared_upstream: Upstream) -> AsyncGenerator[Stack]:
    """Programs with a credential of its own kind, and something that looks like it in the allowed folder."""
    settings = {
        "ALLOWED_COMMANDS": f"{COMMANDS},{PYTHON}",
        "COMMAND_TIMEOUT": "100",
        "OUTPUT_LIMIT_KB": "4096",
    }
    async with Stack(
        shared_upstream.url, credential={"ANTHROPIC_API_KEY": CREDENTIAL}, tools=settings, readable=LIBRARIES
    ) as stack:
        (stack.files / "canary.txt").write_text(f"key: {CANARY}\n")
        yield stack


@pytest.fixture
async def vault(shared_vault: Stack, upstream: Upstream) -> AsyncGenerator[Stack]:
    """The same, left quiet."""
    yield shared_vault
    await shared_vault.wait_until_quiet()


def processes(stack: Stack) -> list[psutil.Process]:
    """All of the stack's."""
    programs = [psutil.Process(program.pid) for program in stack.programs()]
    return [*programs, *(child for program in programs for child in program.children(recursive=True))]


def search(stack: Stack, *more: str, descriptors: bool = True) -> str:
    """The program that looks through the processes, the stack's folder and more places.

    descriptors: the processes' open files too; where they can be had, what is read from their pipes is lost to them.
    """
    facts = {
        "wanted": {"credential": CREDENTIAL[::-1], "key": API_KEY[::-1], "canary": CANARY[::-1]},
        "pids": [each.pid for each in processes(stack)],
        "descriptors": descriptors,
        "places": [str(stack.folder), str(stack.files), str(stack.run_dir), *more],
    }
    return f"TOLD = {facts!r}\n{SEARCH}"


def places(stack: Stack) -> list[str]:
    """Files that a client may think of."""
    pids = [each.pid for each in processes(stack)]
    return [
        *(f"/proc/{pid}/{name}" for pid in pids for name in ("environ", "mem", "cmdline", "fd/0", "root/etc/passwd")),
        *("/proc/self/environ", "/proc/self/mem", "/dev/mem", "/dev/kmem", "/proc/kcore"),
        *(str(path) for path in [*stack.folder.glob("*.log"), *stack.run_dir.rglob("*")]),
        *(f"{stack.files}/../{path.name}" for path in stack.folder.glob("*.log")),
        *(f"{stack.folder}/.claude.json", f"{stack.folder}/.claude/.credentials.json", f"{stack.folder}/.env"),
    ]


async def test_a_command_that_looks_everywhere_finds_it_nowhere(vault: Stack):
    """In no process's environment, descriptors or memory, in no file that can be reached; the canary is found."""
    ask = {"command": f"{PYTHON} -I -S -", "stdin": search(vault, *EVERYWHERE), "timeout": 100}
    response = await vault.client.post("/api/tools/bash", json=ask)
    got = response.json()
    assert got["returncode"] == 0, got
    found = json.loads(got["stdout"])
    assert list(found["found"]) == ["canary"]
    assert CREDENTIAL not in response.text


@pytest.mark.control
async def test_outside_of_the_sandbox_the_same_search_finds_it(vault: Stack):
    """So that the other tests show something."""
    script = search(vault, descriptors=False)
    program = [PYTHON, "-I", "-S", "-"]
    ran = await asyncio.to_thread(subprocess.run, program, input=script, capture_output=True, text=True, check=True)
    found = json.loads(ran.stdout)["found"]
    assert f"/proc/{vault.executors[0].pid}/environ" in found["credential"]
    assert f"/proc/{vault.api.pid}/environ" in found["key"]


@pytest.mark.parametrize(
    "command",
    [
        "cat /proc/*/environ /proc/self/environ /proc/1/environ",
        "grep -ra sk-ant /proc {folder} /tmp /dev/shm /root /etc",
        "find / -name '*.json' -exec grep -l sk-ant {{}} +",
        "env; bash -c 'cat /proc/$PPID/environ; env'",
        "cat {run}/* {folder}/*.log",
        "head -c 1000000 /dev/mem /proc/kcore",
        "tail -n +1 {files}/../*.log {files}/../run/*",
    ],
)
async def test_no_command_shows_it(vault: Stack, command: str):
    """Neither it nor the clients' key."""
    filled = command.format(folder=vault.folder, run=vault.run_dir, files=vault.files)
    response = await vault.client.post("/api/tools/bash", json={"command": filled, "timeout": 100})
    assert response.status_code == 200, response.text
    assert CREDENTIAL not in response.text
    assert API_KEY not in response.text


async def test_no_file_that_can_be_read_has_it(vault: Stack):
    """Each is refused, whatever it is."""
    for path in places(vault):
        response = await vault.client.post("/api/tools/file-read", json={"path": path})
        assert response.status_code in {400, 403, 404}, (path, response.text)
        assert CREDENTIAL not in response.text


async def test_a_model_that_looks_everywhere_is_never_told(vault: Stack, upstream: Upstream):
    """It reads, searches, lists and runs; what reaches it is the canary alone."""
    write = str(vault.work / "search.py")
    upstream.script(
        calls(*(("Read", {"file_path": path}) for path in places(vault)[:20])),
        calls(*(("Read", {"file_path": path}) for path in places(vault)[20:])),
        calls(
            *(("Grep", {"pattern": "sk-", "path": path, "output_mode": "content"}) for path in ("/", "/proc", str(vault.folder))),
            ("Grep", {"pattern": "sk-", "path": str(vault.files), "output_mode": "content", "glob": "../**"}),
            ("Grep", {"pattern": "sk-", "path": str(vault.files), "output_mode": "content"}),
            *(("Glob", {"pattern": pattern, "path": path}) for pattern in ("**/*", "../**") for path in ("/", str(vault.files))),
        ),
        calls(("Write", {"file_path": write, "content": search(vault, *EVERYWHERE)}), ("Bash", {"command": f"{PYTHON} -I -S {write}"})),
        calls(("Bash", {"command": f"{PYTHON} -I -S {write}"}), ("Bash", {"command": "env; cat /proc/*/environ"})),
        AnswerReply("Nothing."),
    )  # fmt: skip
    response = await vault.client.post("/api/code", json={"prompt": "Find the key."})
    assert response.status_code == 200, response.text
    message_requests = [each for each in upstream.requests if each.is_message_request]
    assert len(message_requests) == 6
    [ran, _] = results(upstream, -1)
    assert list(json.loads(ran[0])["found"]) == ["canary"]
    output = json.dumps([each.body for each in message_requests])
    assert CANARY in output
    assert CREDENTIAL not in output
    assert API_KEY not in output
    assert CREDENTIAL not in response.text
    assert message_requests[0].headers["x-api-key"] == CREDENTIAL


@pytest.mark.skipif(os.getuid() != 0, reason="the tools executor's memory is hidden from its own user")
async def test_no_process_of_the_tools_executor_has_it_in_memory(vault: Stack):
    """Nor in its environment: what is not there can't be found."""
    assert vault.tools
    tools = psutil.Process(vault.tools.pid)
    for each in [tools, *tools.children(recursive=True)]:
        held = memory(each.pid) + environment(each.pid)
        assert str(vault.run_dir).encode() in held
        assert CREDENTIAL.encode() not in held
        assert API_KEY.encode() not in held
