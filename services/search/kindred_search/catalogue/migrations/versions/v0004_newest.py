"""Browsing reads from the newest image on."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_index("ix_images_newest", "images", ["created_at_ms", "image_id"])


def downgrade() -> None:
    op.drop_index("ix_images_newest")
