"""Property tests promise outcomes, not times: on a busy machine a single example may take long."""

from hypothesis import settings

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
