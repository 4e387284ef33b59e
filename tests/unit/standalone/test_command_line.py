"""The command line where no gallery is needed: help, usage, errors."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kindred_standalone.cli import app
from kindred_standalone.cli.failure import FAILED, USAGE, say
from kindred_standalone.errors import UsageError
from kindred_standalone.listening import PortInUse, listen, require_loopback, url_of
from kindred_standalone.queries import Region


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys; from kindred_standalone.cli import app\n"
        "try: app(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'lancedb', 'onnxruntime', 'fastapi', 'pyarrow', 'sqlalchemy', 'numpy', 'grpc', 'PIL', 'httpx'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr.strip() == "[]"
    assert "index" in done.stdout


def test_a_client_imports_neither_models_nor_stores() -> None:
    script = (
        "import sys; import kindred_standalone.connect, kindred_standalone.queries, kindred_standalone.hits\n"
        "import kindred_standalone.lookup, kindred_standalone.tables, kindred_standalone.cli.running\n"
        "heavy = {'lancedb', 'onnxruntime', 'fastapi', 'pyarrow', 'sqlalchemy', 'numpy', 'PIL'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "command", ["index", "search", "show", "rm", "status", "reindex", "serve", "models", "label", "labels", "demo"]
)
def test_every_command_has_help(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert "Usage" in result.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["index", "/no/such/folder"], "there is no /no/such/folder"),
        (["index", "/tmp", "--license", "mit"], "no licence 'mit'"),
        (["index", "/tmp", "--origin", "drawn"], "photo or generated"),
        (["search"], "say what to look for"),
        (["search", "--facets"], "--label NAME"),
        (["search", "dog", "--region", "0,0,1,1"], "--region goes with --image"),
        (["search", "--image", "x.jpg", "--region", "0,0,2,1"], "lie in the image"),
        (["serve", "--host", "0.0.0.0"], "no accounts yet"),
    ],
)
def test_a_command_line_that_cannot_be_meant(arguments: list[str], words: str) -> None:
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, UsageError)
    assert words in result.exception.detail


@pytest.mark.parametrize("command", [["status"], ["search", "dog"], ["show", "abcd"], ["rm", "abcd"], ["reindex"]])
def test_commands_that_look_make_no_gallery(command: list[str], tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["--data-dir", str(tmp_path / "gallery"), *command])
    assert result.exception is not None
    assert "there is no gallery" in str(result.exception)
    assert not (tmp_path / "gallery").exists()


def test_an_error_is_one_line_and_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert say(PortInUse("port 80\x1b[31m is in use")) == FAILED
    lines = capsys.readouterr().err.splitlines()
    assert lines == [r"Error: port 80\e[31m is in use", "Choose another one with --port, or --port 0 for a free one."]
    assert say(UsageError("no")) == USAGE


def test_the_unexpected_shows_no_traceback_unless_asked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KINDRED_DEBUG", raising=False)
    assert say(ZeroDivisionError("x")) == FAILED
    assert "Traceback" not in capsys.readouterr().err
    monkeypatch.setenv("KINDRED_DEBUG", "1")
    say(ZeroDivisionError("x"))
    assert "ZeroDivisionError" in capsys.readouterr().err


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_loopback_addresses_may_serve(host: str) -> None:
    require_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "example.org", ""])
def test_other_addresses_may_not(host: str) -> None:
    with pytest.raises(UsageError, match="refused"):
        require_loopback(host)


def test_a_port_in_use_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(PortInUse):
        listen("127.0.0.1", taken.getsockname()[1])


def test_port_0_takes_a_free_one() -> None:
    with listen("127.0.0.1", 0) as listener:
        assert url_of(listener).startswith("http://127.0.0.1:")
        assert not url_of(listener).endswith(":0")


@pytest.mark.parametrize("text", ["", "1,2,3", "a,b,c,d", "0,0,0,1", "0.5,0,0.6,1", "-0.1,0,1,1", "nan,0,1,1"])
def test_a_region_outside_the_image_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        Region.parse(text)


def test_a_region_is_parsed() -> None:
    assert Region.parse("0.1, 0.2,0.3,0.8") == Region(0.1, 0.2, 0.3, 0.8)
