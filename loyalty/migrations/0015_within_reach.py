"""Points that expire last a month at least, and a campaign's dates are such as somebody could wait for."""

from datetime import UTC, datetime

from django.db import migrations, models
from django.db.models import Q

FIRST, LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


class Migration(migrations.Migration):
    """Checks that the services make as well."""

    dependencies = [("loyalty", "0014_owner_too")]

    operations = [
        migrations.AddConstraint(
            model_name="program",
            constraint=models.CheckConstraint(
                condition=Q(points_valid_months=None) | Q(points_valid_months__gte=1),
                name="program_points_last_a_while",
            ),
        ),
        migrations.AddConstraint(
            model_name="campaign",
            constraint=models.CheckConstraint(
                condition=Q(start_date__gte=FIRST, start_date__lt=LAST)
                & (Q(end_date=None) | Q(end_date__lt=LAST))
                & (Q(window_start=None) | Q(window_start__gte=FIRST))
                & (Q(window_end=None) | Q(window_end__lt=LAST)),
                name="campaign_dates_within_reach",
            ),
        ),
    ]
