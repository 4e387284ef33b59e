"""Errors name the situation; the edges (HTTP, gRPC) map them to a status in one table each.

An error travels from service to service as its `code` and `detail`, so that the gateway answers with the same code that
the embedder raised.
"""

from enum import Enum


class Status(Enum):
    """Kind of an error, independent of the transport: (HTTP status, gRPC status name)."""

    MALFORMED = (400, "INVALID_ARGUMENT")
    UNPROCESSABLE = (422, "INVALID_ARGUMENT")
    TOO_LARGE = (413, "INVALID_ARGUMENT")
    UNSUPPORTED_TYPE = (415, "INVALID_ARGUMENT")
    FORBIDDEN = (403, "PERMISSION_DENIED")
    NOT_FOUND = (404, "NOT_FOUND")
    CONFLICT = (409, "ABORTED")
    EXISTS = (409, "ALREADY_EXISTS")
    PRECONDITION = (409, "FAILED_PRECONDITION")
    LEGAL = (451, "FAILED_PRECONDITION")
    UNAVAILABLE = (503, "UNAVAILABLE")
    TIMEOUT = (503, "DEADLINE_EXCEEDED")
    INTERNAL = (500, "INTERNAL")

    @property
    def http(self) -> int:
        return self.value[0]

    @property
    def grpc(self) -> str:
        return self.value[1]


class KindredError(Exception):
    """Base of all errors that Kindred raises on purpose.

    `code` is stable and public, `detail` is for a person, `retryable` says whether the same call can succeed later.
    """

    code: str = "internal"
    status: Status = Status.INTERNAL
    retryable: bool = False

    def __init__(self, detail: str, *, pointer: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.pointer = pointer  # JSON pointer to the offending part of a request


class ImageError(KindredError):
    """An image that can never be read, whoever tries."""

    code = "image_unreadable"
    status = Status.UNPROCESSABLE


class ImageEmpty(ImageError):
    code = "image_empty"


class ImageUnsupportedFormat(ImageError):
    code = "image_unsupported_format"
    status = Status.UNSUPPORTED_TYPE


class ImageTooLarge(ImageError):
    code = "image_too_large"
    status = Status.TOO_LARGE


class ImageTruncated(ImageError):
    code = "image_truncated"


class ImageTooManyPixels(ImageError):
    code = "image_too_many_pixels"


class ImageDownloadFailed(KindredError):
    """`retry_after_s`: how long the host asked to be left alone, if it did."""

    code = "image_download_failed"
    status = Status.UNPROCESSABLE
    retry_after_s: float | None = None


class ImageChanged(ImageError):
    """A referenced file no longer holds the bytes that were accepted."""

    code = "image_changed"


class ImageMissing(ImageError):
    """A referenced file is not where it was."""

    code = "image_missing"
    status = Status.NOT_FOUND


class InvalidRegion(KindredError):
    code = "region_invalid"
    status = Status.UNPROCESSABLE


class InvalidArgument(KindredError):
    code = "invalid_argument"
    status = Status.UNPROCESSABLE


class InvalidFilter(KindredError):
    code = "filter_invalid"
    status = Status.UNPROCESSABLE


class UnknownLabel(KindredError):
    code = "label_unknown"
    status = Status.UNPROCESSABLE


class PrecisionUnavailable(KindredError):
    """Nobody has measured from which score on these labels are so precise."""

    code = "precision_unavailable"
    status = Status.UNPROCESSABLE


class CursorInvalid(KindredError):
    code = "cursor_invalid"
    status = Status.MALFORMED


class CursorStale(KindredError):
    code = "cursor_stale"
    status = Status.MALFORMED


class CursorTooDeep(KindredError):
    code = "cursor_too_deep"
    status = Status.MALFORMED


class ImageNotFound(KindredError):
    code = "image_not_found"
    status = Status.NOT_FOUND


class ImageTakenDown(KindredError):
    """An operator has taken these bytes down: they do not come back."""

    code = "image_taken_down"
    status = Status.LEGAL


class DatasetEmpty(KindredError):
    """No image is left for a data set."""

    code = "dataset_empty"
    status = Status.UNPROCESSABLE


class EventInvalid(KindredError):
    """A message on the bus that this version can't read."""

    code = "event_invalid"


class DeadLetterNotFound(KindredError):
    code = "dead_letter_not_found"
    status = Status.NOT_FOUND


class BlobNotFound(KindredError):
    code = "blob_not_found"
    status = Status.NOT_FOUND


class NotAvailable(KindredError):
    """Designed, but not built yet: said so, never pretended."""

    code = "not_available"
    status = Status.UNPROCESSABLE


class SpaceMismatch(KindredError):
    """Vectors of two embedding spaces are never compared."""

    code = "space_mismatch"
    status = Status.PRECONDITION


class PrincipalMissing(KindredError):
    code = "principal_missing"
    status = Status.FORBIDDEN


class ModelInvalid(KindredError):
    """A model folder is not what its manifest says."""

    code = "model_invalid"
    status = Status.INTERNAL


class ModelNotPulled(KindredError):
    """The weights of a model are not on this machine yet; the detail says which command gets them."""

    code = "model_not_pulled"
    status = Status.PRECONDITION


class ModelDownloadFailed(KindredError):
    """A publisher or mirror did not give the file; what came before is kept and the next pull goes on from there."""

    code = "model_download_failed"
    status = Status.UNAVAILABLE
    retryable = True


class ModelFileRefused(KindredError):
    """A file is not the one that a model.yaml pins. Nothing of it is kept."""

    code = "model_file_refused"
    status = Status.UNPROCESSABLE


class LicenseNotAccepted(KindredError):
    """Weights whose licence their user has to accept first."""

    code = "license_not_accepted"
    status = Status.PRECONDITION


class Unavailable(KindredError):
    code = "unavailable"
    status = Status.UNAVAILABLE
    retryable = True


class StorageFull(Unavailable):
    """The disk that the service writes to has no room left."""

    code = "storage_full"


class StorageDamaged(KindredError):
    """A database file is not what was written."""

    code = "storage_damaged"


class StorageReadOnly(KindredError):
    """A database may be read but not written, or not even that."""

    code = "storage_read_only"


class IndexDamaged(KindredError):
    """The vector index on the disk cannot be read. It is a projection: the catalogue holds all that it did."""

    code = "index_damaged"
    status = Status.UNAVAILABLE
    retryable = True


class DeadlineExceeded(KindredError):
    code = "deadline_exceeded"
    status = Status.TIMEOUT
    retryable = True


class RemoteError(KindredError):
    """An error of another service whose code this process has no class for."""

    def __init__(self, code: str, detail: str, status: Status) -> None:
        super().__init__(detail)
        self.code = code
        self.status = status
        self.retryable = status in {Status.UNAVAILABLE, Status.TIMEOUT}


def error_from_code(code: str, detail: str, status: Status, pointer: str | None = None) -> KindredError:
    """Rebuild the error that another service raised."""
    known = _BY_CODE.get(code)
    if known is None:
        return RemoteError(code, detail, status)
    return known(detail, pointer=pointer)


_STORAGE: tuple[tuple[type[KindredError], str, tuple[str, ...]], ...] = (
    (StorageFull, "the disk is full", ("no space left on device", "disk is full", "disk quota exceeded")),
    (StorageDamaged, "a database file is damaged", ("file is not a database", "disk image is malformed")),
    (
        StorageReadOnly,
        "a database file can't be opened for writing",
        ("readonly database", "unable to open database file", "read-only file system"),
    ),
)


def storage_error(error: BaseException) -> KindredError | None:
    """What ails the storage, told from an error of a database or a file system; None for any other error.

    By the words, which SQLite, its wrappers and LanceDB share; their types differ. The answer holds no path.
    """
    words = str(error).lower()
    return next((kind(detail) for kind, detail, known in _STORAGE if any(word in words for word in known)), None)


def _subclasses(cls: type[KindredError]) -> list[type[KindredError]]:
    return [cls] + [deeper for child in cls.__subclasses__() for deeper in _subclasses(child)]


_BY_CODE = {cls.code: cls for cls in _subclasses(KindredError) if cls not in {KindredError, RemoteError}}
