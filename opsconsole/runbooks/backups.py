"""A backup before the database is touched, for the runbooks of any domain: the button, and whether there is one."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext_lazy as _

from opsconsole.runbooks.actions import ActionLink
from opsconsole.runbooks.checks import Check

VIEW: Final = "backups.view_backup"

BACKUP: Final = ActionLink(
    name="backup",
    label=_("Back up the database"),
    address="backups_backup_make",
    note=_("It is restored once on trial into a scratch database; its page says when that went through."),
)
BACKUPS: Final = ActionLink(
    name="open-backups",
    label=_("Backups made so far"),
    address="backups_backup_changelist",
    permission=VIEW,
)

BACKUP_THERE: Final = Check(
    name="backup-verified",
    label=_("The newest backup went through its trial restore within the last day"),
    permission=VIEW,
    sql="""
        select coalesce(max(ended_at) > now() - interval '1 day', false) as in_order, max(ended_at) as ended_at,
               (array_agg(file_name order by ended_at desc))[1] as file_name
        from ops_backups where status = 'verified'
    """,
    told=_("{file_name}, of {ended_at}"),
)
