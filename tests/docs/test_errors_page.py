"""The table of refusals has every problem that the API raises, and no other."""

import ast

from litestar.exceptions import HTTPException

from api.core.problems import problem_from_http_exception
from api.media.blocks import RemoteDocument, RemoteMedia
from tests.docs.test_names import parse_sources
from tests.support.manual import find_section, parse_rows


def find_problems() -> set[tuple[str, int]]:
    """Finds the code and status of every problem that the API raises itself."""
    found = {
        (problem.code, problem.status)
        for problem in (
            problem_from_http_exception(HTTPException(status_code=status)) for status in (400, 404, 405, 413, 415)
        )
    }
    for path, tree in parse_sources("api"):
        for call in ast.walk(tree):
            if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
                continue
            match call.func.id, call.args:
                case "Problem", [ast.Constant(value=int(status)), ast.Constant(value=str(code)), *_]:
                    found.add((code, status))
                case "invalid_problem", [_, _, ast.Constant(value=str(code))]:
                    found.add((code, 400))
                case "invalid_problem", _:
                    found.add(("invalid_value", 400))
                case "media_problem", [ast.Constant(value=str(code)), _, _, *status] if path.parent.name == "media":
                    found.add((code, int(ast.unparse(status[0])) if status else 400))
                case "media_problem", [ast.JoinedStr(values=[_, ast.Constant(value=str(fault))]), _, _, *status]:
                    # The code begins with the kind of the media.
                    for media in (RemoteMedia, RemoteDocument):
                        found.add((media.KIND + fault, int(ast.unparse(status[0])) if status else 400))
                case _:
                    pass
    return found


def test_the_table_of_refusals_is_complete():
    """Each problem has a row with its status."""
    table = parse_rows(find_section("When the request is refused"))
    assert {(row[0], int(row[1])) for row in table} == find_problems()


def test_every_problem_is_found():
    """Each Problem has a constant status and code, or is built by a function known here."""
    known = {"problem_from_failure", "problem_from_http_exception", "invalid_problem", "media_problem"}
    for path, tree in parse_sources("api"):
        for function in ast.walk(tree):
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) or function.name in known:
                continue
            for call in ast.walk(function):
                if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "Problem":
                    shape = [type(argument) for argument in call.args[:2]]
                    assert shape == [ast.Constant, ast.Constant], f"{path}: {ast.unparse(call)}"
