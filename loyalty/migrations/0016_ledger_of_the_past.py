"""Nothing comes into the ledger that is yet to happen, or has no time at all."""

from django.db import migrations

from loyalty.sql_books import IDS


class Migration(migrations.Migration):
    """Makes the trigger's function anew; what is in the ledger stays as it is."""

    dependencies = [("loyalty", "0015_within_reach")]

    operations = [migrations.RunSQL(IDS, migrations.RunSQL.noop)]
