"""The tables. Migrations create them; the two are compared in a test."""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
)

metadata = MetaData()

datasets = Table(
    "datasets",
    metadata,
    Column("dataset_id", String(32), primary_key=True),
    Column("owner", String(64), nullable=False),
    Column("name", Text, nullable=False),
    Column("idempotency_key", String(255)),
    Column("spec_digest", String(64), nullable=False),
    Column("spec", LargeBinary, nullable=False),  # kindred.datasets.v1.DatasetSpec
    Column("request_id", String(64), nullable=False),
    Column("state", SmallInteger, nullable=False),
    Column("stage", String(16), nullable=False),
    Column("done", BigInteger, nullable=False),
    Column("total", BigInteger, nullable=False),
    Column("failed", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),  # since the last stage that ended well
    Column("not_before_ms", BigInteger, nullable=False),
    Column("lease_owner", String(128), nullable=False),
    Column("lease_until_ms", BigInteger, nullable=False),
    Column("facts", LargeBinary, nullable=False),  # of the selection, as JSON: they go into the manifest
    Column("images", BigInteger, nullable=False),
    Column("boxes", BigInteger, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("finished_at_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),
    Column("error_code", String(64), nullable=False),
    Column("error_detail", Text, nullable=False),
    Column("archive_key", Text, nullable=False),
    Column("archive_bytes", BigInteger, nullable=False),
    Column("archive_sha256", String(64), nullable=False),
    Column("manifest_sha256", String(64), nullable=False),
    Index("ix_datasets_idempotency", "owner", "idempotency_key", unique=True),
    Index("ix_datasets_listed", "owner", "created_at_ms", "dataset_id"),
    Index("ix_datasets_state", "state", "created_at_ms"),
)


def _dataset_id() -> Column[str]:
    return Column("dataset_id", String(32), ForeignKey("datasets.dataset_id"), primary_key=True)


given = Table(
    "given",
    metadata,
    _dataset_id(),
    Column("role", String(16), primary_key=True),  # failure, holdout
    Column("position", Integer, primary_key=True, autoincrement=False),  # of the photo in the spec
    Column("view", Integer, primary_key=True, autoincrement=False),  # 0: the whole photo; n: its n-th box
    Column("space", Text, nullable=False),
    Column("vector", LargeBinary),  # float32, little-endian; none where there is an error
    Column("error_code", String(64), nullable=False),
    Column("error_detail", Text, nullable=False),
)

items = Table(
    "items",
    metadata,
    _dataset_id(),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("payload", LargeBinary, nullable=False),  # a domain.Item as JSON
)

notes = Table(
    "notes",
    metadata,
    _dataset_id(),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("subject", Text, nullable=False),
    Column("code", String(64), nullable=False),
    Column("detail", Text, nullable=False),
)
