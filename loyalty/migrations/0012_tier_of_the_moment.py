"""An earn has the tier that its member has by then, and what was taken back leaves room below a cap."""

from django.db import migrations

from loyalty.sql_moves import MOVE


class Migration(migrations.Migration):
    """Makes the function anew; what was earned stays as it is."""

    dependencies = [("loyalty", "0011_one_statement")]

    operations = [migrations.RunSQL(MOVE, migrations.RunSQL.noop)]
