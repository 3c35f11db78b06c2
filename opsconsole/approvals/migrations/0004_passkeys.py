"""Passkeys."""

from django.db import migrations


class Migration(migrations.Migration):
    """Passkeys."""

    dependencies = [("approvals", "0003_break_glass")]

    operations = []
