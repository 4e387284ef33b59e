"""The first catalogue: images, claims, references, embeddings, detections, outbox, collections."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def _image_id(*, primary_key: bool = True) -> sa.Column[str]:
    return sa.Column(
        "image_id", sa.String(64), sa.ForeignKey("images.image_id"), primary_key=primary_key, nullable=False
    )


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def _integer(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False)


def _big(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False)


def _double(name: str) -> sa.Column[float]:
    return sa.Column(name, sa.Double, nullable=False)


def upgrade() -> None:
    op.create_table(
        "images",
        sa.Column("image_id", sa.String(64), primary_key=True),
        _big("seq"),
        _integer("incarnation"),
        sa.Column("deleted_at_ms", sa.BigInteger),
        _big("byte_size"),
        _big("mtime_ns"),
        _integer("width"),
        _integer("height"),
        sa.Column("format", sa.String(32), nullable=False),
        sa.Column("origin", sa.String(32), nullable=False),
        sa.Column("taken_at", sa.String(64), nullable=False),
        _text("blob_key"),
        _text("thumb_key"),
        _big("row_version"),
        _big("indexed_version"),
        sa.Column("state", sa.SmallInteger, nullable=False),
        sa.Column("failure_code", sa.String(64)),
        sa.Column("failure_detail", sa.Text),
        _big("created_at_ms"),
    )
    dirty = sa.text("row_version > indexed_version")
    op.create_index("ix_images_dirty", "images", ["image_id"], sqlite_where=dirty, postgresql_where=dirty)
    op.create_index("ix_images_state", "images", ["state"])
    op.create_table(
        "claims",
        _image_id(),
        sa.Column("owner", sa.String(64), primary_key=True),
        sa.Column("visibility", sa.SmallInteger, nullable=False),
        sa.Column("license", sa.String(64), nullable=False),
        *[_text(name) for name in ("license_url", "creator", "credit", "copyright_notice", "source_url")],
        *[_text(name) for name in ("attribution", "source", "file_name")],
        _big("created_at_ms"),
    )
    op.create_index("ix_claims_owner", "claims", ["owner", "image_id"])
    op.create_table(
        "file_references",
        sa.Column("owner", sa.String(64), primary_key=True),
        sa.Column("blob_key", sa.Text, primary_key=True),
        _image_id(primary_key=False),
        _big("byte_size"),
        _big("mtime_ns"),
    )
    op.create_index("ix_file_references_image", "file_references", ["image_id"])
    op.create_table(
        "embeddings",
        _image_id(),
        sa.Column("view", sa.String(64), primary_key=True),
        sa.Column("space", sa.String(200), primary_key=True),
        sa.Column("model_name", sa.String(200), nullable=False),
        sa.Column("model_version", sa.String(200), nullable=False),
        sa.Column("vector", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "detections",
        _image_id(),
        sa.Column("label_set", sa.String(64), primary_key=True),
        sa.Column("model_version", sa.String(200), primary_key=True),
        sa.Column("ordinal", sa.Integer, primary_key=True),
        sa.Column("model_name", sa.String(200), nullable=False),
        _integer("class_id"),
        sa.Column("class_name", sa.String(200), nullable=False),
        *[_double(name) for name in ("score", "x_min", "y_min", "x_max", "y_max")],
        sa.Column("source", sa.String(16), nullable=False),
        _integer("agreement"),
    )
    op.create_index("ix_detections_class", "detections", ["label_set", "class_name", "class_id", "image_id"])
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("image_id", sa.String(64), nullable=False),
        sa.Column("request_id", sa.String(200), nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "collections",
        sa.Column("name", sa.String(200), primary_key=True),
        sa.Column("space", sa.String(200), nullable=False),
        sa.Column("view", sa.String(64), nullable=False),
        _integer("generation"),
        _integer("dimension"),
        sa.Column("state", sa.String(16), nullable=False),
    )


def downgrade() -> None:
    for table in ("collections", "outbox", "detections", "embeddings", "file_references", "claims", "images"):
        op.drop_table(table)
