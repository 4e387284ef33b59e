"""Who asks. Without accounts everybody who reaches the loopback server is the owner "local"."""

from typing import Annotated

from fastapi import Depends

from kindred.search.v1 import search_pb2

LOCAL_OWNER = "local"


def principal() -> search_pb2.Principal:
    """The authenticated caller; accounts will replace this one function."""
    return search_pb2.Principal(owner=LOCAL_OWNER)


PrincipalDep = Annotated[search_pb2.Principal, Depends(principal)]
