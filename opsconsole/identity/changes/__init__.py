"""The kinds of change about people: who they are, what they may, what they hold. Giving waits for others to agree."""

from typing import Final

from opsconsole.identity.changes.keys import PasskeyChange, SignerKeyChange
from opsconsole.identity.changes.rights import GrantChange, RolesChange
from opsconsole.identity.changes.tokens import TokenChange
from opsconsole.identity.changes.users import NewPerson, Profile, Reactivation

KINDS: Final = (
    NewPerson(),
    Profile(),
    Reactivation(),
    RolesChange(),
    GrantChange(),
    TokenChange(),
    SignerKeyChange(),
    PasskeyChange(),
)

__all__ = ["KINDS"]
