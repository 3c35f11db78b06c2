"""What is reversed is looked up one by one, however many reversals there are."""

from django.db import migrations

from loyalty.sql_reversals import CHECK


class Migration(migrations.Migration):
    """Makes the function anew; what was reversed stays as it is."""

    dependencies = [("loyalty", "0009_post_in_order")]

    operations = [migrations.RunSQL(CHECK, migrations.RunSQL.noop)]
