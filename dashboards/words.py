"""What the database's words are called on a page: one place, so that pages, filters and tests agree."""

from dashboards.language import mark as _

KINDS = {
    "sos": _("SOS"),
    "fall": _("Fall"),
    "assist": _("Assistance"),
    "vital": _("Vital sign"),
    "change": _("Change from usual"),
    "score": _("Early warning score"),
    "silence": _("Device silent"),
    "routine": _("Daily routine"),
    "place": _("Out of place"),
    "wander": _("Wandering"),
    "battery": _("Battery"),
    "device": _("Device"),
    "home": _("Home sensor"),
    "outage": _("Outage"),
}
SEVERITIES = {"critical": _("Critical"), "urgent": _("Urgent"), "warning": _("Warning"), "info": _("Information")}
STATES = {
    "open": _("Open"),
    "acknowledged": _("Acknowledged"),
    "resolved": _("Resolved"),
    "cancelled": _("Cancelled"),
}
OUTCOMES = {
    "true": _("Real: help was needed"),
    "false": _("False alarm"),
    "drill": _("Drill or test"),
    "technical": _("Technical cause"),
}
ROLES = {
    "family": _("Family"),
    "neighbour": _("Neighbour"),
    "village_doctor": _("Village doctor"),
    "grid_worker": _("Grid worker"),
    "service": _("Service"),
    "other": _("Other"),
    "operator": _("Operator"),
    "doctor": _("Doctor"),
    "manager": _("Manager"),
    "auditor": _("Auditor"),
}
DEVICES = {
    "handset": _("Handset"),
    "fall_sensor": _("Fall sensor"),
    "kiosk": _("Health kiosk"),
    "home_sensor": _("Home sensor"),
}
DEVICE_STATES = {"online": _("Online"), "offline": _("Offline"), "unknown": _("Not heard yet")}
DELIVERIES = {
    "pending": _("waiting to be sent"),
    "delivered": _("delivered"),
    "dead": _("NOT delivered, given up"),
    "dropped": _("no longer needed"),
}
ATTEMPTS = {
    "delivered": _("Delivered"),
    "refused": _("Refused"),
    "failed": _("No answer"),
    "gone": _("Address is gone"),
}
CHANNELS = {
    "webhook": _("webhook"),
    "email": _("e-mail"),
    "apprise": _("messenger"),
    "device": _("own device"),
    "console": _("console"),
}
WAYS = {
    "page": _("on the page"),
    "api": _("by the API"),
    "link": _("by the link"),
    "event": _("on the device"),
    "cleared": _("because it cleared"),
    "drill": _("by the drill"),
}
SEXES = {"f": _("female"), "m": _("male"), "x": _("other")}
ACTIONS = {
    "alert.opened": _("Alert opened"),
    "alert.joined": _("Another trigger joined"),
    "alert.reopened": _("Open again"),
    "alert.acknowledged": _("Acknowledged"),
    "alert.arrived": _("Somebody is there"),
    "alert.declined": _("Cannot go"),
    "alert.confirmation_asked": _("Asked to make sure that they are well"),
    "alert.confirmed": _("Made sure"),
    "alert.not_confirmed": _("Nobody made sure: operators are told"),
    "alert.resolved": _("Resolved"),
    "alert.cancelled": _("Taken back"),
    "alert.cancel_kept": _("Taken back by the wearer, kept open"),
    "alert.cleared": _("What raised it is over"),
    "alert.noted": _("Note"),
    "escalation.step": _("Next step taken"),
    "escalation.skipped": _("Step passed over: nobody to call now"),
    "escalation.deferred": _("Told after their quiet hours"),
    "escalation.gap": _("Nobody on duty"),
    "command.sent": _("Device was asked"),
    "command.replied": _("Device answered"),
    "channel.disabled": _("Channel disabled"),
    "channel.rotated": _("Secret renewed"),
    "notification.replayed": _("Undelivered message sent again"),
    "notification.dismissed": _("Undelivered message put aside"),
    "audit.repaired": _("Mended by the self-check"),
    "drill.told": _("Drill: first contact and device asked"),
    "drill.result": _("Drill: what came of it"),
    "drill.started": _("Drill begun"),
    "drill.stopped": _("Drill stopped"),
    "drill.ended": _("Drill ended"),
    "resident.erased": _("A person was erased"),
    "clock.set_back": _("The database's clock was set back, and all deadlines with it"),
}
"""Actions of the log; one that is not here is shown by its own name."""
REOPENED = {
    "severity": _("it got worse"),
    "again": _("it came again"),
    "answer_expired": _("nobody got there in time"),
    "declined": _("who had it cannot go"),
    "not_well": _("they need help after all"),
}
REJECTIONS = {
    "too_large": _("Too large"),
    "not_utf8": _("Not UTF-8"),
    "not_json": _("Not JSON"),
    "bad_schema": _("Not as agreed"),
    "unknown_device": _("Unknown device"),
    "wrong_area": _("Wrong area"),
    "unknown_metric": _("Unknown metric"),
    "not_a_number": _("Not a number"),
    "out_of_range": _("Out of range"),
    "unknown_subject": _("Unknown person"),
}
VOCABULARY: dict[str, dict[str, str]] = {
    "kind": KINDS,
    "severity": SEVERITIES,
    "state": STATES,
    "outcome": OUTCOMES,
    "role": ROLES,
    "device": DEVICES,
    "device_state": DEVICE_STATES,
    "delivery": DELIVERIES,
    "attempt": ATTEMPTS,
    "channel": CHANNELS,
    "way": WAYS,
    "sex": SEXES,
    "action": ACTIONS,
    "reopened": REOPENED,
    "rejection": REJECTIONS,
}
