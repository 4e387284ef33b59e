"""The search page's three files fit together and need nothing that its policy forbids."""

import re
from importlib.resources import files

from unit.gateway.harness import Gateway

STATIC = files("kindred_gateway") / "static"
HTML, SCRIPT, STYLE = ((STATIC / name).read_text() for name in ("index.html", "app.js", "style.css"))


def test_each_element_that_the_script_names_is_there() -> None:
    named = set(re.findall(r'\$\("([a-z-]+)"\)', SCRIPT)) | set(re.findall(r': "([a-z-]+)"[,} ]', _kept()))
    there = re.findall(r'id="([a-z-]+)"', HTML)
    assert named <= set(there)
    assert len(there) == len(set(there))
    assert {"text", "label", "no-label", "results"} <= named


def test_nothing_is_inline_and_nothing_becomes_html() -> None:
    assert not re.search(r"<style|style=|\son[a-z]+=|javascript:|<script(?![^>]*src=)", HTML)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", SCRIPT)
    assert "//" not in re.sub(r"^//.*$", "", HTML, flags=re.MULTILINE), (
        "a page of this machine loads nothing from another"
    )
    assert "@import" not in STYLE


async def test_the_page_has_a_strict_policy(gateway: Gateway) -> None:
    for path in ("/", "/static/app.js", "/static/style.css", "/?q=a+cat&with=dog"):
        answer = await gateway.http.get(path)
        assert answer.status_code == 200
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy


def _kept() -> str:
    [line] = [line for line in SCRIPT.splitlines() if line.startswith("const KEPT")]
    return line
