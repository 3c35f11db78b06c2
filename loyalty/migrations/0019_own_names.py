"""Nobody who pastes something in is somebody else: neither by what they say, nor by a role that they set."""

from django.db import migrations

from loyalty.sql import KEEP, STAY
from loyalty.sql_books import OWN_NAMES


class Migration(migrations.Migration):
    """The default anew, which believed what a session says, a trigger, and two functions of triggers; no row changes."""

    dependencies = [("loyalty", "0018_who_moved_points")]

    operations = [
        OWN_NAMES,
        migrations.RunSQL(KEEP, migrations.RunSQL.noop),
        migrations.RunSQL(STAY, migrations.RunSQL.noop),
    ]
