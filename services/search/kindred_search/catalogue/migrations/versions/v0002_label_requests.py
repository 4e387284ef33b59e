"""Classes that accounts asked for and no label set has."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "label_requests",
        sa.Column("owner", sa.String(64), primary_key=True),
        sa.Column("class_key", sa.String(400), primary_key=True),
        *[sa.Column(name, sa.BigInteger, nullable=False) for name in ("requests", "first_at_ms", "last_at_ms")],
    )
    op.create_index("ix_label_requests_class", "label_requests", ["class_key"])


def downgrade() -> None:
    op.drop_table("label_requests")
