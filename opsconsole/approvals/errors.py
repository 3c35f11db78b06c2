"""What can go wrong when people agree.

Invalid 400      ReasonMissing, SignerKeyMalformed, PasskeyRefused, ContentTooLarge
Denied 403       NotAnApprover, SeparationOfDuties, NotAnExecutor, NotAReviewer
Conflict 409     RequestEnded (AlreadyConsumed), RequestExpired, AlreadyApproved, AlreadyComplete, NoOpenSlot,
                 NothingToRevoke, DigestMismatch, QuorumIncomplete, SignerKeyTaken, SignerKeyRevoked,
                 ReviewEnded, AlreadyReviewed
RuleBroken 422   NoPolicy, MeasureMissing, SignatureRequired, SignatureInvalid
"""

from __future__ import annotations

from opsconsole.core.errors import Conflict, Denied, Invalid, RuleBroken


class ReasonMissing(Invalid):
    """A rejection says why."""

    code = "reason_missing"


class SignerKeyMalformed(Invalid):
    """This is not an Ed25519 public key."""

    code = "signer_key_malformed"


class PasskeyRefused(Invalid):
    """The passkey cannot be registered: another page, another person, no verification of its user."""

    code = "passkey_refused"


class ContentTooLarge(Invalid):
    """What the approvers are shown must fit on a page; the digest covers the rest."""

    code = "content_too_large"


class NotAnApprover(Denied):
    """The actor holds no role that the policy asks for."""

    code = "not_an_approver"


class SeparationOfDuties(Denied):
    """Whoever asked for it, or had a hand in its content, cannot approve it."""

    code = "separation_of_duties"


class NotAnExecutor(Denied):
    """The actor holds none of the roles that may carry this out."""

    code = "not_an_executor"


class RequestEnded(Conflict):
    """The request was rejected, has expired, was made void, or was used."""

    code = "request_ended"


class AlreadyConsumed(RequestEnded):
    """The approval was used; it is good for one time."""

    code = "already_consumed"


class RequestExpired(Conflict):
    """The time to live of the request is over."""

    code = "request_expired"


class AlreadyApproved(Conflict):
    """This person's approval stands already."""

    code = "already_approved"


class AlreadyComplete(Conflict):
    """Everybody who must agree has agreed."""

    code = "already_complete"


class NoOpenSlot(Conflict):
    """The slots that the actor's roles could fill are taken; somebody else is still needed."""

    code = "no_open_slot"


class NothingToRevoke(Conflict):
    """The actor has no approval here that stands."""

    code = "nothing_to_revoke"


class DigestMismatch(Conflict):
    """What was approved is not what is to be done."""

    code = "digest_mismatch"


class NotAReviewer(Denied):
    """The actor had a part in what is reviewed, or holds no role that may review it."""

    code = "not_a_reviewer"


class ReviewEnded(Conflict):
    """The review has been answered."""

    code = "review_ended"


class AlreadyReviewed(Conflict):
    """This person has answered the review."""

    code = "already_reviewed"


class QuorumIncomplete(Conflict):
    """Counted now, not everybody who must agree has agreed, or is still entitled to."""

    code = "quorum_incomplete"


class SignerKeyTaken(Conflict):
    """The key is registered already, by this or another person, in use or revoked."""

    code = "signer_key_taken"


class SignerKeyRevoked(Conflict):
    """The key was revoked before."""

    code = "signer_key_revoked"


class NoPolicy(RuleBroken):
    """No policy says who must agree to this action; so nobody can."""

    code = "no_policy"


class MeasureMissing(RuleBroken):
    """A threshold of the policy measures something that the request does not state."""

    code = "measure_missing"


class SignatureRequired(RuleBroken):
    """The policy asks for a signature with each approval."""

    code = "signature_required"


class SignatureInvalid(RuleBroken):
    """The signature does not verify against any key of this person that is in use."""

    code = "signature_invalid"
