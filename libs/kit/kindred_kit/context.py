"""What travels with a request through all services: its id."""

import secrets
from contextvars import ContextVar

REQUEST_ID_METADATA = "x-request-id"
"""gRPC metadata key and HTTP header of the request id."""

request_id_var: ContextVar[str] = ContextVar("request_id", default="")


def new_request_id() -> str:
    """A fresh id: `req_` and 20 hex digits."""
    return "req_" + secrets.token_hex(10)


def current_request_id() -> str:
    """The id of the request being served, or a fresh one outside of any."""
    return request_id_var.get() or new_request_id()
