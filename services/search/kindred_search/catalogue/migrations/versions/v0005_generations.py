"""How images were generated, and captions."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "generations",
        sa.Column("image_id", sa.String(64), sa.ForeignKey("images.image_id"), primary_key=True),
        sa.Column("owner", sa.String(64), primary_key=True),
        sa.Column("tool", sa.String(32), nullable=False),
        *[sa.Column(name, sa.Text, nullable=False) for name in ("model", "prompt", "negative_prompt", "sampler")],
        sa.Column("seed", sa.String(20)),
        sa.Column("steps", sa.Integer),
        sa.Column("guidance", sa.Double),
        sa.Column("model_key", sa.String(200), nullable=False),
        sa.Column("prompt_words", sa.Text, nullable=False),
    )
    op.create_index("ix_generations_model", "generations", ["model_key"])
    op.add_column("claims", sa.Column("caption", sa.Text, nullable=False, server_default=""))


def downgrade() -> None:
    op.drop_column("claims", "caption")
    op.drop_table("generations")
