"""API tokens: shown once, stored hashed (by knox), expiring, revocable."""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from typing import cast

from knox.crypto import hash_token
from knox.models import get_token_model

from opsconsole.core.database import one_row
from opsconsole.core.models import User


def user_of_token(token: str) -> User | None:
    """The active user a token belongs to, with their roles and rights; None when it is unknown, expired or revoked.

    One look, since it comes before every call. Reads and nothing else: knox's own way deletes expired tokens as it
    meets them, which is a write in nobody's name.
    """
    statement, columns = _look()
    found = one_row(statement, [hash_token(token)])
    if found is None:
        return None
    user = User.from_db("default", columns, found[: len(columns)])
    roles, permissions, has_grants = found[len(columns) :]
    user.remember_rights(roles, permissions, has_grants=has_grants)
    return user


@cache
def _look() -> tuple[str, list[str]]:
    """The statement, and which columns of the user it begins with."""
    columns = [field.column for field in User._meta.concrete_fields]
    fields = [field.attname for field in User._meta.concrete_fields]
    statement = f"""
        select {", ".join(f"u.{column}" for column in columns)},
          array(select g.name from core_user_groups m join auth_group g on g.id = m.group_id where m.user_id = u.id),
          array(
            select c.app_label || '.' || p.codename
            from auth_permission p join django_content_type c on c.id = p.content_type_id
            where p.id in (
              select r.permission_id from core_user_groups m join auth_group_permissions r on r.group_id = m.group_id
              where m.user_id = u.id
              union all
              select o.permission_id from core_user_user_permissions o where o.user_id = u.id)),
          exists (select from guardian_userobjectpermission o where o.user_id = u.id)
            or exists (select from guardian_groupobjectpermission o
              join core_user_groups m on m.group_id = o.group_id where m.user_id = u.id)
        from {get_token_model()._meta.db_table} k join core_user u on u.id = k.user_id
        where k.digest = %s and u.is_active and (k.expiry is null or k.expiry > clock_timestamp())"""
    return statement, fields


def create_token(user: User, *, expiry: timedelta | None = None) -> str:
    """Make a token for the user and return it, the only time it can be seen; by default it lives API_TOKEN_DAYS."""
    lifetime = {} if expiry is None else {"expiry": expiry}  # knox takes None for "for ever"
    _, token = get_token_model().objects.create(user=user, **lifetime)
    return cast(str, token)
