"""Sweeps and bank files."""

from django.db import migrations


class Migration(migrations.Migration):
    """Sweeps and bank files."""

    dependencies = [("treasury", "0003_freezes")]

    operations = []
