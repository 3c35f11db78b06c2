"""The ledger updates balances in the order of their ids, where it locked them in that order first."""

from django.db import migrations

from loyalty.sql_post import POST


class Migration(migrations.Migration):
    """Makes the trigger's function anew; what was posted stays as it is."""

    dependencies = [("loyalty", "0008_keys_index")]

    operations = [migrations.RunSQL(POST, migrations.RunSQL.noop)]
