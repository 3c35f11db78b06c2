"""A bare Django project that earns points: a member's row and a movement in one transaction, and no rules at all."""
