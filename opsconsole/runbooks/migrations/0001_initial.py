from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Runbook",
            fields=[
                ("id", models.TextField(primary_key=True, serialize=False)),
            ],
            options={
                "verbose_name": "runbook",
                "verbose_name_plural": "runbooks",
                "db_table": "runbooks_runbooks",
                "permissions": [("view_database", "Can look at the database's sessions, tables and triggers")],
                "managed": False,
                "default_permissions": ("view",),
            },
        ),
    ]
