"""A head circumference that came with the order."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_SAME = (
    "series_id",
    "series_revision",
    "package_sha256",
    "reference_version",
    "gestational_age_weeks",
)
_OPEN = sa.text("state IN ('queued', 'running')")


def upgrade() -> None:
    """Bring the schema to this revision."""
    op.add_column("analysis", sa.Column("head_circumference_cm", sa.Double(), nullable=True))
    op.drop_index("uq_analysis_open", table_name="analysis")
    _unique((*_SAME, "head_circumference_cm"))


def downgrade() -> None:
    """Take the schema back to the revision before."""
    op.drop_index("uq_analysis_open", table_name="analysis")
    _unique(_SAME)
    op.drop_column("analysis", "head_circumference_cm")


def _unique(columns: tuple[str, ...]) -> None:
    op.create_index(
        "uq_analysis_open",
        "analysis",
        list(columns),
        unique=True,
        postgresql_where=_OPEN,
        postgresql_nulls_not_distinct=True,
    )
