"""All parameters of Anthropic's messages and how the server treats them; the docs repeat the table."""

from api.conversation.parameters import Parameter

MESSAGES_PARAMETERS: dict[str, Parameter] = {
    "messages": Parameter("supported", "each message reaches the model in its role"),
    "model": Parameter("supported", "a name from GET /v1/models; the default is DEFAULT_MODEL"),
    "max_tokens": Parameter("supported", "required, at least 1; the service rejects more than the model can write"),
    "system": Parameter(
        "supported",
        "texts, in order; the texts of `role: system` messages before the first message of another role follow",
    ),
    "stream": Parameter("supported", ""),
    "tools": Parameter(
        "supported",
        "with their names, descriptions and schemas, including bash, text_editor and memory; server tools are ignored",
    ),
    "tool_choice": Parameter(
        "supported", "with `disable_parallel_tool_use`; an unknown `type` means `auto`, and the header lists it"
    ),
    "stop_sequences": Parameter("supported", "the server itself matches texts that are only white space"),
    "thinking": Parameter(
        "supported",
        "whether the answer contains it; `budget_tokens` determines the effort; `disabled` means `low`; unknown values mean "
        "the nearest one, and the header lists them",
    ),
    "output_config": Parameter(
        "supported",
        "`effort`, and `format` with a JSON Schema; other fields and unknown values are ignored, and the header lists them",
    ),
    "output_format": Parameter("supported", "the former name of `output_config.format`"),
    "temperature": Parameter("ignored", "current models do not accept it", range=(0, 1)),
    "top_p": Parameter("ignored", "current models do not accept it", range=(0, 1)),
    "top_k": Parameter("ignored", "current models do not accept it", range=(0, 1_000_000)),
    "context_management": Parameter("ignored", "the server does not edit the conversation"),
    "fallbacks": Parameter("ignored", "no other model answers if a model refuses"),
    "billing_policy": Parameter("ignored", "the account of the server's owner is billed"),
    "metadata": Parameter("accepted", ""),
    "service_tier": Parameter("accepted", ""),
    "cache_control": Parameter("accepted", "the CLI caches by content"),
    "inference_geo": Parameter("accepted", ""),
    "speed": Parameter("accepted", ""),
    "safeguards": Parameter("accepted", ""),
    "diagnostics": Parameter("accepted", ""),
    "fallback_credit_token": Parameter("accepted", ""),
    "compaction": Parameter(
        "rejected", "the server does not summarize conversations; ask the model for a summary", harmless=(None,)
    ),
    "container": Parameter("rejected", "the server has no containers", harmless=(None,)),
    "mcp_servers": Parameter(
        "rejected", "the server does not connect to the MCP servers of a client", harmless=(None, [])
    ),
    "thread": Parameter(
        "rejected", "nothing is stored between requests; send the complete conversation", harmless=(None,)
    ),
}
