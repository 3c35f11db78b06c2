"""What only the ledger writes is refused to the schema's owner as well, and the ids that it goes by are."""

from django.db import migrations

from loyalty.sql import KEEP, STAY
from loyalty.sql_books import IDS_STAY


class Migration(migrations.Migration):
    """Makes two functions of triggers anew, which asked only who writes, and not by what."""

    dependencies = [("loyalty", "0013_campaigns_stay")]

    operations = [
        migrations.RunSQL(KEEP, migrations.RunSQL.noop),
        migrations.RunSQL(STAY, migrations.RunSQL.noop),
        IDS_STAY,
    ]
