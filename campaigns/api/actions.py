"""The steps of a campaign's life as calls, each by the service that the admin's buttons use."""

from collections.abc import Callable
from typing import Any, ClassVar

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from campaigns.api import presenting
from campaigns.api.acting import Refused, owner_of
from campaigns.api.shapes import CampaignShape, ChooseBody, LaunchBody, SendBackBody
from campaigns.api.views import campaign
from campaigns.errors import NotAllowed, NotReady, WrongState
from campaigns.models import Campaign
from campaigns.services import CampaignService, choose_winner
from core.api import validation
from core.api.openapi import call
from core.api.problems import Conflict, Problem
from notifications.models.api_key import Scope


class CampaignNotReady(Problem):
    """422: something has to be put right first; `detail` says what."""

    slug, title, status_code = "not-ready", "The campaign can't go on as it is", 422


def take(request: Request, id: int, step: Callable[..., Campaign], *, sends: bool = False, **given: Any) -> Response:
    """Take the step as the key's owner and answer with the campaign; 403, 409 or 422 where it is refused."""
    campaign(id)  # 404
    by = owner_of(request, sends=sends)
    try:
        done = step(id, by=by, **given)
    except NotAllowed as refused:
        raise Refused(str(refused)) from None
    except WrongState as refused:
        raise Conflict(str(refused)) from None
    except NotReady as refused:
        raise CampaignNotReady(str(refused)) from None
    return Response(presenting.campaign(campaign(done.pk)))


class SubmitCampaignView(APIView):
    required_scopes: ClassVar = {"POST": Scope.CAMPAIGNS_WRITE}

    @call("submitCampaign", "Submit a draft for review", answers={200: CampaignShape}, conflicts=True)
    def post(self, request: Request, id: int) -> Response:
        """The wording is pinned to what is published now."""
        return take(request, id, CampaignService().submit)


class ReopenCampaignView(APIView):
    required_scopes: ClassVar = {"POST": Scope.CAMPAIGNS_WRITE}

    @call("reopenCampaign", "Make it a draft again", answers={200: CampaignShape}, conflicts=True)
    def post(self, request: Request, id: int) -> Response:
        """As long as it has not started. It has to be reviewed anew."""
        return take(request, id, CampaignService().reopen)


class ApproveCampaignView(APIView):
    required_scopes: ClassVar = {"POST": Scope.CAMPAIGNS_APPROVE}

    @call("approveCampaign", "Approve it", answers={200: CampaignShape}, conflicts=True)
    def post(self, request: Request, id: int) -> Response:
        """By an account that did not write it, where it goes to many (CAMPAIGN_REVIEW_ABOVE)."""
        return take(request, id, CampaignService().approve, sends=True)


class SendBackCampaignView(APIView):
    required_scopes: ClassVar = {"POST": Scope.CAMPAIGNS_APPROVE}

    @call(
        "sendBackCampaign",
        "Send it back to its author",
        request=SendBackBody,
        answers={200: CampaignShape},
        examples={"A word is missing": {"note": "Say until when the offer holds."}},
        conflicts=True,
    )
    def post(self, request: Request, id: int) -> Response:
        body = validation.read(request.data, SendBackBody)
        return take(request, id, CampaignService().send_back, note=body.note)


class LaunchCampaignView(APIView):
    required_scopes: ClassVar = {"POST": Scope.CAMPAIGNS_SEND}

    @call(
        "launchCampaign",
        "Send what was approved",
        request=LaunchBody,
        answers={200: CampaignShape},
        examples={"To many": {"people": 1000000}},
        conflicts=True,
    )
    def post(self, request: Request, id: int) -> Response:
        """Now, or at its moment. What was changed after the approval goes back to review, and is answered with 422."""
        body = validation.read(request.data, LaunchBody)
        return take(request, id, CampaignService().schedule_or_start, sends=True, typed_size=body.people)


class PauseCampaignView(APIView):
    required_scopes: ClassVar = {"POST": Scope.CAMPAIGNS_SEND}

    @call("pauseCampaign", "Stop it for now", answers={200: CampaignShape}, conflicts=True)
    def post(self, request: Request, id: int) -> Response:
        """Within five seconds nothing more is given to a provider."""
        return take(request, id, CampaignService().pause)


class ResumeCampaignView(APIView):
    required_scopes: ClassVar = {"POST": Scope.CAMPAIGNS_SEND}

    @call("resumeCampaign", "Go on where it stopped", answers={200: CampaignShape}, conflicts=True)
    def post(self, request: Request, id: int) -> Response:
        return take(request, id, CampaignService().resume, sends=True)


class ChooseWinnerView(APIView):
    required_scopes: ClassVar = {"POST": Scope.CAMPAIGNS_SEND}

    @call(
        "chooseCampaignWinner",
        "End the test of its variants",
        request=ChooseBody,
        answers={200: CampaignShape},
        examples={"B": {"variant": "B"}},
        conflicts=True,
    )
    def post(self, request: Request, id: int) -> Response:
        """Everybody who has had no variant yet gets this one. One that paused for the choice has to be resumed."""
        body = validation.read(request.data, ChooseBody)
        return take(request, id, choose_winner, sends=True, label=body.variant)


class CancelCampaignView(APIView):
    required_scopes: ClassVar = {"POST": Scope.CAMPAIGNS_SEND}

    @call("cancelCampaign", "Stop it for good", answers={200: CampaignShape}, conflicts=True)
    def post(self, request: Request, id: int) -> Response:
        """What has not left yet is taken back."""
        return take(request, id, CampaignService().cancel)


class DuplicateCampaignView(APIView):
    required_scopes: ClassVar = {"POST": Scope.CAMPAIGNS_WRITE}

    @call("duplicateCampaign", "Make a draft that says the same", answers={200: CampaignShape})
    def post(self, request: Request, id: int) -> Response:
        """The answer is the copy."""
        return take(request, id, CampaignService().duplicate)


class ArchiveCampaignView(APIView):
    required_scopes: ClassVar = {"POST": Scope.CAMPAIGNS_WRITE}

    @call("archiveCampaign", "Put it out of the way", answers={200: CampaignShape}, conflicts=True)
    def post(self, request: Request, id: int) -> Response:
        return take(request, id, CampaignService().archive)


class UnarchiveCampaignView(APIView):
    required_scopes: ClassVar = {"POST": Scope.CAMPAIGNS_WRITE}

    @call("unarchiveCampaign", "Take it out of the archive", answers={200: CampaignShape}, conflicts=True)
    def post(self, request: Request, id: int) -> Response:
        return take(request, id, CampaignService().unarchive)
