"""The application without its outer layers, and the API description that it makes."""

from pathlib import Path
from typing import Any

from litestar import Litestar

from api.app import create_app
from api.http.drain import Drain
from api.openapi.document import Documentation
from api.settings import Settings
from tests.support.stack import API_KEY


def build_app(run_dir: Path = Path("/run/none"), **settings: Any) -> Litestar:
    """The Litestar application for these settings."""
    known: Any = {"api_secret_token": API_KEY, "run_dir": run_dir, **settings}
    application: Any = create_app(Settings(**known), Drain(0))
    while not isinstance(application, Litestar):
        application = application._app
    return application


def build_document(**settings: Any) -> Any:
    """The OpenAPI document of a server with these settings."""
    provider: Any = build_app(**settings).dependencies["documentation"]
    documentation: Documentation = provider.dependency()
    return documentation.document
