"""Two indexes for what the pages ask a batch of a million about: its spent codes, the last first, and the withdrawn."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Small ones: a code that is merely issued is in neither."""

    dependencies = [("loyalty", "0005_books")]

    operations = [
        migrations.AddIndex(
            model_name="voucher",
            index=models.Index(
                condition=models.Q(("status", "redeemed")), fields=["batch", "redeemed_at"], name="vouchers_redeemed"
            ),
        ),
        migrations.AddIndex(
            model_name="voucher",
            index=models.Index(condition=models.Q(("status", "void")), fields=["batch"], name="vouchers_void"),
        ),
    ]
