"""The containers, as they are written down: every promise of compose.yaml, and of the images, is looked at in the files.

What only an engine shows is in test_compose_up.py.
"""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose

from api.settings import Settings as ApiSettings
from cli import container_health
from cli.up.environment import CREDENTIAL_VARIABLES, NETWORK_VARIABLES, SETTINGS, TELEMETRY_VARIABLES
from executor.settings import Settings as ExecutorSettings
from tests.observability.expressions import alerts
from tests.support.stack import REPOSITORY, Stack, find_free_port

# The programs take seconds to start, and more on a busy machine.
FOLDER = REPOSITORY / "deploy/compose"
IMAGES = {"api", "claude-executor", "tools-executor"}
WATCHING = {"prometheus", "grafana", "collector", "tempo"}
OURS = "/run/claude-api-server"


def filled(text: str) -> str:
    """With the default of each variable, as when none is set."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


TEXT = filled((FOLDER / "compose.yaml").read_text(encoding="utf-8"))
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (FOLDER / "Dockerfile").read_text(encoding="utf-8")


def stages() -> dict[str, list[tuple[str, str]]]:
    """The instructions of each stage of the Dockerfile."""
    found: dict[str, list[tuple[str, str]]] = {}
    name = ""
    for line in re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.MULTILINE)).splitlines():
        word, _, rest = line.partition(" ")
        if word == "FROM":
            name = rest.rpartition(" ")[2]
            found[name] = [(word, rest)]
        elif word:
            found[name].append((word, rest))
    return found


STAGES = stages()


def list_instructions(stage: str, word: str) -> list[str]:
    """What a stage says by an instruction, and those that it is made from."""
    own = [rest for each, rest in STAGES[stage] if each == word]
    source = STAGES[stage][0][1].split(" ")[0]
    return [*(list_instructions(source, word) if source in STAGES else []), *own]


def validated(text: str) -> list[str]:
    """The services of a file, as the specification has it. Raises ValueError."""
    document: dict[str, Any] = yaml.safe_load(text)
    # What is put together from pieces is: the library that reads it knows no merges inside of extensions.
    plain = json.dumps({name: part for name, part in document.items() if not name.startswith("x-")})
    read = PyCompose.from_yaml(plain)
    read.validate()
    return read.service_names()


def test_it_is_what_the_compose_specification_allows():
    """No unknown key, no wrong value, no network, volume or secret that is not declared."""
    assert set(validated(TEXT)) == set(SERVICES)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("cap_drop:", "cap_dropp:"),
        ("restart: unless", "restart: maybe"),
        ("  egress: {}", "  other: {}"),
        ("1g", "1 gram"),
    ],
)
def test_what_the_specification_does_not_allow_is_found(right: str, wrong: str):
    """So that the test above can fail."""
    with pytest.raises(ValueError):  # noqa: PT011 # in words of the library's own
        validated(TEXT.replace(right, wrong))


def test_the_least_is_three_containers_and_a_profile_shows_how_they_are():
    """`docker compose up` starts the programs; the four others only with the profile."""
    assert {name for name, service in SERVICES.items() if "profiles" not in service} == IMAGES
    assert {name for name, service in SERVICES.items() if service.get("profiles") == ["watch"]} == WATCHING
    assert set(SERVICES) == IMAGES | WATCHING


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_container_has_no_more_than_it_needs(name: str):
    """No root, no capability, no new rights, no writing but in volumes and memory; limits; and it comes back."""
    service = SERVICES[name]
    uid, _, _ = service["user"].partition(":")
    assert int(uid) > 0
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] == "unless-stopped"
    limits = service["deploy"]["resources"]["limits"]
    assert limits.keys() == {"cpus", "memory", "pids"}
    assert service["ulimits"] == {"core": 0}
    for forbidden in ("privileged", "pid", "ipc", "devices", "userns_mode", "extends"):
        assert forbidden not in service
    assert not [volume for volume in service.get("volumes", []) if "docker.sock" in str(volume)]
    for mount in service.get("tmpfs", []):
        assert {"noexec", "nosuid", "nodev"} <= set(mount.partition(":")[2].split(","))


def test_the_three_have_users_of_their_own_and_the_images_have_the_same():
    """As the units have; who is in whose group decides who reaches whose socket."""
    made = dict(re.findall(r"useradd --uid (\d+) --gid (\d+)", DOCKERFILE))
    users = {name: SERVICES[name]["user"] for name in IMAGES}
    assert len(set(users.values())) == 3
    for name, user in users.items():
        uid, _, gid = user.partition(":")
        assert made[uid] == gid
        assert list_instructions(name, "USER") == [user]
    claude, tools = (users[name].partition(":")[2] for name in ("claude-executor", "tools-executor"))
    assert SERVICES["api"]["group_add"] == ["10000", claude, tools]
    assert SERVICES["claude-executor"]["group_add"] == SERVICES["tools-executor"]["group_add"] == ["10000"]


def test_sockets_lie_in_memory_in_a_folder_of_each_executor_s_own():
    """Nobody else may write in it, or has it; the API may enter, and only connects."""
    for role in ("claude", "tools"):
        options = COMPOSE["volumes"][f"{role}-sockets"]["driver_opts"]
        assert options["type"] == "tmpfs"
        given = dict(option.partition("=")[::2] for option in options["o"].split(","))
        user = SERVICES[f"{role}-executor"]["user"].partition(":")[0]
        assert (given["uid"], given["gid"], given["mode"]) == (user, "10000", "0750")
        assert {"noexec", "nosuid", "nodev"} <= given.keys()
    mounts = {
        name: [volume for volume in map(str, service.get("volumes", [])) if "sockets:" in volume]
        for name, service in SERVICES.items()
    }
    assert {name: found for name, found in mounts.items() if found} == {
        "api": [f"claude-sockets:{OURS}/claude:ro", f"tools-sockets:{OURS}/tools:ro"],
        "claude-executor": [f"claude-sockets:{OURS}"],
        "tools-executor": [f"tools-sockets:{OURS}"],
    }
    assert f"RUN_DIR={OURS}" in " ".join(list_instructions("base", "ENV"))


def test_keys_and_the_ledger_have_a_volume_of_the_api():
    """Its own user's, and no other container has it."""
    [folder] = re.findall(r"DATA_DIR=(\S+)", " ".join(list_instructions("api", "ENV")))
    assert f"data:{folder}" in SERVICES["api"]["volumes"]
    assert "data" in COMPOSE["volumes"]
    assert [
        run
        for run in list_instructions("api", "RUN")
        if run == f"install --directory --owner 10001 --group 10001 --mode 0700 {folder}"
    ]
    assert [name for name, service in SERVICES.items() if folder in str(service.get("volumes"))] == ["api"]


def test_the_networks_are_for_those_who_need_them():
    """The tools have none; the executor with the credential has the way out, and takes nobody in."""
    assert SERVICES["tools-executor"]["network_mode"] == "none"
    assert "networks" not in SERVICES["tools-executor"]
    assert set(SERVICES["claude-executor"]["networks"]) == {"egress", "watch"}
    assert [name for name, service in SERVICES.items() if "egress" in service.get("networks", {})] == [
        "claude-executor"
    ]
    assert COMPOSE["networks"]["watch"]["internal"] is True
    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert ports == {"api": ["127.0.0.1:8020:8020"], "grafana": ["127.0.0.1:3000:3000"]}


def test_secrets_are_files_for_the_one_program_that_needs_them():
    """The API has no credential, the executors not the clients' key, the tools nothing; none is in an environment."""
    given = {name: {_target(secret) for secret in service.get("secrets", [])} for name, service in SERVICES.items()}
    assert given["api"] == {"API_SECRET_TOKEN"}
    assert given["claude-executor"] == {"CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_API_KEY"}
    assert given["tools-executor"] == set()
    assert "CREDENTIALS_DIRECTORY=/run/secrets" in " ".join(list_instructions("base", "ENV"))
    secret = {"API_SECRET_TOKEN", *CREDENTIAL_VARIABLES} - {"ANTHROPIC_BASE_URL"}
    for service in SERVICES.values():
        assert not secret & set(service.get("environment", {}))
    assert not [word for word in secret if re.search(rf"(ENV|ARG) .*{word}", DOCKERFILE)]
    assert all(what["file"].startswith("secrets/") for what in COMPOSE["secrets"].values())


def _target(secret: Any) -> str:
    return secret["target"] if isinstance(secret, dict) else secret


def test_each_program_has_a_file_of_settings_of_its_own():
    """So a credential's setting that stands in one reaches no other program."""
    files = {name: service["env_file"] for name, service in SERVICES.items() if "env_file" in service}
    expected = {"api": "api.env", "claude-executor": "claude-executor.env", "tools-executor": "tools-executor.env"}
    assert files == {name: [{"path": file, "required": False}] for name, file in expected.items()}


def test_every_variable_is_one_that_its_program_reads():
    """In the images and beside them."""
    of_api = {name.upper() for name in ApiSettings.model_fields}
    of_executor = {name.upper() for name in ExecutorSettings.model_fields}
    known = {"api": of_api, "claude-executor": of_executor, "tools-executor": of_executor}
    everywhere = {*TELEMETRY_VARIABLES, *NETWORK_VARIABLES, "CREDENTIALS_DIRECTORY", "PATH", "PYTHONDONTWRITEBYTECODE"}
    for name, settings in known.items():
        assert set(SERVICES[name]["environment"]) <= settings | everywhere
        in_image = set(re.findall(r"(\w+)=", " ".join(list_instructions(name, "ENV"))))
        assert in_image <= {*SETTINGS, *everywhere}
        shared = {"LOG_FORMAT", "DRAIN_TIMEOUT", "RUN_DIR"}
        assert in_image - everywhere - shared <= settings
    # A program drains within the time that the engine gives it.
    drain = int(re.findall(r"DRAIN_TIMEOUT=(\d+)", DOCKERFILE)[0])
    assert all(int(SERVICES[name]["stop_grace_period"].rstrip("s")) >= drain + 5 for name in IMAGES)


def test_every_variable_of_compose_s_own_is_in_its_example():
    """And nothing else is."""
    raw = (FOLDER / "compose.yaml").read_text(encoding="utf-8")
    example = (FOLDER / ".env.example").read_text(encoding="utf-8")
    read = set(re.findall(r"\$\{(\w+)", raw))
    assert set(re.findall(r"^#(\w+)=", example, re.MULTILINE)) == {*read, "COMPOSE_PROFILES"}
    for name, value in re.findall(r"\$\{(\w+):-([^}]+)\}", raw):
        assert f"#{name}={value}\n" in example


def test_everything_that_is_mounted_or_copied_is_there():
    """In the repository, or made by prepare.sh."""
    for name, service in SERVICES.items():
        for volume in service.get("volumes", []):
            source = volume["source"] if isinstance(volume, dict) else volume.split(":")[0]
            if source.startswith("."):
                assert (FOLDER / source).exists() or source == "./workspace", f"{name}: {source}"
            else:
                assert source in COMPOSE["volumes"]
    context = {"packages": REPOSITORY}
    for stage in STAGES:
        for copied in (rest for word, rest in STAGES[stage] if word == "COPY"):
            *sources, _ = copied.split(" ")
            if sources[0].startswith("--from="):
                assert sources[0].removeprefix("--from=") in STAGES
                continue
            assert all((context.get(stage, REPOSITORY) / source).exists() for source in sources), copied
    assert set(IMAGES) <= set(STAGES)
    assert {service["build"]["target"] for service in (SERVICES[name] for name in IMAGES)} == IMAGES


def test_an_image_has_the_code_of_its_own_program_only():
    """The API has no executor in it, but its owner's commands, the executors no API; the CLI is in one image, from the lock."""
    code = {
        name: {rest.split(" ")[0] for rest in list_instructions(name, "COPY") if not rest.startswith("--")}
        for name in IMAGES
    }
    assert code["api"] - code["claude-executor"] == {"api", "cli"}
    assert code["claude-executor"] == code["tools-executor"]
    assert code["claude-executor"] - code["api"] == {"executor"}
    packages = {
        name: [rest for rest in list_instructions(name, "COPY") if rest.startswith("--from=")] for name in IMAGES
    }
    assert {name: copied[0].split(" ")[0] for name, [*copied] in packages.items()} == {
        "api": "--from=without-cli",
        "claude-executor": "--from=packages",
        "tools-executor": "--from=without-cli",
    }
    [install] = [rest for rest in list_instructions("packages", "RUN") if "uv pip install" in rest]
    assert "--constraints requirements.lock --requirements pyproject.toml --extra cluster" in install
    assert "claude-agent-sdk==" in (REPOSITORY / "requirements.lock").read_text(encoding="utf-8")
    assert "rm -rf .venv/lib/python3.13/site-packages/claude_agent_sdk/_bundled" in list_instructions(
        "without-cli", "RUN"
    )


def test_nothing_secret_can_be_sent_to_the_builder():
    """Only what is named is; the folder of secrets is not."""
    lines = (FOLDER / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    listed = [line for line in lines if line and not line.startswith("#")]
    assert listed[0] == "*"
    assert {line.removeprefix("!") for line in listed if line.startswith("!")} == {
        *(
            "api",
            "executor",
            "shared",
            "cli",
        ),
        *("pyproject.toml", "requirements.lock"),
    }
    copied = {
        source.partition("/")[0]
        for name in STAGES
        for rest in list_instructions(name, "COPY")
        if "--from" not in rest
        for source in rest.split(" ")[:-1]
    }
    assert copied == {line.removeprefix("!") for line in listed if line.startswith("!")}


def test_versions_are_pinned():
    """No image of chance: a version of three numbers for each, and for what installs the lock the Makefile's."""
    used = [*(service["image"] for name, service in SERVICES.items() if name in WATCHING)]
    used += [rest.split(" ")[0] for stage in STAGES.values() for word, rest in stage if word == "FROM"]
    foreign = [image for image in used if image not in STAGES]
    assert len(foreign) == 6
    assert [image for image in foreign if not re.search(r":v?\d+\.\d+\.\d+(-[a-z-]+)?$", image)] == []
    [version] = re.findall(r"'uv==([\d.]+)'", DOCKERFILE)
    assert f"'uv~={version}'" in (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    python = (REPOSITORY / ".python-version").read_text(encoding="utf-8").strip()
    assert f"FROM python:{python}." in DOCKERFILE
    assert f"/python{python}/" in DOCKERFILE


def test_prometheus_is_let_in_by_its_address_and_has_the_rules():
    """It holds no key; its rules are those of deploy/prometheus."""
    address = SERVICES["prometheus"]["networks"]["watch"]["ipv4_address"]
    assert SERVICES["api"]["environment"]["METRICS_ALLOW"] == address
    [config] = COMPOSE["networks"]["watch"]["ipam"]["config"]
    assert address.startswith(config["subnet"].rpartition(".")[0])
    scraping = yaml.safe_load((FOLDER / "prometheus.yml").read_text(encoding="utf-8"))
    [job] = scraping["scrape_configs"]
    assert job["static_configs"] == [{"targets": ["api:8020"]}]
    mounts = dict(volume.split(":")[1::-1] for volume in SERVICES["prometheus"]["volumes"])
    assert mounts[scraping["rule_files"][0]] == "../prometheus/rules.yml"
    assert alerts()
    tool = shutil.which("promtool")
    if tool:
        (REPOSITORY / "deploy/prometheus/rules.yml").read_text(encoding="utf-8")
        said_ = subprocess.run(
            [tool, "check", "config", "--syntax-only", FOLDER / "prometheus.yml"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert said_.returncode == 0, said_.stdout + said_.stderr


def test_grafana_is_given_its_sources_and_the_dashboard():
    """The data sources' hosts are services; the dashboard's folder is where the provider looks, and its home page."""
    sources = yaml.safe_load((FOLDER / "grafana/datasources.yml").read_text(encoding="utf-8"))["datasources"]
    assert {source["type"]: source["url"] for source in sources} == {
        "prometheus": "http://prometheus:9090",
        "tempo": "http://tempo:3200",
    }
    [provider] = yaml.safe_load((FOLDER / "grafana/dashboards.yml").read_text(encoding="utf-8"))["providers"]
    mounts = {volume.split(":")[1]: volume.split(":")[0] for volume in SERVICES["grafana"]["volumes"]}
    source = mounts[provider["options"]["path"]]
    home = Path(SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert str(home.parent) == provider["options"]["path"]
    assert json.loads((FOLDER / source / home.name).read_text(encoding="utf-8"))["uid"] == "claude-api-server"
    password = SERVICES["grafana"]["environment"]["GF_SECURITY_ADMIN_PASSWORD__FILE"]
    assert password.rpartition("/")[2] in COMPOSE["secrets"]


def test_traces_go_from_the_programs_to_the_collector_to_the_store():
    """Off, unless the endpoint is set; then each hop listens where the one before sends."""
    collector = yaml.safe_load((FOLDER / "collector.yml").read_text(encoding="utf-8"))
    tempo = yaml.safe_load((FOLDER / "tempo.yml").read_text(encoding="utf-8"))
    example = (FOLDER / ".env.example").read_text(encoding="utf-8")
    assert "#OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318\n" in example
    assert collector["receivers"]["otlp"]["protocols"]["http"]["endpoint"].endswith(":4318")
    assert collector["exporters"]["otlphttp"]["endpoint"] == "http://tempo:4318"
    assert tempo["distributor"]["receivers"]["otlp"]["protocols"]["http"]["endpoint"].endswith(":4318")
    assert tempo["server"]["http_listen_port"] == 3200
    [pipeline] = collector["service"]["pipelines"].values()
    used = {name for names in pipeline.values() for name in names}
    assert used == {*collector["receivers"], *collector["processors"], *collector["exporters"]}
    assert [name for name in IMAGES if SERVICES[name]["environment"].get("OTEL_EXPORTER_OTLP_ENDPOINT") == ""] == []
    for name in ("api", "claude-executor"):
        assert not SERVICES[name]["environment"]["OTEL_EXPORTER_OTLP_ENDPOINT"]
        assert "watch" in SERVICES[name]["networks"]


def check_of(name: str) -> list[str]:
    """The words of a container's healthcheck, from `python` on."""
    test = SERVICES[name]["healthcheck"]["test"]
    assert test[0] == "CMD"
    return test[1:]


async def ran(arguments: list[str]) -> tuple[int, str]:
    """A command of the images, run here."""
    assert arguments[0] == "python"
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments[1:], cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode().strip()


async def test_the_healthchecks_know_a_server_that_is_well(tools_stack: Stack):
    """The very commands, with this server's places for the containers'."""
    for name in sorted(IMAGES):
        command = [
            word.replace("http://127.0.0.1:8020", tools_stack.url).replace(OURS, str(tools_stack.run_dir))
            for word in check_of(name)
        ]
        assert await ran(command) == (0, "healthy")


async def test_the_healthchecks_know_one_that_is_not(tmp_path: Path):
    """Nobody there; an executor that serves nothing; and what is no address."""
    status, output = await ran(["python", "-m", "cli.container_health", str(tmp_path / "claude-1.sock")])
    assert (status, output.startswith("it does not answer")) == (1, True)
    status, output = await ran(
        ["python", "-m", "cli.container_health", f"http://127.0.0.1:{find_free_port()}/health/ready"]
    )
    assert (status, output.startswith("it does not answer")) == (1, True)
    status, output = await ran(["python", "-m", "cli.container_health"])
    assert (status, output.startswith("usage: ")) == (2, True)


async def test_a_server_that_can_not_answer_is_not_well(tmp_path: Path):
    """Readiness is looked at, not life alone; an executor's own problem is told."""
    async with Stack(
        None, settings={"CLAUDE_CLI_PATH": str(tmp_path / "gone")}, wait_ready=False, pool_size=0
    ) as stack:
        assert container_health.check_url(f"{stack.url}/health/live") == ""
        assert await asyncio.to_thread(container_health.check_url, f"{stack.url}/health/ready") == "it answers 503"
        assert "was not found" in await container_health.check_socket(stack.run_dir / "claude-1.sock")


def test_prepare_makes_keys_once_and_shows_none(tmp_path: Path):
    """The folder is its owner's alone; what is there is left as it is."""
    for name in ("prepare.sh", ".gitignore"):
        shutil.copy(FOLDER / name, tmp_path)
    before = os.umask(0)
    try:
        first = subprocess.run(["/bin/sh", tmp_path / "prepare.sh"], capture_output=True, text=True, check=True)
        files = {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "secrets").iterdir()}
        (tmp_path / "secrets/claude-code-oauth-token").write_text("sk-ant-oat01-invented", encoding="utf-8")
        subprocess.run(["/bin/sh", tmp_path / "prepare.sh"], capture_output=True, text=True, check=True)
    finally:
        os.umask(before)
    assert files.keys() == {what["file"].removeprefix("secrets/") for what in COMPOSE["secrets"].values()}
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "workspace").is_dir()
    key = files["api-secret-token"]
    assert re.fullmatch(r"[0-9a-f]{64}", key)
    assert key not in first.stdout + first.stderr
    assert (tmp_path / "secrets/api-secret-token").read_text(encoding="utf-8") == key
    assert (tmp_path / "secrets/claude-code-oauth-token").read_text(encoding="utf-8") == "sk-ant-oat01-invented"
    # Whoever a container's user is, the file can be read there.
    assert all(path.stat().st_mode & 0o444 == 0o444 for path in (tmp_path / "secrets").iterdir())
    ignored = (tmp_path / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert {"/secrets/", "/.env", "/workspace/", "/*.env"} <= set(ignored)
