"""Every parameter of Anthropic's messages and what becomes of it; the manual repeats the table."""

from api.parameters import Parameter

MESSAGES: dict[str, Parameter] = {
    "messages": Parameter("honoured", "each message reaches the model as a message of its own role"),
    "model": Parameter("honoured", "a name of GET /v1/models; DEFAULT_MODEL without one"),
    "max_tokens": Parameter("honoured", "required; the service's own limit"),
    "system": Parameter("honoured", "texts, in order, with those of `role: system` messages after them"),
    "stream": Parameter("honoured", ""),
    "tools": Parameter(
        "honoured",
        "with their names, descriptions and schemas; bash, text_editor and memory too; server tools are dropped",
    ),
    "tool_choice": Parameter("honoured", "with `disable_parallel_tool_use`"),
    "stop_sequences": Parameter("honoured", "texts of white space only are watched for here"),
    "thinking": Parameter("honoured", "whether it is shown; `budget_tokens` sets the effort; `disabled` is `low`"),
    "output_config": Parameter("honoured", "`effort`, and `format` with a JSON schema"),
    "output_format": Parameter("honoured", "the former name of `output_config.format`"),
    "temperature": Parameter("ignored", "current models take none", range=(0, 1)),
    "top_p": Parameter("ignored", "current models take none", range=(0, 1)),
    "top_k": Parameter("ignored", "current models take none", range=(0, 1_000_000)),
    "context_management": Parameter("ignored", "the conversation is not edited here"),
    "metadata": Parameter("meaningless", ""),
    "service_tier": Parameter("meaningless", ""),
    "cache_control": Parameter("meaningless", "the CLI caches by content"),
    "inference_geo": Parameter("meaningless", ""),
    "speed": Parameter("meaningless", ""),
    "container": Parameter("refused", "no containers are kept here", harmless=(None,)),
    "mcp_servers": Parameter("refused", "the server connects to no MCP servers of a client's", harmless=(None, [])),
    "thread": Parameter("refused", "nothing is kept between requests; send the whole conversation", harmless=(None,)),
}
