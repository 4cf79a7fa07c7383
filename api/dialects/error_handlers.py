"""Exception handlers of the application: every failure becomes an error in the dialect of its address."""

import structlog
from litestar import Request, Response
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from litestar.routes import HTTPRoute

from api.accounting.storage_sync import unavailable_problem
from api.core.problems import Problem, problem_from_failure, problem_from_http_exception
from api.database.engine import DatabaseUnavailable
from api.dialects.error_rendering import render_error
from api.dialects.unsupported import find_unsupported
from shared.errors import ErrorKind
from shared.events import Failed

log = structlog.get_logger()


def on_problem(request: Request[object, object, State], problem: Problem) -> Response[bytes]:
    """Renders a Problem."""
    return Response(
        render_error(request, problem),
        status_code=problem.status,
        headers=problem.build_headers(),
        media_type="application/json",
    )


def on_unavailable(request: Request[object, object, State], error: DatabaseUnavailable) -> Response[bytes]:
    """Renders a failure of the database."""
    return on_problem(request, unavailable_problem(str(error)))


def on_http_exception(request: Request[object, object, State], error: HTTPException) -> Response[bytes]:
    """Renders an error of the framework, and adds the allowed methods to a 405 (RFC 9110 §15.5.6)."""
    # An unsupported address such as /v1/responses/compact matches a route with a response id, which has other methods.
    unsupported = find_unsupported(request.scope["path"]) if error.status_code in {404, 405} else None
    response = on_problem(request, unsupported or problem_from_http_exception(error))
    if response.status_code == 405:
        routes = [route for route in request.app.routes if isinstance(route, HTTPRoute) and _matches(route, request)]
        allowed = ", ".join(sorted({method for route in routes for method in route.methods}))
        response.headers["allow"] = allowed or (error.headers or {}).get("allow", "")
    return response


def on_exception(request: Request[object, object, State], error: Exception) -> Response[bytes]:
    """Logs a fault in this program with its traceback; the client gets one sentence."""
    log.error("a request failed", exc_info=error)
    return on_problem(request, problem_from_failure(Failed(ErrorKind.INTERNAL)))


def _matches(route: HTTPRoute, request: Request[object, object, State]) -> bool:
    """Whether a route serves the request's path. A parameter matches the rest of the path."""
    fixed, parameter, _ = route.path_format.partition("{")
    path = request.scope["path"].rstrip("/")
    return path.startswith(fixed) if parameter else path == fixed
