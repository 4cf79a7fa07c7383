"""The clients whose requests are recorded, and how each is started.

Invariants: what is run is the manual's example, as it stands there but for the address; more is run only where a client speaks more
than one dialect.
"""

from msgspec import Struct

PYTHON = "python example.python"
NODE = "node example.js"
WEATHER = ("weather", '{"city":"Oslo"}')


class Client(Struct, frozen=True):
    """A client. title: its heading in the manual. package: whose version is told. language: of the manual's block.

    run: the shell's line, in a folder with the block in `example.LANGUAGE`. call, answer: what the model does.
    """

    title: str
    package: str
    language: str
    run: str
    call: tuple[str, str] | None = None
    answer: str | None = None


CLIENTS = {
    "openai_python": Client("openai-python", "openai", "python", PYTHON),
    "openai_node": Client("openai-node", "openai", "js", NODE),
    "anthropic_python": Client("anthropic-python", "anthropic", "python", PYTHON),
    "anthropic_node": Client("Anthropic's SDK for TypeScript", "@anthropic-ai/sdk", "js", NODE),
    "openai_agents": Client("OpenAI Agents SDK", "openai-agents", "python", PYTHON, WEATHER),
    "langchain": Client("LangChain", "langchain-openai", "python", PYTHON, WEATHER),
    "llamaindex": Client("LlamaIndex", "llama-index-llms-openai-like", "python", PYTHON, WEATHER),
    "litellm": Client("LiteLLM", "litellm", "python", PYTHON),
    "ai_sdk": Client("Vercel AI SDK", "ai", "js", NODE, WEATHER),
    "ai_sdk_more": Client(
        "Vercel AI SDK",
        "ai",
        "js",
        "cp $RECORDER/ai_sdk_more.js . && node ai_sdk_more.js",
        WEATHER,
        '{"city":"Oslo"}',
    ),
    "codex": Client(
        "Codex CLI",
        "@openai/codex",
        "toml",
        "mkdir -p ~/.codex project && cp example.toml ~/.codex/config.toml && cd project && "
        "codex exec -c analytics.enabled=false --skip-git-repo-check -s danger-full-access 'Say it.'",
        ("exec_command", '{"cmd":"echo from-the-client"}'),
    ),
    "continue": Client(
        "Continue",
        "@continuedev/cli",
        "yaml",
        "mkdir -p ~/.continue && sed s/KEY/$KEY/ example.yaml > ~/.continue/config.yaml && "
        "CONTINUE_TELEMETRY_ENABLED=0 CONTINUE_CLI_ENABLE_TELEMETRY=0 cn --config ~/.continue/config.yaml --auto -p 'Say it.'",
        ("Bash", '{"command":"echo from-the-client"}'),
    ),
    "aider": Client(
        "aider",
        "aider-chat",
        "sh",
        "git init -q . && git config user.email a@example.org && git config user.name a && echo 'x = 1' > a.py && git add . && "
        'aider() { command aider "$@" --analytics-disable --no-check-update --yes-always --no-show-release-notes '
        "--no-show-model-warnings --message 'Say it.' a.py; }; . ./example.sh",
    ),
    "open_webui": Client("Open WebUI", "open-webui", "sh", ". $RECORDER/open_webui.sh"),
    "n8n": Client("n8n", "n8n", "json", ". $RECORDER/n8n.sh", ("Calculator", '{"input":"2 + 2"}')),
}
