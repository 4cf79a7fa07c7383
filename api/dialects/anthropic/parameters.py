"""All parameters of Anthropic's messages and how the server treats them."""

from api.conversation.parameters import Parameter, build_table, ignored
from api.dialects.anthropic.models import MessagesRequest

MESSAGES_PARAMETERS = build_table(
    MessagesRequest,
    {
        "temperature": ignored("current models do not accept it", 0, 1),
        "top_p": ignored("current models do not accept it", 0, 1),
        "top_k": ignored("current models do not accept it", 0, 1_000_000),
        "context_management": ignored("the server does not edit the conversation"),
        "fallbacks": ignored("no other model answers if a model refuses"),
        "billing_policy": ignored("the account of the server's owner is billed"),
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
    },
)
