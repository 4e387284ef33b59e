"""The search page: three static files that ship with the package."""

from importlib.resources import files

from fastapi import APIRouter
from starlette.responses import Response

router = APIRouter(include_in_schema=False)
_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_TYPES = {"index.html": "text/html", "app.js": "text/javascript", "style.css": "text/css"}


def _serve(name: str) -> Response:
    data = (files("kindred_gateway") / "static" / name).read_bytes()
    headers = {"Content-Security-Policy": _CSP, "Cache-Control": "no-cache"}
    return Response(data, 200, headers, f"{_TYPES[name]}; charset=utf-8")


@router.get("/", response_model=None)
async def index() -> Response:
    return _serve("index.html")


@router.get("/static/app.js", response_model=None)
async def script() -> Response:
    return _serve("app.js")


@router.get("/static/style.css", response_model=None)
async def style() -> Response:
    return _serve("style.css")
