"""Words for a terminal: hostile file names made visible, sizes and counts made readable."""

import os
import unicodedata
from pathlib import Path

_ESCAPED = {"\n": r"\n", "\r": r"\r", "\t": r"\t", "\x1b": r"\e"}
# Cc control, Cf formatting (bidirectional overrides hide an extension), Cs surrogates, Co private, Cn unassigned,
# Zl and Zp line breaks that are not "\n". U+200D joins emoji and is harmless.
_HOSTILE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_JOINER = "\u200d"


def printable(text: str) -> str:
    """The text with every character that a terminal or a reader could be fooled by shown as an escape.

    Bytes of a file name that are not UTF-8 (surrogate escapes, PEP 383) show as `\\xNN`.
    """
    return "".join(_shown(char) for char in text)


def printable_path(path: str | bytes | Path) -> str:
    """A path of any bytes as `printable` text: relative below the working directory, else with the home as `~`."""
    text = os.fsdecode(path)
    here = _working_directory()
    if here not in {"", "/"} and text.startswith(here + "/"):
        return printable(text[len(here) + 1 :])
    home = os.path.expanduser("~")
    if home not in {"/", "~"} and text.startswith(home + "/"):
        text = "~" + text[len(home) :]
    return printable(text)


def shortened(path: str, columns: int) -> str:
    """A path without its first folders where it is longer than `columns`; a name that is too long loses its middle."""
    if len(path) <= columns:
        return path
    parts = path.split("/")
    while len(parts) > 1 and len("/".join(parts)) + 2 > columns:
        parts = parts[1:]
    short = "/".join(parts) if len(parts) == path.count("/") + 1 else "…/" + "/".join(parts)
    if len(short) <= columns:
        return short
    end = columns // 2  # the suffix is there, and often a number
    return f"{short[: columns - end - 1]}…{short[-end:]}"


def size_text(size_bytes: int) -> str:
    """1234567 -> `1.2 MB`, in powers of 1000."""
    size = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def count_text(count: int, one: str, many: str | None = None) -> str:
    """`1 image`, `1,234 images`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def _working_directory() -> str:
    try:
        return os.getcwd()
    except OSError:  # it may have been removed
        return ""


def _shown(char: str) -> str:
    if char in _ESCAPED:
        return _ESCAPED[char]
    if 0xDC80 <= ord(char) <= 0xDCFF:
        return f"\\x{ord(char) - 0xDC00:02x}"
    if char != _JOINER and unicodedata.category(char) in _HOSTILE:
        return char.encode("unicode_escape", "surrogatepass").decode("ascii")
    return char
