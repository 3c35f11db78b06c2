"""Passkeys as signer keys, what their signatures are over, and the roles that a decision was narrowed to."""

from django.db import migrations, models

# A key keeps everything but its counter, which goes on, and the moment it is revoked.
FIX_KEYS = """
drop trigger approvals_signer_keys_fixed on approvals_signer_keys;
create trigger approvals_signer_keys_fixed before update on approvals_signer_keys for each row
  execute function approvals_keep_columns('id', 'user_id', 'name', 'kind', 'public_key', 'fingerprint',
    'credential_id', 'rp_id', 'created_at');
create trigger approvals_signer_keys_counter before update of sign_count on approvals_signer_keys for each row
  when (new.sign_count < old.sign_count) execute function approvals_refuse_return('a counter never goes back');
"""
UNFIX_KEYS = """
drop trigger approvals_signer_keys_counter on approvals_signer_keys;
drop trigger approvals_signer_keys_fixed on approvals_signer_keys;
create trigger approvals_signer_keys_fixed before update on approvals_signer_keys for each row
  execute function approvals_keep_columns('id', 'user_id', 'name', 'public_key', 'fingerprint', 'created_at');
"""


class Migration(migrations.Migration):
    """Passkeys."""

    dependencies = [("approvals", "0003_break_glass")]

    operations = [
        migrations.AddField(
            model_name="decision",
            name="assertion",
            field=models.JSONField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="decision",
            name="within",
            field=models.JSONField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="signerkey",
            name="credential_id",
            field=models.TextField(blank=True, null=True, unique=True),
        ),
        migrations.AddField(
            model_name="signerkey",
            name="kind",
            field=models.TextField(choices=[("ed25519", "Ed25519 key"), ("passkey", "passkey")], default="ed25519"),
        ),
        migrations.AddField(
            model_name="signerkey",
            name="rp_id",
            field=models.TextField(blank=True, default=""),
        ),
        migrations.AddField(
            model_name="signerkey",
            name="sign_count",
            field=models.BigIntegerField(default=0),
        ),
        migrations.AddConstraint(
            model_name="decision",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("assertion__isnull", True), models.Q(("signature", ""), _negated=True), _connector="OR"
                ),
                name="decision_asserts_what_is_signed",
            ),
        ),
        migrations.AddConstraint(
            model_name="signerkey",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("credential_id", None), ("kind", "ed25519"), ("rp_id", ""), ("sign_count", 0)),
                    models.Q(
                        ("credential_id__isnull", False),
                        ("kind", "passkey"),
                        ("sign_count__gte", 0),
                        models.Q(("rp_id", ""), _negated=True),
                    ),
                    _connector="OR",
                ),
                name="signer_key_is_of_its_kind",
            ),
        ),
        migrations.RunSQL(FIX_KEYS, UNFIX_KEYS),
    ]
