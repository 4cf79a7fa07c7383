"""Decodes the bodies of REST. Pure.

Invariants: a field of a wrong type is rejected by its name; unknown fields are accepted and ignored.
"""

from functools import partial

import msgspec

from api.agent.requests import AnalyzeRequest, BashRequest, ChatRequest, CodeRequest, FileReadRequest
from api.conversation.fields import decode_json

# Each returns the request of a body. Raises Problem (400).
decode_chat = partial(decode_json, decoder=msgspec.json.Decoder(ChatRequest))
decode_code = partial(decode_json, decoder=msgspec.json.Decoder(CodeRequest))
decode_analyze = partial(decode_json, decoder=msgspec.json.Decoder(AnalyzeRequest))
decode_file_read = partial(decode_json, decoder=msgspec.json.Decoder(FileReadRequest))
decode_bash = partial(decode_json, decoder=msgspec.json.Decoder(BashRequest))
