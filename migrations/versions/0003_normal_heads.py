"""A reader's mark that a child's head is a normal one."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema to this revision."""
    op.add_column("review", sa.Column("normal", sa.Boolean(), nullable=True))


def downgrade() -> None:
    """Take the schema back to the revision before."""
    op.drop_column("review", "normal")
