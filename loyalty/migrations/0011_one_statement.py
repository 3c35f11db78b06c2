"""An earn is one statement; `loyalty_record`, which took the terms from outside, goes."""

from django.db import migrations

from loyalty.sql import RECORD
from loyalty.sql_moves import MOVE, SIGNATURE


class Migration(migrations.Migration):
    """Makes the new function and drops the old one."""

    dependencies = [("loyalty", "0010_reversals_one_by_one")]

    operations = [
        migrations.RunSQL(MOVE, f"drop function {SIGNATURE}"),
        migrations.RunSQL(RECORD.reverse_sql, RECORD.sql),
    ]
