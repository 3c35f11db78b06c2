"""Whoever has brought a whole file in has PostgreSQL look at the ledger anew."""

from django.db import migrations

from loyalty.sql_books import STATISTICS


class Migration(migrations.Migration):
    """A function only: the application owns no table, so it may not analyze one."""

    dependencies = [("loyalty", "0006_voucher_pages")]

    operations = [STATISTICS]
