"""What clients of OpenAI's and Anthropic's look for and this server does not have, with what to do instead. Pure.

Invariants: a client that probes gets a 404 that it can tell from a wrong address by its code, `not_supported`.
"""

from api.core.problems import Problem

NO_AUDIO = "Audio is not supported"
NO_FILES = "Files are not stored. Send them in the messages of POST /v1/chat/completions"
NO_STATE = "Send the whole conversation to POST /v1/chat/completions"

UNSUPPORTED_ENDPOINTS: dict[str, str] = {
    "embeddings": "Claude makes no embeddings. Use an embedding model of another service, or a local one",
    "images": "Claude makes no pictures. It reads them: send them in the messages of POST /v1/chat/completions",
    "audio": NO_AUDIO,
    "realtime": NO_AUDIO,
    "videos": "Claude makes no videos",
    "moderations": "Claude has no moderation model. A model can be asked: POST /v1/chat/completions",
    "rerank": "Claude has no reranking model. A model can be asked: POST /v1/chat/completions",
    "edits": "Send the text and what is to be done with it to POST /v1/chat/completions",
    "files": NO_FILES,
    "uploads": NO_FILES,
    "vector_stores": NO_FILES,
    "containers": NO_FILES,
    "batches": "Batches are not supported. Send each request to POST /v1/chat/completions",
    "fine_tuning": "Claude's models can't be trained here. Say what you want in the system message",
    "fine-tunes": "Claude's models can't be trained here. Say what you want in the system message",
    "evals": "Evaluations are not run here",
    "assistants": NO_STATE,
    "threads": NO_STATE,
    "conversations": "What was said before is kept with responses: send `previous_response_id` to POST /v1/responses",
    "responses/compact": "No conversation is made shorter here. Send it to POST /v1/responses as it is",
    "chatkit": NO_STATE,
    "skills": "No skills are kept here. Say in the system message what is to be done, and how",
    "engines": "Engines are models now. Name one in `model` of POST /v1/completions",
    "complete": "Send the conversation to POST /v1/messages",
    "messages/batches": "Batches are not supported. Send each request to POST /v1/messages",
    "organization": "One owner, one account: there is nothing to administer by this API",
}


def find_unsupported(path: str) -> Problem | None:
    """What to say to who asks for `path`; None if it is nothing known."""
    root, _, rest = path.strip("/").partition("/")
    words = (rest if root == "v1" else f"{root}/{rest}").split("/")
    name = next((name for name in (words[0], "/".join(words[:2])) if name in UNSUPPORTED_ENDPOINTS), None)
    if name is None:
        return None
    return Problem(404, "not_supported", f"This server has no `/v1/{name}`. {UNSUPPORTED_ENDPOINTS[name]}.")
