"""What an operator has taken down."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "takedowns",
        sa.Column("image_id", sa.String(64), primary_key=True),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("taken_down_at_ms", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("takedowns")
