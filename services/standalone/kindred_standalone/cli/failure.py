"""An error -> one red line, what to do about it, and an exit code."""

from __future__ import annotations

import os
import sys
import traceback

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130

_HINTS = {
    "gallery_missing": "Start with:  kindred index FOLDER",
    "data_directory_unusable": "Choose another directory with --data-dir, or set KINDRED_DATA_DIR.",
    "owner_unreachable": "Wait a moment, or end that process; nothing that was indexed is lost.",
    "unavailable": "Run the same command again; nothing that was indexed is lost.",
    "storage_full": "Make room where the gallery is kept and run the same command again; nothing is lost.",
    "storage_damaged": "It is catalogue.db or bus.db in the data directory. Put it back from a backup, or index into a "
    "new --data-dir; the photos themselves are where they were.",
    "storage_read_only": "Choose another directory with --data-dir, or set KINDRED_DATA_DIR.",
    "index_damaged": "Run the same command again. If this comes back:  kindred reindex",
    "deadline_exceeded": "The machine may be busy. Run the same command again.",
    "model_invalid": "See which file is wrong with:  kindred models verify",
    "model_download_failed": "The same command goes on where it stopped. Offline:  kindred models import FILE",
    "model_file_refused": "docs/models.md says which files there are and where they come from.",
    "license_not_accepted": "Read it at the publisher's; then give the same command with --accept-license.",
    "label_unknown": "kindred status lists what was found. Ask for a missing class with:  kindred labels request CLASS",
    "image_not_found": "kindred search --json prints the ids of its hits.",
    "dataset_empty": "Leave out or loosen the filter that takes most, or index more images.",
    "failure_set_unreadable": "kindred index DIR --json says of each file what is wrong with it.",
    "not_available": "This is designed, but not built yet.",
    "space_mismatch": "Bring it over with:  kindred reindex --embed  (or index into a new --data-dir).",
    "port_in_use": "Choose another one with --port, or --port 0 for a free one.",
}


def debugging() -> bool:
    """Whether a developer looks on: KINDRED_DEBUG=1 shows tracebacks."""
    return os.environ.get("KINDRED_DEBUG", "") not in {"", "0"}


def say(error: BaseException) -> int:
    """Print the error to stderr and return the exit code. KINDRED_DEBUG=1 adds the traceback."""
    if debugging():
        traceback.print_exception(error)
    from rich.console import Console
    from rich.text import Text

    from kindred_kit.errors import KindredError, storage_error
    from kindred_standalone.text import printable

    console = Console(stderr=True, soft_wrap=True)
    if isinstance(error, BrokenPipeError):
        # the reader of our output has gone (`| head`); Python would complain once more at exit
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        return OK
    if not isinstance(error, KindredError):
        error = storage_error(error) or error
    if isinstance(error, KindredError):
        detail, hint = error.detail, _HINTS.get(error.code, "")
        code = USAGE if error.code == "usage" else FAILED
    elif isinstance(error, OSError):
        name = f" ({printable(os.fsdecode(error.filename))})" if error.filename else ""
        detail, hint, code = f"{error.strerror or error}{name}", "", FAILED
    else:
        detail = f"something unexpected went wrong: {type(error).__name__}: {error}"
        hint, code = "KINDRED_DEBUG=1 shows where. Please report it.", FAILED
    console.print(Text.assemble(("Error: ", "bold red"), (printable(detail), "red")))
    if hint:
        console.print(Text(hint))
    return code
