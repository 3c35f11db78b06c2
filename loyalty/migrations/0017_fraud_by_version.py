"""What a fraud rule looks for changes with its version, whoever changes it; flags on members are a list."""

from django.db import migrations

from loyalty.sql_limits import BY_VERSION


class Migration(migrations.Migration):
    """What the services keep to already."""

    dependencies = [("loyalty", "0016_ledger_of_the_past")]

    operations = [BY_VERSION]
