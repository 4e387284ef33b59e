"""The data directory: its layout and its one owner.

    kindred.lock   flock'ed by the owning process; marks the directory as ours
    owner.json     who owns it now and where its sockets are
    catalogue.db   the truth (SQLite)
    bus.db         the event log (SQLite)
    ingested.db    what `kindred ingest` has taken in of its sources (SQLite)
    datasets.db    data sets and their jobs (SQLite)
    index/         the vector index, a projection of the catalogue (LanceDB)
    calibrations/  how precise labels are (`kindred labels calibrate`)
    blobs/         thumbnails, uploads, images that came over HTTP, archives of data sets
    work/          archives that are being written

The sockets lie elsewhere, in a private directory with a short name: a Unix socket's path may have 107 bytes, and a data
directory's name can be longer.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import platformdirs

from kindred_standalone.errors import DataDirectoryUnusable, GalleryMissing
from kindred_standalone.text import printable_path

_MAX_SOCKET_PATH_BYTES = 107
_LONGEST_SOCKET_NAME = "/kindred-xxxxxxxx/embedder.sock"


@dataclass(frozen=True)
class OwnerInfo:
    """What the owning process tells those that come after it. `url` is empty while it serves no HTTP port."""

    pid: int
    sockets: str
    command: str
    url: str = ""

    def address(self, service: str) -> str:
        """gRPC address of a service."""
        return f"unix:{self.socket(service)}"

    def socket(self, service: str) -> str:
        return os.path.join(self.sockets, f"{service}.sock")


@dataclass(frozen=True)
class DataDirectory:
    root: Path

    @classmethod
    def at(cls, root: Path | None) -> DataDirectory:
        """The given directory, or the platform's directory for user data."""
        return cls(Path(os.path.abspath(root or platformdirs.user_data_path("kindred"))))

    @property
    def catalogue(self) -> Path:
        return self.root / "catalogue.db"

    @property
    def ingested(self) -> Path:
        return self.root / "ingested.db"

    @property
    def bus(self) -> Path:
        return self.root / "bus.db"

    @property
    def datasets(self) -> Path:
        return self.root / "datasets.db"

    @property
    def work(self) -> Path:
        return self.root / "work"

    @property
    def index(self) -> Path:
        return self.root / "index"

    @property
    def blobs(self) -> Path:
        return self.root / "blobs"

    @property
    def calibrations(self) -> Path:
        return self.root / "calibrations"

    @property
    def lock_file(self) -> Path:
        return self.root / "kindred.lock"

    @property
    def owner_file(self) -> Path:
        return self.root / "owner.json"

    def require(self) -> None:
        """Raise GalleryMissing where nothing was ever indexed: looking must not make directories."""
        with _usable(self.root):
            if not self.lock_file.exists():
                raise GalleryMissing(f"there is no gallery in {printable_path(self.root)} yet")

    def create(self) -> None:
        """Make the directory (0700) where it is missing. Raises DataDirectoryUnusable for one with other files."""
        with _usable(self.root):
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.lock_file.exists():
                return
            # asked again after the listing: another process may be making the same directory
            if any(self.root.iterdir()) and not self.lock_file.exists():
                raise DataDirectoryUnusable(
                    f"{printable_path(self.root)} holds other files; choose an empty or new directory with --data-dir"
                )
            self.root.chmod(0o700)

    def try_own(self, command: str) -> Ownership | None:
        """Become the owner, or None while another process is. Cleans up after an owner that died."""
        with _usable(self.root):
            descriptor = os.open(self.lock_file, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                os.close(descriptor)
                if error.errno in {errno.EWOULDBLOCK, errno.EACCES}:
                    return None
                raise
            dead = self.owner()
            if dead is not None:
                _remove_sockets(dead.sockets)
                self.owner_file.unlink(missing_ok=True)
            return Ownership(self, descriptor, command)

    def owner(self) -> OwnerInfo | None:
        """Who says to own the directory; None while nobody does or the owner is still starting."""
        try:
            return OwnerInfo(**json.loads(self.owner_file.read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            return None


class Ownership:
    """The lock on a data directory, and a private directory for the owner's sockets. Ends with `release` or death."""

    def __init__(self, directory: DataDirectory, descriptor: int, command: str) -> None:
        self.directory = directory
        self._descriptor = descriptor
        self.info = OwnerInfo(os.getpid(), _socket_directory(), command)

    def announce(self, url: str = "") -> None:
        """Tell others that the sockets answer (and at which URL, if any). The file appears whole or not at all."""
        self.info = OwnerInfo(self.info.pid, self.info.sockets, self.info.command, url)
        draft = self.directory.owner_file.with_suffix(".new")
        draft.write_text(json.dumps(asdict(self.info)), "utf-8")
        draft.replace(self.directory.owner_file)

    def retract(self) -> None:
        """Tell nobody any more: those that come now wait for the next owner."""
        with suppress(OSError):
            self.directory.owner_file.unlink(missing_ok=True)

    def release(self) -> None:
        """Give the directory up. The lock goes last, so that nobody cleans up what a successor has made."""
        self.retract()
        _remove_sockets(self.info.sockets)
        os.close(self._descriptor)


def _socket_directory() -> str:
    for base in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp"):  # noqa: S108  mkdtemp is private
        if (
            base
            and os.access(base, os.W_OK)
            and len(os.fsencode(base + _LONGEST_SOCKET_NAME)) <= _MAX_SOCKET_PATH_BYTES
        ):
            return tempfile.mkdtemp(prefix="kindred-", dir=base)
    raise DataDirectoryUnusable("there is no directory for sockets; set TMPDIR to a writable one with a short name")


def _remove_sockets(directory: str) -> None:
    # owner.json names the directory; only one of the form we make is removed, and only its sockets
    path = Path(directory)
    if not path.name.startswith("kindred-") or path.is_symlink():
        return
    with suppress(OSError):
        for entry in path.iterdir():
            if stat.S_ISSOCK(entry.lstat().st_mode):
                entry.unlink()
        path.rmdir()


def directory_size(path: Path) -> int:
    """Bytes below a directory, or of a file; files that go meanwhile count nothing."""
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(folder, name)).st_size
    with suppress(OSError):
        if not path.is_dir():
            total += path.lstat().st_size
    return total


def free_bytes(path: Path) -> int:
    return shutil.disk_usage(path).free


@contextmanager
def _usable(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise DataDirectoryUnusable(f"the data directory {printable_path(root)} can't be used: {reason}") from error
