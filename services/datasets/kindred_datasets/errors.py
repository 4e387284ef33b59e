"""Errors of this service alone."""

from kindred_kit.errors import InvalidArgument, KindredError, Status


class DatasetNotFound(KindredError):
    code = "dataset_not_found"
    status = Status.NOT_FOUND


class IdempotencyConflict(KindredError):
    """The key of an earlier request with another body."""

    code = "idempotency_conflict"
    status = Status.EXISTS


class TooManyDatasets(KindredError):
    code = "too_many_datasets"
    status = Status.CONFLICT


class SizeInvalid(InvalidArgument):
    code = "size_invalid"


class ThresholdInvalid(InvalidArgument):
    code = "threshold_invalid"


class UnknownFormat(KindredError):
    code = "format_unknown"
    status = Status.UNPROCESSABLE


class FailureSetUnreadable(KindredError):
    """Not one of the failure photos can be looked at."""

    code = "failure_set_unreadable"
    status = Status.UNPROCESSABLE


class LeaseLost(KindredError):
    """Somebody else has the data set now, or it was removed: whoever built it stops without a trace."""

    code = "lease_lost"
    status = Status.CONFLICT
