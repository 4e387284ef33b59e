"""How the labels of each image were made, so that a relabelling knows what is left to do."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

# images without a single detection are unknown, and so looked at once more
_OF_INGEST = """
INSERT INTO label_runs (image_id, label_set, run, asked, seq)
SELECT detections.image_id, label_set, max(model_name) || '/' || max(model_version), false, max(images.seq)
FROM detections JOIN images ON images.image_id = detections.image_id
GROUP BY detections.image_id, label_set
"""


def upgrade() -> None:
    op.create_table(
        "label_runs",
        sa.Column("image_id", sa.String(64), sa.ForeignKey("images.image_id"), primary_key=True),
        sa.Column("label_set", sa.String(64), primary_key=True),
        sa.Column("run", sa.String(400), nullable=False),
        sa.Column("asked", sa.Boolean, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_label_runs_run", "label_runs", ["label_set", "run"])
    op.execute(_OF_INGEST)


def downgrade() -> None:
    op.drop_table("label_runs")
