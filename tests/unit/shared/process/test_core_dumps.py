"""Memory of a program stays its own."""

import json
import subprocess
import sys

from tests.support.stack import REPOSITORY

PROGRAM = """
import ctypes, json, os, resource
from shared.process import core_dumps
core_dumps.disable()
core_dumps.hide_memory()
shown = [len(os.listdir("/proc/self/fd")) > 0, bool(open("/proc/self/status").read())]
print(json.dumps([resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), shown]))
"""


def test_no_core_file_is_written_and_nobody_looks_in():
    """Also where the limit was higher; the program still sees itself."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [[0, 0], 0, [True, True]]
