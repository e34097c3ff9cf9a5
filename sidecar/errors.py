"""
Every error that leaves a subject, in one tree.

    GenonautError
      x SettingsUnusable
      x ImpossibleTransition         a fault of ours, never of the caller
      x Refused                      the caller can do something about it: 4xx
          NotFound
          InvalidRequest
              PlanUnknown
          BodyTooLarge
          InvalidParameters          all field errors together
          ModelsUnusable             each with its node
          RulesBroken                every rule that a workflow goes against, each with its place
              ContentRefused
              GraphRefused
          NotPaired
          ClocksDiffer
          NotLoggedIn
              CredentialsInvalid
                  PasswordWrong
              AccountDisabled
          TooManyAttempts
          NotAllowed
              AdministratorsOnly
              MembersOnly
              ScopeMissing
              NotWithToken
          PasswordUnfit
          NameTaken
          LastAdministrator
          AdministratorThere
          StillEnabled
          StillOwner
          InviteUnknown
          PlanKnown
          PlanInUse
          PlanNeeded
          NoLogIn
          NotCancellable
          StillOpen
          NotRestorable
          IdempotencyKeyReused
          LimitReached
          WaitingRoomFull
          InstanceKnown
          InstanceBusy
          InstanceFromSettings
          ForeignOrigin
      x Away                         a part does not answer: 503, or retried
          ModerationAway
          ComfyUIAway
              ComfyUIUnreachable
              ComfyUITimeout
              ComfyUIBroken          5xx, or an answer that is not ComfyUI's
                  ComfyUINotProven   or of somebody who is not the paired one
          TermIsOver             another process has driven this ComfyUI since
          DatabaseUnavailable
              DatabaseBusy
          StorageUnavailable
          QueueUnavailable
      x LeadershipLost               another process drives the ComfyUIs; only the one that did so far sees it
      x AttemptReplaced              a job that lost its lease; only SAQ's worker sees it
      x PromptRejected               ComfyUI says no, and will say so again
      x PromptFinishedAlready
      x OutputGone
      x ImageUnavailable
          ImageNotKeptYet
          ImageUnderReview
          ImageMissing
          ImageCorrupt

The docstring is the sentence that a person reads unless the raise says a better one.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any


class GenonautError(Exception):
    """Something went wrong inside Genonaut. The log says what."""

    code = "internal_error"
    http_status = 500
    facts: Mapping[str, Any] = {}
    """What else a program may want to know of it: members of the problem, by their name."""

    def __init__(
        self,
        message: str | None = None,
        *,
        help: tuple[str, ...] = (),  # noqa: A002 - the name it has on the wire
        retry_after_s: float | None = None,
        errors: tuple[dict[str, Any], ...] = (),
    ) -> None:
        self.message = message or inspect.cleandoc(type(self).__doc__ or "")
        self.help = help
        self.retry_after_s = retry_after_s
        self.errors = errors
        super().__init__(self.message)


class SettingsUnusable(GenonautError):
    """A setting cannot be used."""

    code = "settings_unusable"


class ImpossibleTransition(GenonautError):
    """A generation was about to go a way that no generation can go."""

    code = "impossible_transition"


class Refused(GenonautError):
    """This is not possible."""

    code = "refused"
    http_status = 400


class NotFound(Refused):
    """There is no such thing here."""

    code = "not_found"
    http_status = 404


class InvalidRequest(Refused):
    """The request is not of the form that is needed."""

    code = "invalid_request"


class PlanUnknown(InvalidRequest):
    """There is no plan of this name."""

    code = "plan_unknown"


class BodyTooLarge(Refused):
    """The body of this request is too large."""

    code = "body_too_large"
    http_status = 413


class InvalidParameters(Refused):
    """Some of the parameters cannot be used; each is listed with its reason."""

    code = "invalid_parameters"


class ModelsUnusable(Refused):
    """This needs models that cannot be used here; each is listed with its node and the reason."""

    code = "models_unusable"


class RulesBroken(Refused):
    """This goes against the rules of this place."""

    code = "rules_broken"
    http_status = 422


class ContentRefused(RulesBroken):
    """What this asks for goes against the rules of this place. Change the text and submit it again."""

    code = "content_refused"


class GraphRefused(RulesBroken):
    """This workflow goes against the rules of this place. Change what is named and submit it again."""

    code = "graph_refused"


class NotPaired(Refused):
    """Only the ComfyUI that this sidecar belongs to may ask for this."""

    code = "not_paired"
    http_status = 401


class ClocksDiffer(Refused):
    """The clocks of ComfyUI's machine and of the sidecar's differ. Set both by a time server."""

    code = "clocks_differ"
    http_status = 401


class NotLoggedIn(Refused):
    """Log in first."""

    code = "not_logged_in"
    http_status = 401


class CredentialsInvalid(NotLoggedIn):
    """Name and password, session or token are not valid, or not any more. Log in again."""

    code = "credentials_invalid"


class PasswordWrong(CredentialsInvalid):
    """Name and password do not go together. Look at both, and try again."""


class AccountDisabled(NotLoggedIn):
    """This account is switched off. An administrator can switch it on again."""

    code = "account_disabled"


class TooManyAttempts(Refused):
    """There were too many failed log-ins. Wait a moment."""

    code = "too_many_attempts"
    http_status = 429


class PasswordUnfit(Refused):
    """This password will not do."""

    code = "password_unfit"


class NameTaken(Refused):
    """Somebody is called that already, or nearly so."""

    code = "name_taken"
    http_status = 409


class LastAdministrator(Refused):
    """This is the last administrator. Make somebody else one first."""

    code = "last_administrator"
    http_status = 409


class AdministratorThere(Refused):
    """There is an administrator already. Log in, or ask for an invite."""

    code = "administrator_there"
    http_status = 409


class StillEnabled(Refused):
    """This account is in use. Disable it first."""

    code = "still_enabled"
    http_status = 409


class StillOwner(Refused):
    """Things in the history belong to this account. Disabled, it lets nobody in, and they stay."""

    code = "still_owner"
    http_status = 409


class InviteUnknown(Refused):
    """This invite is not valid, or not any more. Ask for another one."""

    code = "invite_unknown"
    http_status = 404


class PlanKnown(Refused):
    """There is a plan of this name already. Change that one, or take another name."""

    code = "plan_known"
    http_status = 409


class PlanInUse(Refused):
    """Somebody has this plan. Give them another one first."""

    code = "plan_in_use"
    http_status = 409


class PlanNeeded(Refused):
    """This plan has to stay."""

    code = "plan_needed"
    http_status = 409


class NoLogIn(Refused):
    """Nobody logs in here: everything belongs to whoever reaches this address."""

    code = "no_log_in"
    http_status = 409


class NotAllowed(Refused):
    """You may not do this."""

    code = "not_allowed"
    http_status = 403


class AdministratorsOnly(NotAllowed):
    """Only administrators may do this."""

    code = "administrators_only"


class MembersOnly(NotAllowed):
    """Guests may not do this. An administrator can make you a member."""

    code = "members_only"


class ScopeMissing(NotAllowed):
    """This token was made for less than this. Make one with a scope that allows it."""

    code = "scope_missing"


class NotWithToken(NotAllowed):
    """This is done by whoever has logged in, and not with a token. Log in, and do it then."""

    code = "not_with_token"


class NotCancellable(Refused):
    """This generation has ended already; there is nothing to cancel."""

    code = "not_cancellable"
    http_status = 409


class StillOpen(Refused):
    """This generation has not ended yet. Cancel it first, or delete it with `?cancel=true`."""

    code = "still_open"
    http_status = 409


class NotRestorable(Refused):
    """This generation has been in the trash for too long; it is being removed for good."""

    code = "not_restorable"
    http_status = 409


class IdempotencyKeyReused(Refused):
    """This Idempotency-Key was used for another request. Send a new key with each new request."""

    code = "idempotency_key_reused"
    http_status = 422


class LimitReached(Refused):
    """You have used all that your plan allows for now."""

    code = "limit_reached"
    http_status = 429

    def __init__(
        self,
        message: str | None = None,
        *,
        limit: str = "",
        used: int = 0,
        allowed: int = 0,
        group: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        """
        Args:
            group: Whose limit it is; None: one's own.
        """
        super().__init__(message, retry_after_s=retry_after_s)
        self.facts = {"limit": limit, "used": used, "allowed": allowed, "group": group}


class WaitingRoomFull(Refused):
    """Too much is waiting already. Submit it again when less is."""

    code = "waiting_room_full"
    http_status = 429

    def __init__(
        self,
        message: str | None = None,
        *,
        limit: str | None = None,
        used: int = 0,
        allowed: int = 0,
        retry_after_s: float | None = None,
    ) -> None:
        """
        Args:
            limit: Which limit of their plan; None: what may wait in all.
        """
        super().__init__(message, retry_after_s=retry_after_s)
        self.facts = {"limit": limit, "used": used, "allowed": allowed}


class InstanceKnown(Refused):
    """An instance with this URL is registered already."""

    code = "instance_known"
    http_status = 409


class InstanceBusy(Refused):
    """This instance works on something. Drain it first, and remove it when it is paused."""

    code = "instance_busy"
    http_status = 409


class InstanceFromSettings(Refused):
    """This instance is named by GENONAUT_COMFYUI_URL and would be back after the next start. Take it out there."""

    code = "instance_from_settings"
    http_status = 409


class ForeignOrigin(Refused):
    """Only ComfyUI's own page may ask for this. Open it where ComfyUI listens and try again there."""

    code = "foreign_origin"
    http_status = 403


class Away(GenonautError):
    """A part of Genonaut does not answer at the moment. Try again soon."""

    code = "away"
    http_status = 503


class ModerationAway(Away):
    """Whatever is submitted here is looked at by a service that does not answer at the moment. Try again soon."""

    code = "moderation_away"


class ComfyUIAway(Away):
    """ComfyUI does not answer at the moment. What you submitted waits and runs when it is back."""

    code = "comfyui_away"


class ComfyUIUnreachable(ComfyUIAway):
    """ComfyUI cannot be reached. What you submitted waits and runs when it is back."""

    code = "comfyui_unreachable"


class ComfyUITimeout(ComfyUIAway):
    """ComfyUI took too long to answer. What you submitted waits and is tried again."""

    code = "comfyui_timeout"


class ComfyUIBroken(ComfyUIAway):
    """ComfyUI answered with an error of its own. What you submitted waits and is tried again."""

    code = "comfyui_broken"


class TermIsOver(ComfyUIAway):
    """Another process drives this ComfyUI by now. What was to be sent waits, and is sent by that one."""

    def __init__(self, latest: int = 0) -> None:
        super().__init__()
        self.latest = latest
        """The term that this ComfyUI has heard of."""


class ComfyUINotProven(ComfyUIBroken):
    """What answers there does not prove to be our ComfyUI: it has another pairing secret, or has taken its port."""

    status = 0
    """With which it answered."""

    @classmethod
    def with_status(cls, status: int) -> ComfyUINotProven:
        """What the answer's status was."""
        made = cls()
        made.status = status
        return made


class DatabaseUnavailable(Away):
    """The database cannot be used at the moment. Nothing that was accepted is lost; try again soon."""

    code = "database_unavailable"


class DatabaseBusy(DatabaseUnavailable):
    """Too much else is being written at the moment. Nothing was changed; try again in some seconds."""

    code = "database_busy"


class StorageUnavailable(Away):
    """The store of the images cannot be used at the moment. Nothing is lost: images are fetched when it is back."""

    code = "storage_unavailable"


class QueueUnavailable(Away):
    """The queue's file cannot be used at the moment. What you submitted is kept and runs when it can be used again."""

    code = "queue_unavailable"


class LeadershipLost(GenonautError):
    """Another process drives the ComfyUIs now. This one must stop doing so."""

    code = "leadership_lost"


class AttemptReplaced(GenonautError):
    """This attempt at a job has been given up and the job belongs to another one. It must stop."""

    code = "attempt_replaced"


class PromptRejected(GenonautError):
    """ComfyUI does not accept this workflow."""

    code = "workflow_rejected"
    http_status = 400

    def __init__(self, message: str | None = None, *, node_errors: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.node_errors = node_errors or {}


class PromptFinishedAlready(GenonautError):
    """ComfyUI has run this prompt already; its outcome is in the journal."""

    code = "already_finished"
    http_status = 409


class OutputGone(GenonautError):
    """ComfyUI does not have this file any more."""

    code = "output_gone"
    http_status = 404


class ImageUnavailable(GenonautError):
    """This image cannot be shown."""

    code = "image_unavailable"
    http_status = 404


class ImageNotKeptYet(ImageUnavailable):
    """This image is still being fetched from ComfyUI. Try again in a few seconds."""

    code = "image_not_kept_yet"


class ImageUnderReview(ImageUnavailable):
    """An administrator looks at this image before it is shown."""

    code = "image_under_review"


class ImageMissing(ImageUnavailable):
    """ComfyUI no longer has the file of this image, so it could not be kept."""

    code = "image_missing"


class ImageCorrupt(ImageUnavailable):
    """The file of this image cannot be read as an image."""

    code = "image_corrupt"
