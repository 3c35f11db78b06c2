"""Freeze calendars."""

from django.db import migrations


class Migration(migrations.Migration):
    """Freeze calendars."""

    dependencies = [("plans", "0002_guards")]

    operations = []
