"""A key is looked up by its primary key; an index on the program alone only made every earn dearer."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """Drops one index."""

    dependencies = [("loyalty", "0007_statistics")]

    operations = [
        migrations.AlterField(
            model_name="usedkey",
            name="program",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="loyalty.program",
            ),
        ),
    ]
