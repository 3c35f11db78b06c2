"""A campaign, its audience and its chunks stay: by them nobody is awarded twice, and its budget is given back."""

from django.db import migrations

from loyalty.sql_books import CAMPAIGNS_STAY


class Migration(migrations.Migration):
    """Triggers only; no column that a service writes is among those they look at."""

    dependencies = [("loyalty", "0012_tier_of_the_moment")]

    operations = [CAMPAIGNS_STAY]
