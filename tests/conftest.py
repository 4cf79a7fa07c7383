"""What every test may ask for."""

import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """Asyncio, as in production."""
    return ("asyncio", {"use_uvloop": False})
