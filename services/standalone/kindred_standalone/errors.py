"""Errors that only a person at a terminal meets."""

from kindred_kit.errors import ImageError, KindredError, Status, Unavailable


class DataDirectoryUnusable(KindredError):
    """The data directory can't be made, read or written, or holds somebody else's files."""

    code = "data_directory_unusable"
    status = Status.PRECONDITION


class GalleryMissing(KindredError):
    """Nothing was ever indexed into this data directory."""

    code = "gallery_missing"
    status = Status.NOT_FOUND


class OwnerUnreachable(Unavailable):
    """Another process owns the data directory and does not answer."""

    code = "owner_unreachable"


class AlreadyServed(KindredError):
    """Another `kindred serve` owns the data directory."""

    code = "already_served"
    status = Status.CONFLICT


class UsageError(KindredError):
    """A command line that can't be meant."""

    code = "usage"
    status = Status.MALFORMED


class FileUnreadable(ImageError):
    """The disk or its permissions keep a file from being read."""

    code = "file_unreadable"
