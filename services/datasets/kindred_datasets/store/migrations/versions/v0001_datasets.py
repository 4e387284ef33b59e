"""Data sets, given photos, chosen items, notes."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def _dataset_id() -> sa.Column[str]:
    return sa.Column("dataset_id", sa.String(32), sa.ForeignKey("datasets.dataset_id"), primary_key=True)


def _position(name: str = "position") -> sa.Column[int]:
    return sa.Column(name, sa.Integer, primary_key=True, autoincrement=False)


def _strings(length: int, *names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.String(length), nullable=False) for name in names]


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text, nullable=False) for name in names]


def _numbers(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger, nullable=False) for name in names]


def upgrade() -> None:
    op.create_table(
        "datasets",
        sa.Column("dataset_id", sa.String(32), primary_key=True),
        sa.Column("idempotency_key", sa.String(255)),
        sa.Column("spec", sa.LargeBinary, nullable=False),
        sa.Column("facts", sa.LargeBinary, nullable=False),
        sa.Column("state", sa.SmallInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        *_strings(16, "stage"),
        *_strings(64, "owner", "spec_digest", "request_id", "error_code", "archive_sha256", "manifest_sha256"),
        *_strings(128, "lease_owner"),
        *_texts("name", "error_detail", "archive_key"),
        *_numbers("done", "total", "failed", "not_before_ms", "lease_until_ms", "images", "boxes", "archive_bytes"),
        *_numbers("created_at_ms", "finished_at_ms", "expires_at_ms"),
    )
    op.create_index("ix_datasets_idempotency", "datasets", ["owner", "idempotency_key"], unique=True)
    op.create_index("ix_datasets_listed", "datasets", ["owner", "created_at_ms", "dataset_id"])
    op.create_index("ix_datasets_state", "datasets", ["state", "created_at_ms"])
    op.create_table(
        "given",
        _dataset_id(),
        sa.Column("role", sa.String(16), primary_key=True),
        _position(),
        _position("view"),
        sa.Column("vector", sa.LargeBinary),
        *_strings(64, "error_code"),
        *_texts("space", "error_detail"),
    )
    op.create_table("items", _dataset_id(), _position(), sa.Column("payload", sa.LargeBinary, nullable=False))
    op.create_table("notes", _dataset_id(), _position(), *_strings(64, "code"), *_texts("subject", "detail"))


def downgrade() -> None:
    for table in ("notes", "items", "given", "datasets"):
        op.drop_table(table)
