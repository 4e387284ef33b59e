"""PostgreSQL on a free port of this machine, from Debian's packages."""

import hashlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg

from support.servers import free_port, missing, stop, wait_until

_SETTINGS = {"fsync": "off", "max_connections": "300", "unix_socket_directories": "", "listen_addresses": "127.0.0.1"}
"""A killed server loses nothing without fsync, only a machine without power does."""
_INITDB = ("-U", "kindred", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")


class PostgresServer:
    """A cluster in a folder of its own, from `start` to `close`. It refuses to run as root: then it is `postgres`'."""

    def __init__(self) -> None:
        self._programs = _programs()
        self._folder = Path(tempfile.mkdtemp(prefix="kindred-postgres-"))
        self._user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] if os.geteuid() == 0 else []
        self._known: set[str] = set()
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        if self._user:
            owner = pwd.getpwnam("postgres")
            os.chown(self._folder, owner.pw_uid, owner.pw_gid)
        self._run("initdb", "-D", str(self._data), *_INITDB)

    def start(self) -> None:
        """On the same port as before, until it answers."""
        settings = [part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}")]
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *self._user,
                    str(self._programs / "postgres"),
                    "-D",
                    str(self._data),
                    "-p",
                    str(self._port),
                    *settings,
                ],
                stdout=log,
                stderr=log,
                cwd=self._folder,
            )
        wait_until(self._answers, self._process)

    def kill(self) -> None:
        """As a crash does: no word to anybody."""
        assert self._process is not None
        backends = psutil.Process(self._process.pid).children()
        self._process.kill()
        self._process.wait(30)
        psutil.wait_procs(backends, 30)  # they notice and end; until then no other server may start on their files

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            stop(self._process, signal.SIGINT)
        shutil.rmtree(self._folder, ignore_errors=True)

    def database(self, path: Path) -> str:
        """URL of what stands for a file of this path: a schema and a user of that name, who sees nothing else.

        A database of its own would be 300 files.
        """
        name = _name(path)
        if name not in self._known:
            self.execute(f"CREATE ROLE {name} LOGIN", f"CREATE SCHEMA {name} AUTHORIZATION {name}")
            self._known.add(name)
        return self.url("postgres", name)

    def lose(self, path: Path) -> None:
        """All that the schema holds."""
        name = _name(path)
        self.execute(f"DROP SCHEMA {name} CASCADE", f"CREATE SCHEMA {name} AUTHORIZATION {name}")

    def backup(self, path: Path) -> Callable[[], None]:
        """Of the schema as it is now; the call puts it back."""
        name = _name(path)
        dump = self._run("pg_dump", "--schema", name, self._dsn("postgres"))

        def put_back() -> None:
            self.execute(f"DROP SCHEMA {name} CASCADE")
            self._run("psql", "-q", "-v", "ON_ERROR_STOP=1", self._dsn("postgres"), given=dump)

        return put_back

    def execute(self, *statements: str) -> None:
        with psycopg.connect(self._dsn("postgres"), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def url(self, database: str, user: str = "kindred") -> str:
        return f"postgresql+psycopg://{user}@127.0.0.1:{self._port}/{database}"

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def _dsn(self, name: str) -> str:
        return f"host=127.0.0.1 port={self._port} user=kindred dbname={name} connect_timeout=2"

    def _answers(self) -> bool:
        try:
            psycopg.connect(self._dsn("postgres")).close()
        except psycopg.OperationalError:
            return False
        return True

    def _run(self, program: str, *arguments: str, given: bytes | None = None) -> bytes:
        command = [*self._command(program), *arguments]
        return subprocess.run(command, check=True, input=given, stdout=subprocess.PIPE, cwd=self._folder).stdout

    def _command(self, program: str) -> list[str]:
        return [*self._user, str(self._programs / program)]


def _name(path: Path) -> str:
    return f"t{hashlib.sha256(str(path).encode()).hexdigest()[:16]}"


def _programs() -> Path:
    """Of the newest version; Debian keeps the server's programs off the path."""
    if (found := shutil.which("postgres")) is not None:
        return Path(found).resolve().parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    return versions[-1].parent if versions else missing("no PostgreSQL server on this machine")
