"""The installation to check: the server as `make run` would start it in this folder, or as its systemd units start it.

Invariants: settings are read from where the programs get them. Files with secrets are named, not read.
"""

import contextlib
import os
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal

from dotenv import dotenv_values
from msgspec import Struct

from cli import StartupError
from cli.doctor import Finding, ok, to_finding, warning
from cli.up import preflight
from cli.up.command import DEFAULT_DATA_DIR, DEFAULT_RUN_DIR, PYTHON_COMMAND, TOKEN_FILE, read_dotenv
from cli.up.environment import (
    CREDENTIAL_VARIABLES,
    build_environments,
    build_tools_environment,
    list_unknown_settings,
    merge_settings,
)
from cli.up.preflight import Address

UNITS_FOLDER = Path("/etc/systemd/system")
# A valid key for the programs' checks, where `up` would generate one.
PLACEHOLDER_TOKEN = "sk-local-0f1e2d3c4b5a69788796a5b4c3d2e1f0"  # noqa: S105 # invented

BASE_URL_VARIABLE = "ANTHROPIC_BASE_URL"
TOKEN_VARIABLES = tuple(name for name in CREDENTIAL_VARIABLES if name != BASE_URL_VARIABLE)


class Installation(Struct, frozen=True):
    """An installation of the server.

    source: the folder that was inspected, or the folder of the units. folder: the working directory of the programs.
    run_dir: the folder of the sockets. api, claude, tools: the environment of each program. secrets: files with secrets.
    credentials: by unit, the names of its secrets and their files. data_folders: other folders whose free space is checked.
    program: the start of a program's command line. can_ask_service: the credential and the service's address come from the
    same source, so that the credential may be sent there.
    """

    kind: Literal["folder", "systemd"]
    source: Path
    folder: Path
    run_dir: Path
    address: Address | None
    api: dict[str, str]
    claude: dict[str, str]
    tools: dict[str, str]
    secrets: tuple[Path, ...] = ()
    credentials: dict[str, dict[str, Path]] = {}
    data_folders: tuple[Path, ...] = ()
    findings: tuple[Finding, ...] = ()
    program: tuple[str, ...] = ()
    can_ask_service: bool = True


def inspect_folder(environ: Mapping[str, str], folder: Path) -> Installation:
    """Returns what `claude-api-server up` would start in this folder. Creates nothing."""
    findings: list[Finding] = []
    try:
        dotenv = read_dotenv(folder)
    except StartupError as problem:
        dotenv = {}
        findings.append(to_finding("settings", problem))
    findings += _check_names(list_unknown_settings(dotenv))
    given = merge_settings(environ, dotenv)
    run_dir = folder / given.get("RUN_DIR", DEFAULT_RUN_DIR)
    decided = {"RUN_DIR": str(run_dir)}
    if "API_SECRET_TOKEN" not in given:
        decided["API_SECRET_TOKEN"] = PLACEHOLDER_TOKEN
    if "ALLOWED_PATHS" not in given and (folder / preflight.WORKSPACE).is_dir():
        decided["ALLOWED_PATHS"] = str(folder / preflight.WORKSPACE)
    address = None
    # The API's check of its settings reports it too.
    with contextlib.suppress(StartupError):
        address = preflight.parse_address(given)
    api, claude = build_environments({**environ, **decided}, dotenv)
    # A credential from the environment would go to an address from .env, which may be anybody's.
    mixed = (
        any(environ.get(name) for name in TOKEN_VARIABLES)
        and bool(dotenv.get(BASE_URL_VARIABLE))
        and not environ.get(BASE_URL_VARIABLE)
    )
    if mixed:
        message = (
            f"The credential comes from the environment, {BASE_URL_VARIABLE} from .env, so the service is not asked."
        )
        findings.append(warning("credential", message, "Set both in the same place."))
    return Installation(
        can_ask_service=not mixed,
        kind="folder",
        source=folder,
        folder=folder,
        run_dir=run_dir,
        address=address,
        api=api,
        claude=claude,
        tools=build_tools_environment({**environ, **decided}, dotenv),
        secrets=(folder / ".env", run_dir / TOKEN_FILE),
        data_folders=(
            folder / given.get("DATA_DIR", DEFAULT_DATA_DIR),
            *([Path(given["TMPDIR"])] if "TMPDIR" in given else []),
        ),
        findings=tuple(findings),
        program=PYTHON_COMMAND,
    )


def inspect_units(environ: Mapping[str, str], units: Path = UNITS_FOLDER) -> Installation:
    """Returns what the units in this folder start, with the first instance of each executor."""
    common = {name: environ[name] for name in ("PATH", "LANG") if name in environ}
    services = {
        name: _read_unit(units, f"{name}.service") for name in ("claude-api", "claude-executor@", "tools-executor@")
    }
    environment = {name: {**common, **_read_environment(unit)} for name, unit in services.items()}
    findings = _check_names(
        problem
        for unit in services.values()
        for file in _list_environment_files(unit)
        for problem in list_unknown_settings(_read_variables(file), str(file))
    )
    credentials = {
        name: {
            secret: Path(path or os.devnull)
            for secret, _, path in (value.partition(":") for value in unit.get("LoadCredential", []))
        }
        for name, unit in services.items()
    }
    secret_files = {path for files in credentials.values() for path in files.values()}
    api = environment["claude-api"]
    key = credentials["claude-api"].get("API_SECRET_TOKEN")
    if key and not os.access(key, os.R_OK):
        # `check_secrets` reports that it is not readable; everything else can be checked.
        api = {**api, "API_SECRET_TOKEN": PLACEHOLDER_TOKEN}
    user = services["tools-executor@"].get("User", ["nobody"])[-1]
    return Installation(
        kind="systemd",
        source=units,
        folder=Path(services["claude-api"].get("WorkingDirectory", ["/"])[-1]),
        run_dir=Path(api.get("RUN_DIR", "/run/claude-api-server")),
        address=_parse_listen_address(_read_unit(units, "claude-api.socket")),
        api=api,
        claude=environment["claude-executor@"],
        # As root, the check of the tools executor changes to the user in the unit.
        tools={**environment["tools-executor@"], "TOOLS_USER": user},
        secrets=tuple(sorted(secret_files)),
        credentials=credentials,
        data_folders=tuple(Path(api[name]) for name in ("DATA_DIR",) if name in api),
        findings=tuple(findings),
        program=PYTHON_COMMAND,
    )


def _check_names(unknown: Iterable[str]) -> list[Finding]:
    """Returns a warning for each name that is not a setting."""
    parts = [problem.partition("; ") for problem in unknown]
    return [warning("names", f"{problem}.", fix[0].upper() + fix[1:]) for problem, _, fix in parts] or [
        ok("names", "Every name that is set in a file is a setting.")
    ]


def _read_unit(units: Path, name: str) -> dict[str, list[str]]:
    """Returns the values in a unit and its drop-ins, by key. The keys that are read here occur in one section only."""
    found: dict[str, list[str]] = {}
    drop_ins = sorted((units / f"{name}.d").glob("*.conf"))
    for path in (units / name, *drop_ins):
        try:
            text = path.read_text(encoding="utf-8")
        except OSError:
            continue
        for key, value in re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE):
            # An empty value removes the earlier values.
            found[key] = [*found.get(key, []), value.replace("%i", "1")] if value else []
    return found


def _read_environment(unit: Mapping[str, list[str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in unit.get("Environment", []):
        found |= dict(pair.split("=", 1) for pair in shlex.split(line) if "=" in pair)
    for file in _list_environment_files(unit):
        found |= _read_variables(file)
    return found


def _list_environment_files(unit: Mapping[str, list[str]]) -> Iterator[Path]:
    return (Path(file.removeprefix("-")) for file in unit.get("EnvironmentFile", []))


def _read_variables(file: Path) -> dict[str, str]:
    """Returns the variables of an EnvironmentFile=; none if it does not exist or this user can't read it."""
    try:
        return {name: value for name, value in dotenv_values(file, interpolate=False).items() if value}
    except OSError:
        return {}


def _parse_listen_address(socket: Mapping[str, list[str]]) -> Address | None:
    for stream in socket.get("ListenStream", []):
        host, _, port = stream.rpartition(":")
        if port.isdigit():
            return Address(host.strip("[]") or "0.0.0.0", int(port))
    return None
