"""Rights given by pasted SQL are journalled like any other change."""

from django.db import migrations

from opsconsole.journal.sql import CaptureDirectSql


class Migration(migrations.Migration):
    initial = True
    dependencies = [
        ("journal", "0001_initial"),
        ("core", "0001_initial"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("guardian", "0003_remove_groupobjectpermission_guardian_gr_content_ae6aec_idx_and_more"),
        ("knox", "0009_extend_authtoken_field"),
    ]
    operations = [
        CaptureDirectSql("core_user", hidden=("password",)),
        CaptureDirectSql("core_user_groups"),
        CaptureDirectSql("core_user_user_permissions"),
        CaptureDirectSql("auth_group"),
        CaptureDirectSql("auth_group_permissions"),
        CaptureDirectSql("knox_authtoken", hidden=("digest",), key="token_key"),
        CaptureDirectSql("guardian_userobjectpermission"),
        CaptureDirectSql("guardian_groupobjectpermission"),
    ]
