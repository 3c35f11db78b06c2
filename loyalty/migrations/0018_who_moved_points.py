"""Each movement names who made it; those that were made before name nobody."""

from django.db import migrations, models

from loyalty.sql import AUDIT_LOGS, NOBODY_NAMED
from opsconsole.core.fields import CurrentActor


class Migration(migrations.Migration):
    """The column first and its default after it, so that no row is written anew."""

    dependencies = [("loyalty", "0017_fraud_by_version")]

    operations = [
        migrations.AddField(
            model_name="transaction", name="actor", field=models.TextField(blank=True, editable=False, null=True)
        ),
        migrations.AlterField(
            model_name="transaction",
            name="actor",
            field=models.TextField(blank=True, db_default=CurrentActor(), editable=False, null=True),
        ),
        migrations.RunSQL(AUDIT_LOGS, NOBODY_NAMED),
    ]
