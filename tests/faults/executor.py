"""`python -m tests.faults.executor execute|rollback PLAN USER`: what a web process does when a person asks for a run.

A process of its own, so that a crash point can end it.
"""

from __future__ import annotations

import os
import sys
from uuid import UUID

import django


def main() -> None:
    """Call the service as that user."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "opsconsole.settings")
    django.setup()
    from opsconsole.core.actors import Actor
    from opsconsole.core.models import User
    from opsconsole.plans.services import execution

    direction, plan_id, username = sys.argv[1:]
    actor = Actor.of(User.objects.get(username=username))
    service = execution.execute_plan if direction == "execute" else execution.roll_back_plan
    service(plan_id=UUID(plan_id), actor=actor)


if __name__ == "__main__":
    main()
