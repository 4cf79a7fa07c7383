"""Finds the credential of the CLI in the executor's environment.

Invariants: the CLI gets a credential the way its documentation describes; no code here reads or changes it. A login stays in
the folder where `claude` put it, so that the CLI can refresh it.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from msgspec import Struct

type CredentialKind = Literal["none", "api_key", "auth_token", "oauth_token", "login"]

LOGIN_FILE = ".credentials.json"


class Credential(Struct, frozen=True):
    """environment: the variables that the CLI gets. bare: the CLI's `--bare` mode accepts this kind.

    folder: of a login, which the CLI reads and refreshes; empty for the other kinds.
    """

    kind: CredentialKind
    environment: dict[str, str]
    bare: bool
    folder: str = ""

    def __repr__(self) -> str:
        return f"<Credential {self.kind}>"


def find_credential(environ: Mapping[str, str]) -> Credential:
    """Returns the first credential found: an API key, a bearer token, a subscription token, a login."""
    return next(_list_credentials(environ), Credential("none", {}, bare=True))


def list_credential_kinds(environ: Mapping[str, str]) -> list[CredentialKind]:
    """Returns the kinds of all credentials found; the first is the one used."""
    return [found.kind for found in _list_credentials(environ)]


def _list_credentials(environ: Mapping[str, str]) -> Iterator[Credential]:
    if key := environ.get("ANTHROPIC_API_KEY"):
        yield Credential("api_key", {"ANTHROPIC_API_KEY": key}, bare=True)
    if token := environ.get("ANTHROPIC_AUTH_TOKEN"):
        yield Credential("auth_token", {"ANTHROPIC_AUTH_TOKEN": token}, bare=True)
    if token := environ.get("CLAUDE_CODE_OAUTH_TOKEN"):
        yield Credential("oauth_token", {"CLAUDE_CODE_OAUTH_TOKEN": token}, bare=False)
    folder = environ.get("CLAUDE_CONFIG_DIR")
    if folder and (Path(folder) / LOGIN_FILE).is_file():
        path = str(Path(folder).absolute())
        yield Credential("login", {"CLAUDE_SECURESTORAGE_CONFIG_DIR": path}, bare=False, folder=path)
