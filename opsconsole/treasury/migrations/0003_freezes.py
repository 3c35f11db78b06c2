"""Freezes."""

from django.db import migrations


class Migration(migrations.Migration):
    """Freezes."""

    dependencies = [("treasury", "0002_guards")]

    operations = []
