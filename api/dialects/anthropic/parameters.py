"""Every parameter of Anthropic's messages and its treatment. The documentation has the same table."""

from api.conversation.parameters import Parameter

MESSAGES_PARAMETERS: dict[str, Parameter] = {
    "messages": Parameter("supported", "each message reaches the model as a message of its own role"),
    "model": Parameter("supported", "a name of GET /v1/models; DEFAULT_MODEL without one"),
    "max_tokens": Parameter("supported", "required, at least 1; the service refuses more than the model can write"),
    "system": Parameter(
        "supported", "texts, in order; then those of `role: system` messages before the first of another role"
    ),
    "stream": Parameter("supported", ""),
    "tools": Parameter(
        "supported",
        "with their names, descriptions and schemas; bash, text_editor and memory too; server tools are dropped",
    ),
    "tool_choice": Parameter("supported", "with `disable_parallel_tool_use`; an unknown `type` is `auto`, and named"),
    "stop_sequences": Parameter("supported", "texts of white space only are watched for here"),
    "thinking": Parameter(
        "supported",
        "whether it is shown; `budget_tokens` sets the effort; `disabled` is `low`; unknown values are taken for the nearest, "
        "and named",
    ),
    "output_config": Parameter(
        "supported", "`effort`, and `format` with a JSON schema; the rest of it, and unknown values, are named"
    ),
    "output_format": Parameter("supported", "the former name of `output_config.format`"),
    "temperature": Parameter("ignored", "current models take none", range=(0, 1)),
    "top_p": Parameter("ignored", "current models take none", range=(0, 1)),
    "top_k": Parameter("ignored", "current models take none", range=(0, 1_000_000)),
    "context_management": Parameter("ignored", "the conversation is not edited here"),
    "fallbacks": Parameter("ignored", "no other model is asked when one declines"),
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
        "rejected", "no conversation is summarized here; ask the model for a summary", harmless=(None,)
    ),
    "container": Parameter("rejected", "no containers are kept here", harmless=(None,)),
    "mcp_servers": Parameter("rejected", "the server connects to no MCP servers of a client's", harmless=(None, [])),
    "thread": Parameter("rejected", "nothing is kept between requests; send the whole conversation", harmless=(None,)),
}
