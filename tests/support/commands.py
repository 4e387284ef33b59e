"""`kindred` and `kindred serve` as processes of their own."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support import inference
from support.photos import skimage_photo

PHOTOS = ("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "motorcycle_right.png", "rocket.jpg")
KINDRED = (sys.executable, "-m", "kindred_standalone")


@dataclass(frozen=True)
class CommandLine:
    """`kindred` on one data directory."""

    data_dir: Path

    def command(self, *arguments: str | os.PathLike[str] | bytes) -> list[str | bytes]:
        return [*KINDRED, "--data-dir", str(self.data_dir), *(os.fspath(argument) for argument in arguments)]

    def run(
        self, *arguments: str | os.PathLike[str] | bytes, expect: int = 0, cwd: Path | None = None
    ) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run(
            self.command(*arguments), capture_output=True, text=True, timeout=240, cwd=cwd, env=environment()
        )
        assert done.returncode == expect, f"{arguments} -> {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done

    def json(self, *arguments: str | os.PathLike[str] | bytes, expect: int = 0) -> Any:
        return json.loads(self.run(*arguments, "--json", expect=expect).stdout)

    def start(self, *arguments: str | os.PathLike[str], **settings: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            self.command(*arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(COLUMNS="200", **settings),
        )


@dataclass(frozen=True)
class Server:
    """A running `kindred serve`."""

    process: "subprocess.Popen[str]"
    url: str
    log: Path

    def connect(self) -> socket.socket:
        host, port = self.url.removeprefix("http://").rsplit(":", 1)
        return socket.create_connection((host, int(port)), timeout=60)


def environment(**settings: str) -> dict[str, str]:
    """Ours without what the developer may have set, on a wide terminal."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("KINDRED_")}
    return {**inherited, "COLUMNS": "200", **inference.SETTINGS, **settings}


def wait_for(condition: Callable[[], Any], process: "subprocess.Popen[str]") -> None:
    """Until the condition holds; fails when the process ends before, or after two minutes."""
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, f"the process ended early: {process.communicate()}"
        assert time.monotonic() < deadline, "nothing happened for two minutes"
        time.sleep(0.02)


def serving(command_line: CommandLine, log: Path, **settings: str) -> Iterator[Server]:
    """`kindred serve` on a free port, until the generator goes on."""
    with log.open("w") as stderr:
        process = subprocess.Popen(
            command_line.command("serve", "--port", "0"),
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            text=True,
            env=environment(**settings),
        )
    owner = command_line.data_dir / "owner.json"
    try:
        wait_for(lambda: owner.exists() and json.loads(owner.read_text())["pid"] == process.pid, process)
        yield Server(process, json.loads(owner.read_text())["url"], log)
    finally:
        process.terminate()
        process.wait(timeout=60)


def write_photos(folder: Path, names: Sequence[str] = PHOTOS) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(skimage_photo(name))
    return folder
