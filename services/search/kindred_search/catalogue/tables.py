"""The catalogue's tables. Migrations create them; the two are compared in a test."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    text,
)

metadata = MetaData()

_DIRTY = text("row_version > indexed_version")

images = Table(
    "images",
    metadata,
    Column("image_id", String(64), primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("incarnation", Integer, nullable=False),
    Column("deleted_at_ms", BigInteger),
    Column("byte_size", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("format", String(32), nullable=False),
    Column("origin", String(32), nullable=False),
    Column("taken_at", String(64), nullable=False),
    Column("blob_key", Text, nullable=False),
    Column("thumb_key", Text, nullable=False),
    # counts what the index should know of the image; the projector writes the version it has projected beside it
    Column("row_version", BigInteger, nullable=False),
    Column("indexed_version", BigInteger, nullable=False),
    Column("state", SmallInteger, nullable=False),
    Column("failure_code", String(64)),
    Column("failure_detail", Text),
    Column("created_at_ms", BigInteger, nullable=False),
    Index("ix_images_dirty", "image_id", sqlite_where=_DIRTY, postgresql_where=_DIRTY),
    Index("ix_images_state", "state"),
    # what is browsed without a query, newest first
    Index("ix_images_newest", "created_at_ms", "image_id"),
)

claims = Table(
    "claims",
    metadata,
    Column("image_id", String(64), ForeignKey("images.image_id"), primary_key=True),
    Column("owner", String(64), primary_key=True),
    Column("visibility", SmallInteger, nullable=False),
    Column("license", String(64), nullable=False),
    Column("license_url", Text, nullable=False),
    Column("creator", Text, nullable=False),
    Column("credit", Text, nullable=False),
    Column("copyright_notice", Text, nullable=False),
    Column("source_url", Text, nullable=False),
    Column("attribution", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("file_name", Text, nullable=False),
    Column("caption", Text, nullable=False, server_default=""),
    Column("created_at_ms", BigInteger, nullable=False),
    Index("ix_claims_owner", "owner", "image_id"),
)

# How an image was generated, as the claim of this owner says: shown, and searched, by those who are shown the claim.
generations = Table(
    "generations",
    metadata,
    Column("image_id", String(64), ForeignKey("images.image_id"), primary_key=True),
    Column("owner", String(64), primary_key=True),
    Column("tool", String(32), nullable=False),
    Column("model", Text, nullable=False),
    Column("prompt", Text, nullable=False),
    Column("negative_prompt", Text, nullable=False),
    Column("sampler", Text, nullable=False),
    Column("seed", String(20)),  # up to 2^64-1, which no database's integer holds
    Column("steps", Integer),
    Column("guidance", Double),
    # as `generating` writes them for filters
    Column("model_key", String(200), nullable=False),
    Column("prompt_words", Text, nullable=False),
    Index("ix_generations_model", "model_key"),
)

# Every path at which an owner has an image, so that an unchanged file is not read again, be it one of two copies.
file_references = Table(
    "file_references",
    metadata,
    Column("owner", String(64), primary_key=True),
    Column("blob_key", Text, primary_key=True),
    Column("image_id", String(64), ForeignKey("images.image_id"), nullable=False),
    Column("byte_size", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
    Index("ix_file_references_image", "image_id"),
)

embeddings = Table(
    "embeddings",
    metadata,
    Column("image_id", String(64), ForeignKey("images.image_id"), primary_key=True),
    Column("view", String(64), primary_key=True),
    Column("space", String(200), primary_key=True),
    Column("model_name", String(200), nullable=False),
    Column("model_version", String(200), nullable=False),
    Column("vector", LargeBinary, nullable=False),  # float16, little-endian
)

detections = Table(
    "detections",
    metadata,
    Column("image_id", String(64), ForeignKey("images.image_id"), primary_key=True),
    Column("label_set", String(64), primary_key=True),
    Column("model_version", String(200), primary_key=True),
    Column("ordinal", Integer, primary_key=True),
    Column("model_name", String(200), nullable=False),
    Column("class_id", Integer, nullable=False),
    Column("class_name", String(200), nullable=False),
    Column("score", Double, nullable=False),
    Column("x_min", Double, nullable=False),
    Column("y_min", Double, nullable=False),
    Column("x_max", Double, nullable=False),
    Column("y_max", Double, nullable=False),
    Column("source", String(16), nullable=False),
    Column("agreement", Integer, nullable=False),
    # classes and their counts are read from this index alone
    Index("ix_detections_class", "label_set", "class_name", "class_id", "image_id"),
)

# How an image's labels of a set were made, also where nothing was found; `asked`: by a relabelling, not at ingest.
label_runs = Table(
    "label_runs",
    metadata,
    Column("image_id", String(64), ForeignKey("images.image_id"), primary_key=True),
    Column("label_set", String(64), primary_key=True),
    Column("run", String(400), nullable=False),
    Column("asked", Boolean, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Index("ix_label_runs_run", "label_set", "run"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("image_id", String(64), nullable=False),
    Column("request_id", String(200), nullable=False),
    Column("payload", LargeBinary, nullable=False),  # kindred.events.v1.ImageEvent
    sqlite_autoincrement=True,
)

collections = Table(
    "collections",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("space", String(200), nullable=False),
    Column("view", String(64), nullable=False),
    Column("generation", Integer, nullable=False),
    Column("dimension", Integer, nullable=False),
    Column("state", String(16), nullable=False),  # building | active | dropping
)

# What an operator has taken down, known or not: these bytes are refused.
takedowns = Table(
    "takedowns",
    metadata,
    Column("image_id", String(64), primary_key=True),
    Column("reason", Text, nullable=False),
    Column("taken_down_at_ms", BigInteger, nullable=False),
)

# Classes that no label set has and that accounts asked for; `class_key` is the name without case.
label_requests = Table(
    "label_requests",
    metadata,
    Column("owner", String(64), primary_key=True),
    Column("class_key", String(400), primary_key=True),
    Column("requests", BigInteger, nullable=False),
    Column("first_at_ms", BigInteger, nullable=False),
    Column("last_at_ms", BigInteger, nullable=False),
    Index("ix_label_requests_class", "class_key"),
)
