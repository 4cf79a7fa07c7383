"""Endpoints of OpenAI and Anthropic that this server does not have, each with an alternative. Pure.

Invariants: a client that probes one gets a 404 with the code `not_supported`, which a wrong address does not have.
"""

from api.core.problems import Problem

NO_AUDIO = "Audio is not supported"
NO_FILES = "Files are not stored. Send them in the messages of POST /v1/chat/completions"
NO_TRAINING = "Claude models cannot be fine-tuned here. Put instructions into the system message"
NO_STATE = "Send the complete conversation to POST /v1/chat/completions"

UNSUPPORTED_ENDPOINTS: dict[str, str] = {
    "embeddings": "Claude does not create embeddings. Use an embedding model of another service, or a local one",
    "images": "Claude does not create images. It reads them: send them in the messages of POST /v1/chat/completions",
    "audio": NO_AUDIO,
    "realtime": NO_AUDIO,
    "videos": "Claude does not create videos",
    "moderations": "Claude has no moderation model. Ask a model instead: POST /v1/chat/completions",
    "rerank": "Claude has no reranking model. Ask a model instead: POST /v1/chat/completions",
    "edits": "Send the text and the instruction to POST /v1/chat/completions",
    "files": NO_FILES,
    "uploads": NO_FILES,
    "vector_stores": NO_FILES,
    "containers": NO_FILES,
    "batches": "Batches are not supported. Send each request to POST /v1/chat/completions",
    "fine_tuning": NO_TRAINING,
    "fine-tunes": NO_TRAINING,
    "evals": "Evaluations are not supported",
    "assistants": NO_STATE,
    "threads": NO_STATE,
    "conversations": "Stored responses keep the conversation: send `previous_response_id` to POST /v1/responses",
    "responses/compact": "Conversations are not compacted here. Send the complete conversation to POST /v1/responses",
    "chatkit": NO_STATE,
    "skills": "Skills are not supported. Put instructions into the system message",
    "engines": "Models replaced engines. Send `model` to POST /v1/completions",
    "complete": "Send the conversation to POST /v1/messages",
    "messages/batches": "Batches are not supported. Send each request to POST /v1/messages",
    "organization": "The server has one owner and one account, so there is nothing to administer",
}


def find_unsupported(path: str) -> Problem | None:
    """Returns the problem of an unsupported endpoint; None if `path` is not one."""
    root, _, rest = path.strip("/").partition("/")
    parts = (rest if root == "v1" else f"{root}/{rest}").split("/")
    name = next((name for name in (parts[0], "/".join(parts[:2])) if name in UNSUPPORTED_ENDPOINTS), None)
    if name is None:
        return None
    return Problem(404, "not_supported", f"This server has no `/v1/{name}`. {UNSUPPORTED_ENDPOINTS[name]}.")
