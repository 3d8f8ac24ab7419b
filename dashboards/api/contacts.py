"""A test notification to a contact, by every channel they have."""

from fastapi import APIRouter

from dashboards.api.models import TestSent
from dashboards.api.problems import Problem, not_found
from dashboards.api.tokens import WritesContacts
from dashboards.services import Uses

router = APIRouter(prefix="/contacts", tags=["contacts"])


@router.post("/{contact_id}/test", status_code=202, summary="Send a notification of type `test`")
async def send_test(uses: Uses, viewer: WritesContacts, contact_id: str) -> TestSent:
    if not await uses.store.mappings("contact_within", id=contact_id, area=viewer.area):
        raise not_found()
    sent = await uses.store.mappings("test_contact", id=contact_id)
    if not sent:
        raise Problem(409, "no_channel", "This contact has no channel in use.")
    await uses.store.record(viewer.actor, "contact.tested", contact=contact_id, channels=len(sent))
    return TestSent(notifications=[row["id"] for row in sent])
