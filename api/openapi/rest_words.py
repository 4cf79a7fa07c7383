"""What is said of each struct and field of REST, and their limits."""

from typing import Any

from shared.tool_jobs import MAX_LINES

_PROMPT = "What is asked, 1 to MAX_PROMPT characters."
_MODEL = "A name of `GET /api/models`; without one, the server's default."
_SYSTEM = "Instructions that stand before the conversation."
_BUDGET = "What the answer may cost, in US dollars."
_STREAM = "Whether to send what happens as events, as it happens."
_ANSWER = {
    "result": "What the model said; after calls of tools, what it said last.",
    "model": "The model that answered.",
    "usage": "The tokens; null when the answer was ended before they were counted.",
    "duration_ms": "How long it took, in milliseconds.",
    "is_error": "Whether the answer is not what was asked for: cut, held back, or out of turns.",
    "stop_reason": "Why it ended: `end_turn`, `max_tokens`, `refusal`, `max_turns`, …",
}

REST_WORDS: dict[str, str] = {
    "ChatRequest": "A prompt.",
    "ChatRequest.prompt": _PROMPT,
    "ChatRequest.model": _MODEL,
    "ChatRequest.system_prompt": _SYSTEM,
    "ChatRequest.max_budget_usd": _BUDGET,
    "ChatRequest.stream": _STREAM,
    "CodeRequest": "A task on the server's allowed files.",
    "CodeRequest.prompt": _PROMPT,
    "CodeRequest.model": _MODEL,
    "CodeRequest.system_prompt": _SYSTEM,
    "CodeRequest.allowed_tools": "Only these of the tools there are: `Read`, `Glob`, `Grep`, `Bash`, and `Write` and `Edit` where "
    "writing is allowed.",
    "CodeRequest.max_budget_usd": _BUDGET,
    "CodeRequest.stream": _STREAM,
    "AnalyzeRequest": "A prompt about files.",
    "AnalyzeRequest.prompt": _PROMPT,
    "AnalyzeRequest.context_files": "Paths of allowed files: text, pictures, PDF, office documents.",
    "AnalyzeRequest.model": _MODEL,
    "AnalyzeRequest.system_prompt": _SYSTEM,
    "AnalyzeRequest.max_budget_usd": _BUDGET,
    "AnalyzeRequest.stream": _STREAM,
    "FileReadRequest": "A file to read.",
    "FileReadRequest.path": "The file's path.",
    "FileReadRequest.offset": "The first line, counted from 1.",
    "FileReadRequest.limit": "How many lines.",
    "BashRequest": "Shell text to run.",
    "BashRequest.command": "The shell text, less than 128 KiB; only allowed commands run.",
    "BashRequest.cwd": "An allowed folder to run it in; without it, the first allowed path.",
    "BashRequest.timeout": "Seconds until it is ended.",
    "BashRequest.stdin": "Its input.",
    "BashRequest.stream": _STREAM,
    "ChatAnswer": "What the model said.",
    **{f"ChatAnswer.{name}": words for name, words in _ANSWER.items()},
    "CodeAnswer": "What the model said in the end, and what it used.",
    **{f"CodeAnswer.{name}": words for name, words in _ANSWER.items()},
    "CodeAnswer.tools_used": "The calls of tools, in order.",
    "ToolUsed": "A call of a tool.",
    "ToolUsed.name": "The tool.",
    "ToolUsed.input": "Its arguments, in a line.",
    "ToolUsed.is_error": "Whether it was refused or failed.",
    "AnswerUsage": "Tokens, as the service counted them.",
    "AnswerUsage.input_tokens": "Read, but for those of the cache.",
    "AnswerUsage.output_tokens": "Written, thinking included.",
    "AnswerUsage.cache_read_input_tokens": "Read from the cache.",
    "AnswerUsage.cache_creation_input_tokens": "Written to the cache.",
    "AnswerUsage.cost_usd": "What the Claude Code CLI says it cost, in US dollars; null if it did not say so in time.",
    "FileAnswer": "A file, or lines of it.",
    "FileAnswer.path": "Its real path.",
    "FileAnswer.content": "Its text, or its bytes in base64.",
    "FileAnswer.size": "The size of the whole file, in bytes.",
    "FileAnswer.encoding": "What `content` is.",
    "FileAnswer.media_type": "The file's type.",
    "FileAnswer.first_line": "The first line of `content`, counted from 1; of texts only.",
    "FileAnswer.lines": "How many lines the whole file has; of texts only, and if they were counted to the end.",
    "FileAnswer.truncated": "Whether `content` is less than was asked for.",
    "BashAnswer": "What a command wrote, and how it ended.",
    "BashAnswer.stdout": "Its output; bytes that are not UTF-8 are replaced.",
    "BashAnswer.stderr": "Its other output.",
    "BashAnswer.returncode": "Its exit status, or minus the signal that ended it.",
    "BashAnswer.timed_out": "Whether its time was up.",
    "BashAnswer.truncated": "Whether it wrote more than is given back.",
    "ModelEntries": "Every name for a model.",
    "ModelEntries.models": "The names.",
    "ModelEntry": "A name for a model.",
    "ModelEntry.key": "The name.",
    "ModelEntry.model_id": "The model that it means today, as far as that is known.",
    "ModelEntry.default": "Whether it answers when none is named.",
    "RestError": "Why there is no answer.",
    "RestError.detail": "A sentence for people, which says what can be done.",
    "RestError.code": "What programs can act on.",
    "ToolsHealth": "A tools executor.",
    "ToolsHealth.name": "Its name.",
    "ToolsHealth.up": "Whether it takes jobs.",
    "ToolsHealth.max_concurrent": "Jobs at a time.",
    "ToolsHealth.running": "Jobs under way.",
    "ToolsHealth.waiting": "Jobs that wait.",
    "ToolsHealth.problem": "Why it serves nothing, and what to do; without a key, whether something is wrong.",
    "ToolsHealth.missing": "What its sandbox lacks on this host; for callers with a key.",
    "ToolsHealth.allowed_paths": "What may be read; for callers with a key.",
    "ToolsHealth.writable_paths": "What may be written to; for callers with a key.",
    "ToolsHealth.allowed_commands": "What may be run; for callers with a key.",
    "Health.tools": "The executors that serve files and commands.",
}

_SAYS = {"minLength": 1, "pattern": "\\S"}
REST_LIMITS: dict[str, dict[str, Any]] = {
    **{f"{ask}.prompt": _SAYS for ask in ("ChatRequest", "CodeRequest", "AnalyzeRequest")},
    **{
        f"{ask}.max_budget_usd": {"exclusiveMinimum": 0, "maximum": 10_000}
        for ask in ("ChatRequest", "CodeRequest", "AnalyzeRequest")
    },
    "CodeRequest.allowed_tools": {"items": {"enum": ["Read", "Glob", "Grep", "Bash", "Write", "Edit"]}},
    "AnalyzeRequest.context_files": {"items": {"type": "string", **_SAYS}, "maxItems": 100},
    "FileReadRequest.path": _SAYS,
    "FileReadRequest.offset": {"minimum": 1, "maximum": MAX_LINES},
    "FileReadRequest.limit": {"minimum": 1, "maximum": MAX_LINES},
    "BashRequest.command": _SAYS,
    "BashRequest.timeout": {"exclusiveMinimum": 0, "maximum": 86_400},
}
