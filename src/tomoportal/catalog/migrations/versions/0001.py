"""The tables as they were first released; ``Tables`` made them."""

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Nothing comes before."""


def downgrade() -> None:
    """Nothing comes before."""
