import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

import opsconsole.core.fields
from opsconsole.core.sql import StateGuard
from opsconsole.journal.sql import CaptureDirectSql

TALLY = """
create function count_notification() returns trigger language plpgsql security definer
set search_path = public, pg_temp as $$
begin
  -- Delivered ones stay counted when their rows are dropped: the figure is told since the beginning.
  if tg_op <> 'INSERT' and not (tg_op = 'DELETE' and old.status = 'delivered') then
    update notifications_totals set count = count - 1 where kind = old.kind and status = old.status;
  end if;
  if tg_op <> 'DELETE' then
    insert into notifications_totals as t (kind, status, count) values (new.kind, new.status, 1)
      on conflict (kind, status) do update set count = t.count + 1;
  end if;
  return null;
end $$;
create trigger notifications_deliveries_counted after insert or delete on notifications_deliveries
  for each row execute function count_notification();
create trigger notifications_deliveries_recounted after update of status on notifications_deliveries for each row
  when (old.status is distinct from new.status) execute function count_notification();
"""
NO_TALLY = """
drop trigger notifications_deliveries_counted on notifications_deliveries;
drop trigger notifications_deliveries_recounted on notifications_deliveries;
drop function count_notification();
"""


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("core", "0001_initial"),
        ("journal", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Lane",
            fields=[
                ("name", models.TextField(primary_key=True, serialize=False)),
                ("failures", models.IntegerField(default=0)),
                ("open_until", models.DateTimeField(blank=True, null=True)),
                ("error", models.TextField(blank=True, default="")),
            ],
            options={
                "db_table": "notifications_lanes",
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="Reminder",
            fields=[
                ("request_id", models.UUIDField(primary_key=True, serialize=False)),
                ("at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "db_table": "notifications_reminders",
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="Total",
            fields=[
                ("kind", models.TextField()),
                ("status", models.TextField()),
                ("count", models.BigIntegerField()),
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "kind", "status", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
            ],
            options={
                "db_table": "notifications_totals",
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="Channel",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        db_default=opsconsole.core.fields.Uuid7(), editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("name", models.TextField()),
                (
                    "kind",
                    models.TextField(
                        choices=[
                            ("slack", "Slack-compatible webhook"),
                            ("webhook", "signed webhook"),
                            ("email", "e-mail"),
                        ]
                    ),
                ),
                ("target", opsconsole.core.fields.EncryptedTextField()),
                ("secret", opsconsole.core.fields.EncryptedTextField(blank=True, default="")),
                ("old_secret", opsconsole.core.fields.EncryptedTextField(blank=True, default="")),
                ("old_secret_until", models.DateTimeField(blank=True, null=True)),
                ("active", models.BooleanField(default=True)),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("removed_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "verbose_name": "channel",
                "verbose_name_plural": "channels",
                "db_table": "notifications_channels",
                "permissions": [("manage_channels", "Can manage channels and what roles are told")],
                "default_permissions": ("view",),
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("removed_at", None)), fields=("name",), name="channel_name_once"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("removed_at__isnull", False),
                            models.Q(("kind", "webhook"), _negated=True),
                            models.Q(("secret", ""), _negated=True),
                            _connector="OR",
                        ),
                        name="channel_webhook_signs",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("removed_at", None), ("active", False), _connector="OR"),
                        name="channel_removed_is_off",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Notice",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        db_default=opsconsole.core.fields.Uuid7(), editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("event_id", models.UUIDField(blank=True, null=True, unique=True)),
                ("topic", models.TextField()),
                (
                    "severity",
                    models.TextField(
                        choices=[("info", "information"), ("warning", "warning"), ("critical", "critical")]
                    ),
                ),
                ("subject_kind", models.TextField()),
                ("subject_id", models.TextField()),
                ("data", models.JSONField(default=dict)),
                ("happened_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "db_table": "notifications_notices",
                "default_permissions": (),
                "indexes": [models.Index(fields=["happened_at"], name="notices_by_age")],
            },
        ),
        migrations.CreateModel(
            name="Delivery",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        db_default=opsconsole.core.fields.Uuid7(), editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "kind",
                    models.TextField(
                        choices=[
                            ("slack", "Slack-compatible webhook"),
                            ("webhook", "signed webhook"),
                            ("email", "e-mail"),
                        ]
                    ),
                ),
                ("lane", models.TextField()),
                (
                    "status",
                    models.TextField(
                        choices=[
                            ("due", "due"),
                            ("sending", "sending"),
                            ("delivered", "delivered"),
                            ("dead", "given up"),
                            ("dropped", "dropped"),
                        ],
                        default="due",
                    ),
                ),
                ("attempts", models.IntegerField(default=0)),
                ("next_attempt_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("deadline_at", models.DateTimeField()),
                ("error", models.TextField(blank=True, default="")),
                ("answer_status", models.IntegerField(blank=True, null=True)),
                ("answer", models.TextField(blank=True, default="")),
                ("seconds", models.DecimalField(blank=True, decimal_places=3, max_digits=8, null=True)),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                (
                    "channel",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="deliveries",
                        to="notifications.channel",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "notice",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="deliveries",
                        to="notifications.notice",
                    ),
                ),
            ],
            options={
                "verbose_name": "delivery",
                "verbose_name_plural": "deliveries",
                "db_table": "notifications_deliveries",
                "permissions": [("retry_delivery", "Can have a delivery that was given up sent again")],
                "default_permissions": ("view",),
                "indexes": [
                    models.Index(
                        condition=models.Q(("status__in", ("due", "sending"))),
                        fields=["lane", "next_attempt_at"],
                        name="deliveries_waiting",
                    ),
                    models.Index(
                        condition=models.Q(("status__in", ("due", "sending"))),
                        fields=["deadline_at"],
                        name="deliveries_to_give_up",
                    ),
                    models.Index(
                        condition=models.Q(("status__in", ("due", "sending"))),
                        fields=["created_at"],
                        name="deliveries_oldest",
                    ),
                    models.Index(fields=["-created_at", "-id"], name="deliveries_newest"),
                    models.Index(fields=["status", "-created_at", "-id"], name="deliveries_by_status"),
                    models.Index(fields=["channel", "-created_at", "-id"], name="deliveries_by_channel"),
                    models.Index(condition=models.Q(("status", "dead")), fields=["channel"], name="deliveries_dead"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("channel__isnull", False), ("user", None)),
                            models.Q(("channel", None), ("user__isnull", False)),
                            _connector="OR",
                        ),
                        name="delivery_to_channel_or_person",
                    ),
                    models.UniqueConstraint(fields=("notice", "channel"), name="delivery_once_per_channel"),
                    models.UniqueConstraint(fields=("notice", "user"), name="delivery_once_per_person"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Subscription",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        db_default=opsconsole.core.fields.Uuid7(), editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("role", models.TextField(blank=True, default="")),
                ("patterns", models.JSONField()),
                (
                    "minimum",
                    models.TextField(
                        choices=[("info", "information"), ("warning", "warning"), ("critical", "critical")],
                        default="info",
                    ),
                ),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "channel",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="subscriptions",
                        to="notifications.channel",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="subscriptions",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "subscription",
                "verbose_name_plural": "subscriptions",
                "db_table": "notifications_subscriptions",
                "permissions": [("subscribe", "Can subscribe to notifications for themselves")],
                "default_permissions": ("view",),
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("channel", None), ("role", ""), ("user__isnull", False)),
                            models.Q(("user", None), models.Q(("role", ""), _negated=True)),
                            _connector="OR",
                        ),
                        name="subscription_of_role_or_person",
                    )
                ],
            },
        ),
        StateGuard(
            "notifications_deliveries",
            starts=["due"],
            pairs=[
                "dead>due",
                "due>dead",
                "due>dropped",
                "due>sending",
                "sending>dead",
                "sending>delivered",
                "sending>dropped",
                "sending>due",
            ],
        ),
        migrations.RunSQL(TALLY, NO_TALLY),
        CaptureDirectSql("notifications_channels", hidden=["target", "secret", "old_secret"]),
        CaptureDirectSql("notifications_subscriptions"),
        CaptureDirectSql("notifications_notices"),
        CaptureDirectSql("notifications_deliveries"),
        CaptureDirectSql("notifications_lanes", key="name"),
        CaptureDirectSql("notifications_totals", key=["kind", "status"]),
        CaptureDirectSql("notifications_reminders", key="request_id"),
    ]
