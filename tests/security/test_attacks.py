"""The attack list: each is tried against the real tools executor, started as root and started as an ordinary user.

Invariants: nothing outside of what is allowed is read, written, run, reached or left behind. What is tried by an allowed
program is stopped by the kernel, so the list of commands here is wide on purpose: it has a shell, a Python, an `env`.
"""

import asyncio
import contextlib
import os
import shutil
import socket
import stat
import sys

import psutil
import pytest

from shared.errors import ErrorKind
from shared.tool_jobs import (
    CommandResult,
    EditFile,
    FileContent,
    FindFiles,
    FolderListing,
    ListFolder,
    ReadFile,
    RunCommand,
    SearchFiles,
    WriteFile,
    WriteResult,
)
from tests.security.attack import PYTHON
from tests.support.stack import wait_until
from tests.support.tools import SECRET, ToolsProgram

NOT_ALLOWED, BAD_JOB, NOT_FOUND = ErrorKind.NOT_ALLOWED, ErrorKind.BAD_JOB, ErrorKind.NOT_FOUND
LIBRARY = os.path.realpath("/lib/x86_64-linux-gnu/libm.so.6")


async def outcome(tools: ToolsProgram, command: str) -> str:
    """All that came of a command, as text."""
    return repr(await tools.run_command(command))


@pytest.mark.attack("Commands by name")
@pytest.mark.parametrize(
    "command",
    [
        "ls; id",
        "ls && id",
        "ls | id",
        "ls & id",
        "echo $(id)",
        "echo `id`",
        'echo "$(id)"',
        "cat <(id)",
        "cat <<X\n$(id)\nX",
        "echo ${x:-$(id)}",
        "if true; then id; fi",
        "f() { id; }; f",
        "$(echo id)",
        "i''d",
        "\\id",
        "'id'",
        "x=id; $x",
        "/usr/bin/id",
        "./id",
        "command id",
        "builtin echo",
        "exec id",
        "eval id",
        "enable -f ./evil.so evil",
        ". ./script",
        "source ./script",
        "trap id EXIT",
        "/lib64/ld-linux-x86-64.so.2 /usr/bin/id",
        "LD_PRELOAD=./evil.so ls",
        "export LD_PRELOAD=./evil.so; ls",
        "BASH_ENV=./script ls",
        "PATH=. ls",
        "coproc id",
        "time id",
        "! id",
        "(id)",
        "{ id; }",
    ],
)
async def test_a_command_that_is_not_on_the_list_is_refused_by_name(tools: ToolsProgram, command: str):
    """Wherever the name stands, nothing of the text is run, and the refusal says what is allowed or how to say it."""
    output = await tools.run_command(command)
    assert output.failure.kind in {NOT_ALLOWED, BAD_JOB}, output
    assert output.stdout == b""
    assert output.failure.detail


@pytest.mark.attack("Programs")
@pytest.mark.parametrize(
    "command",
    [
        "find . -maxdepth 0 -exec id ;".replace(";", "\\;"),
        "echo x | xargs id",
        "env id",
        "bash -c id",
        "bash -c 'exec id'",
        "bash -c 'eval id'",
        "git -c alias.x='!id' x",
        "git -c core.pager=id --paginate config --list",
        "bash -c '/lib64/ld-linux-x86-64.so.2 /usr/bin/id'",
        "sed -n '1e id' a.txt",
    ],
)
async def test_a_program_that_is_allowed_can_not_start_one_that_is_not(tools: ToolsProgram, command: str):
    """The kernel runs the programs named in the command alone, whatever they were told to start."""
    assert "uid=" not in await outcome(tools, command)


@pytest.mark.attack("Programs")
@pytest.mark.attack("Programs")
@pytest.mark.parametrize(
    "plant",
    [
        "cp /bin/true planted",
        "cat /bin/true > planted",
        "echo '#!/bin/true' > planted",
        "echo '#!/bin/bash' > planted",
        "ln -s /usr/bin/id planted",
    ],
)
async def test_a_planted_program_does_not_run(tools: ToolsProgram, plant: str):
    """What lies in a folder that can be written is not executable, whatever its mode says."""
    binary = tools.writable / "planted"
    binary.unlink(missing_ok=True)
    if plant.startswith("ln"):
        await tools.run_command(plant, str(tools.writable))
    elif "#!" in plant:
        await tools.run_command(f"{plant}; chmod 755 planted", str(tools.writable))
    else:
        # What can't be read can't be copied: it is put there from outside.
        shutil.copy("/usr/bin/id", binary)
        binary.chmod(0o755)
    output = await tools.run_command("bash -c ./planted", str(tools.writable))
    assert output.returncode in {126, 127}, output
    output = await tools.run_command("bash -c '/lib64/ld-linux-x86-64.so.2 ./planted'", str(tools.writable))
    assert output.returncode, output
    assert b"uid=" not in output.stdout
    binary.unlink(missing_ok=True)


async def test_a_planted_library_is_not_loaded(tools: ToolsProgram):
    """A library in a writable folder can't become code: the folder is mounted without exec."""
    if any("libraries" in lack for lack in (await tools.fetch_status()).missing):
        pytest.skip("this host lets an ordinary user make no mounts, and the status says so")
    shutil.copy(LIBRARY, tools.writable / "evil.so")
    output = await tools.run_command("bash -c 'LD_PRELOAD=./evil.so cat /dev/null'; cat /dev/null", str(tools.writable))
    assert b"failed to map" in output.stderr, output
    output = await tools.run_command("bash -c 'enable -f ./evil.so evil'", str(tools.writable))
    assert b"failed to map" in output.stderr, output
    (tools.writable / "evil.so").unlink()


@pytest.mark.attack("Paths")
@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("../outside/secret.txt", NOT_ALLOWED),
        ("sub/../../outside/secret.txt", NOT_ALLOWED),
        ("/etc/passwd", NOT_ALLOWED),
        ("//etc/passwd", NOT_ALLOWED),
        ("link", NOT_ALLOWED),
        ("linked/secret.txt", NOT_ALLOWED),
        ("/proc/self/environ", NOT_ALLOWED),
        ("/proc/self/root/etc/passwd", NOT_ALLOWED),
        ("/dev/zero", NOT_ALLOWED),
        ("a.txt\0", BAD_JOB),
        ("", BAD_JOB),
        ("x" * 5000, BAD_JOB),
        ("none", NOT_FOUND),
        (".", BAD_JOB),
        ("~/.ssh/id_rsa", NOT_FOUND),
    ],
)
async def test_a_path_that_leads_out_is_not_read(tools: ToolsProgram, path: str, kind: ErrorKind):
    """By dots, from the root, through links or by what is no file: refused, with the reason."""
    output = await tools.run_job(ReadFile(path))
    assert output.failure.kind == kind, output
    assert SECRET not in repr(output)


@pytest.mark.attack("Paths")
@pytest.mark.attack("Paths")
@pytest.mark.parametrize("name", ["fifo", "socket", "hard"])
async def test_what_is_no_file_of_one_name_is_not_read(tools: ToolsProgram, name: str):
    """FIFOs and sockets would wait or answer; a hard link where writing is allowed may be another file."""
    place = tools.writable / name
    with contextlib.ExitStack() as stack:
        match name:
            case "fifo":
                os.mkfifo(place, 0o666)
            case "socket":
                stack.enter_context(socket.socket(socket.AF_UNIX)).bind(str(place))
            case _:
                os.link(tools.outside / "secret.txt", place)
        output = await tools.run_job(ReadFile(str(place)))
        assert output.failure.kind == NOT_ALLOWED, output
        place.unlink()


@pytest.mark.attack("Paths")
async def test_a_device_is_not_read(tools: ToolsProgram):
    """Not even when its node lies in an allowed folder."""
    if os.getuid() != 0:
        pytest.skip("only root makes device nodes")
    place = tools.root / "zero"
    os.mknod(place, 0o666 | stat.S_IFCHR, os.makedev(1, 5))
    assert (await tools.run_job(ReadFile("zero"))).failure.kind == NOT_ALLOWED
    place.unlink()


@pytest.mark.attack("Paths")
async def test_a_sparse_file_of_100_gigabytes_is_too_large(tools: ToolsProgram):
    """The size is looked at before a byte is read."""
    place = tools.root / "sparse"
    with place.open("wb") as file:
        file.truncate(100 << 30)
    assert (await tools.run_job(ReadFile("sparse"))).failure.kind == ErrorKind.TOO_LARGE
    place.unlink()


@pytest.mark.attack("Paths")
async def test_a_link_swapped_in_between_is_never_followed(tools: ToolsProgram):
    """A folder that turns into a link and back, as fast as can be, while files are read through it."""
    real, trap, place = tools.root / "real", tools.root / "trap", tools.root / "swap"
    real.mkdir()
    (real / "secret.txt").write_text("inside")
    trap.symlink_to(tools.outside)
    place.mkdir()
    (place / "secret.txt").write_text("inside")
    code = (
        "import ctypes,os,sys\nlibc=ctypes.CDLL(None)\na,b=(x.encode() for x in sys.argv[1:])\n"
        "while True: libc.renameat2(-100,a,-100,b,2)"
    )
    swapping = await asyncio.create_subprocess_exec(sys.executable, "-c", code, str(place), str(trap))
    try:
        for _ in range(60):
            output = await tools.run_job(ReadFile("swap/secret.txt"))
            assert SECRET not in repr(output), output
    finally:
        swapping.kill()
        await swapping.wait()


async def test_a_name_with_a_newline_is_one_name(tools: ToolsProgram):
    """It is listed, found and read whole."""
    name = "two\nlines.txt"
    (tools.root / name).write_text("x")
    listed = (await tools.run_job(ListFolder("."))).end
    assert isinstance(listed, FolderListing)
    assert str(tools.root / name) in [entry.path for entry in listed.entries]
    read = (await tools.run_job(ReadFile(name))).end
    assert isinstance(read, FileContent)
    assert read.text == "x"


@pytest.mark.attack("Files outside")
@pytest.mark.parametrize(
    "command",
    [
        "cat {outside}/secret.txt",
        "cat link",
        "cat linked/secret.txt",
        "cat /etc/passwd",
        "cat /proc/self/environ",
        "cat /proc/1/environ",
        "bash -c 'cat /proc/$PPID/environ'",
        "echo $(<{outside}/secret.txt)",
        "ln {outside}/secret.txt {work}/hl; cat {work}/hl",
        "cp {outside}/secret.txt {work}/copy; cat {work}/copy",
        "cat {run}/../tools.log",
        "ls {outside}",
        "git --git-dir={outside} log",
        "git diff --no-index /dev/null {outside}/secret.txt",
        "sed '' {outside}/secret.txt",
        "dd if={outside}/secret.txt",
        "bash {outside}/secret.txt",
    ],
)
async def test_a_command_reads_nothing_outside(tools: ToolsProgram, command: str):
    """The kernel refuses it to every program alike."""
    filled = command.format(outside=tools.outside, work=tools.writable, run=tools.run_dir)
    output = await tools.run_command(filled)
    assert SECRET.encode() not in output.stdout + output.stderr, output
    assert b"root:" not in output.stdout
    assert b"RUN_DIR" not in output.stdout


@pytest.mark.attack("Files outside")
@pytest.mark.attack("Paths")
@pytest.mark.parametrize(
    "command", ["echo x > {place}", "cp a.txt {place}", "ln -s a.txt {place}", "mkdir {place}", "truncate -s 9 {place}"]
)
async def test_a_command_writes_nothing_outside(tools: ToolsProgram, command: str):
    """Neither beside the allowed folders nor in one that may only be read."""
    for place in (tools.outside / "new", tools.root / "new"):
        await tools.run_command(command.format(place=place))
        assert place.name not in {each.name for each in place.parent.iterdir()}


@pytest.mark.attack("Paths")
async def test_writing_stays_in_the_writable_folders(tools: ToolsProgram):
    """A file is written and edited there, through no link, and nowhere else."""
    place = tools.writable / "deep" / "file.txt"
    written = (await tools.run_job(WriteFile(str(place), "one two two"))).end
    assert isinstance(written, WriteResult)
    assert written.created
    assert (await tools.run_job(EditFile(str(place), "two", "2"))).failure.kind == BAD_JOB
    assert (await tools.run_job(EditFile(str(place), "three", "3"))).failure.kind == BAD_JOB
    edited = (await tools.run_job(EditFile(str(place), "two", "2", replace_all=True))).end
    assert isinstance(edited, WriteResult)
    assert (edited.replaced, place.read_text()) == (2, "one 2 2")
    assert (await tools.run_job(WriteFile(str(tools.root / "new"), "x"))).failure.kind == NOT_ALLOWED
    (tools.writable / "out").symlink_to(tools.outside)
    assert (await tools.run_job(WriteFile(str(tools.writable / "out" / "new"), "x"))).failure.kind == NOT_ALLOWED
    (tools.writable / "out").unlink()
    assert list(tools.outside.iterdir()) == [tools.outside / "secret.txt"]


async def test_a_search_finds_nothing_outside(tools: ToolsProgram):
    """Neither ripgrep's patterns nor its globs lead out, and no word of a client's is an option."""
    for job in (
        SearchFiles("sk-ant", path="."),
        SearchFiles("sk-ant", path="linked"),
        SearchFiles("--follow", path="."),
        SearchFiles("sk-ant", path=".", glob="../**"),
        FindFiles("../**"),
        FindFiles("--follow"),
        FindFiles("**/secret.txt"),
    ):
        output = await tools.run_job(job)
        assert str(tools.outside) not in repr(output), output
        assert SECRET not in repr(output), output


PROBES = {
    "a TCP socket": "import socket; socket.socket()",
    "a UDP socket": "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
    "an IPv6 socket": "import socket; socket.socket(socket.AF_INET6)",
    "an MPTCP socket": "import socket; socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)",
    "a vsock socket": "import socket; socket.socket(40, socket.SOCK_STREAM)",
    "a Unix socket": "import socket; socket.socket(socket.AF_UNIX)",
    "an abstract socket": "import socket; socket.socket(socket.AF_UNIX).connect('\\0x')",
    "a name looked up": "import socket; socket.getaddrinfo('localhost', 80)[0]; socket.create_connection(('localhost', 80))",
    "a file in memory": "import os; os.memfd_create('x')",
    "a namespace": "import os; os.unshare(os.CLONE_NEWUSER)",
    "a signal to the executor": "import os; os.kill({executor}, 0)",
    "root": "import os; os.setuid(0)",
    "an inherited descriptor": "import os; os.fstat(3)",
}


@pytest.mark.attack("System calls")
@pytest.mark.parametrize("probe", PROBES)
async def test_a_program_of_the_attackers_own_reaches_nothing(tools: ToolsProgram, probe: str):
    """An interpreter on the list may run any program; sockets, memory tricks, signals and other processes stay closed."""
    output = await tools.run_job(
        RunCommand(f"{PYTHON} -I -S - && echo it went through", stdin=PROBES[probe].format(executor=tools.program.pid))
    )
    assert b"it went through" not in output.stdout, output


@pytest.mark.control
async def test_the_attackers_program_does_run(tools: ToolsProgram):
    """Else the other tests would show nothing."""
    output = await tools.run_job(RunCommand(f"{PYTHON} -I -S - && echo it went through", stdin="import os"))
    assert b"it went through" in output.stdout, output


async def ended(tools: ToolsProgram, mark: str) -> None:
    """Wait until no process with this word in its command line is left."""

    def alive() -> list[int]:
        return [each.pid for each in psutil.process_iter(["cmdline"]) if mark in (each.info["cmdline"] or [])]

    await wait_until(lambda: not alive())


@pytest.mark.attack("Bombs")
@pytest.mark.attack("Bombs")
@pytest.mark.parametrize(
    "command",
    [
        "sleep 4242 &",
        "(sleep 4242 &) &",
        "bash -c 'sleep 4242 & disown' &",
        "bash -c 'trap \"\" TERM HUP; sleep 4242' & true",
    ],
)
async def test_nothing_outlives_its_job(tools: ToolsProgram, command: str):
    """The end of a command is the end of all that it started, in whatever session it went."""
    output = await tools.run_command(command)
    assert isinstance(output.end, CommandResult)
    await ended(tools, "4242")


@pytest.mark.attack("Bombs")
async def test_who_ignores_sigterm_is_ended_all_the_same(tools: ToolsProgram):
    """The timeout ends the command by SIGTERM, and what is deaf to it by SIGKILL."""
    output = await tools.run_command("bash -c 'trap \"\" TERM; while true; do sleep 4343; done'", timeout=0.5)
    assert isinstance(output.end, CommandResult)
    assert output.end.timed_out
    await ended(tools, "4343")


@pytest.mark.attack("Bombs")
async def test_a_caller_who_goes_away_ends_the_job(tools: ToolsProgram):
    """Closing the connection is the end of the command."""
    running = asyncio.create_task(tools.run_command("sleep 4444"))

    def started() -> bool:
        return any("4444" in (each.info["cmdline"] or []) for each in psutil.process_iter(["cmdline"]))

    await wait_until(started)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    await ended(tools, "4444")


@pytest.mark.alone
@pytest.mark.attack("Bombs")
async def test_a_fork_bomb_ends_with_its_job(tools: ToolsProgram):
    """The number of processes is bounded, and every one of them is gone at the end; the next job is served."""
    await tools.run_command("bomb() { bomb | bomb & }; bomb; sleep 5151", timeout=2)
    await ended(tools, "5151")
    assert (await tools.run_command("echo alive")).stdout == b"alive\n"


@pytest.mark.alone
@pytest.mark.attack("Bombs")
async def test_a_memory_bomb_ends_without_harm(tools: ToolsProgram):
    """One process alone, and several together, get no more than a job may have."""
    code = "x = bytearray(700 << 20); print('it went through')"
    output = await tools.run_job(RunCommand(f"{PYTHON} -I -S -", stdin=code))
    assert b"it went through" not in output.stdout
    code = (
        "import os,time\nfor _ in range(2): os.fork()\nx = b'x' * (200 << 20)\ntime.sleep(80)\nprint('it went through')"
    )
    output = await tools.run_job(RunCommand(f"{PYTHON} -I -S -", stdin=code))
    assert b"it went through" not in output.stdout
    assert b"more memory than is allowed" in output.stderr, output


@pytest.mark.alone
@pytest.mark.attack("Bombs")
async def test_a_disk_filler_is_stopped(tools: ToolsProgram):
    """One file is bounded by its size, many by what they take from the free space."""
    output = await tools.run_command("dd if=a.txt of=/dev/null; yes > big; echo $?", str(tools.writable))
    assert (tools.writable / "big").stat().st_size <= 8 << 20
    output = await tools.run_command("i=0; while true; do i=$((i+1)); yes > many.$i; done", str(tools.writable))
    assert b"more disk than is allowed" in output.stderr, output
    for each in tools.writable.glob("*"):
        if each.name.startswith(("many.", "big")):
            each.unlink()


@pytest.mark.alone
@pytest.mark.attack("Bombs")
async def test_a_maker_of_files_is_stopped(tools: ToolsProgram):
    """However small they are: what is made is counted while it is made."""
    place = tools.writable / "many"
    place.mkdir()
    place.chmod(0o777)
    output = await tools.run_command("i=0; while true; do i=$((i+1)); : > e$i; done", str(place))
    assert b"more files than is allowed" in output.stderr, output
    # What was made between two looks is more.
    assert len(list(place.iterdir())) < 50_000
    shutil.rmtree(place)


@pytest.mark.alone
@pytest.mark.control
async def test_some_files_may_be_made(tools: ToolsProgram):
    """As many as are allowed."""
    place = tools.writable / "some"
    place.mkdir()
    place.chmod(0o777)
    output = await tools.run_command("for i in {1..1000}; do : > e$i; done; sleep 0.3; echo done", str(place))
    assert output.stdout == b"done\n", output
    shutil.rmtree(place)


@pytest.mark.attack("Other processes")
async def test_endless_output_is_cut_and_says_so(tools: ToolsProgram):
    """What is over the limit is thrown away, the command is ended, and its end says that it was cut."""
    output = await tools.run_command("yes")
    assert isinstance(output.end, CommandResult)
    assert output.end.truncated
    assert len(output.stdout) == 64 * 1024


@pytest.mark.attack("Other processes")
async def test_the_environment_of_a_command_is_clean(tools: ToolsProgram):
    """Nothing of the executor's environment is in it."""
    output = await tools.run_command("env")
    names = {line.split(b"=")[0] for line in output.stdout.splitlines()}
    assert not names & {b"RUN_DIR", b"ALLOWED_PATHS", b"LOG_LEVEL", b"API_SECRET_TOKEN"}
    assert b"PATH" in names


async def test_no_job_runs_as_root(tools: ToolsProgram):
    """Whoever started the executor, it and its jobs are someone else."""
    assert tools.program.process
    for each in [psutil.Process(tools.program.pid), *psutil.Process(tools.program.pid).children(recursive=True)]:
        assert 0 not in each.uids()
