"""Break-glass."""

from django.db import migrations


class Migration(migrations.Migration):
    """Break-glass."""

    dependencies = [("approvals", "0002_guards")]

    operations = []
