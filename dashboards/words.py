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
PROBLEMS = {
    "timeout": _("did not answer in time"),
    "gone": _("the address says that it is gone for good"),
    "channel_deleted": _("the channel was deleted"),
    "channel_disabled": _("the channel is disabled"),
    "address_not_allowed": _("the address is in a private network"),
    "http_not_allowed": _("the address is not https"),
    "bad_address_or_secret": _("the address or its secret is wrong"),
    "bad_address": _("the address is wrong"),
    "not_connected": _("could not be reached"),
    "tls": _("its certificate is not valid"),
    "service_refused": _("the service refused it"),
    "device_not_there": _("the device is offline or not registered"),
    "device_refused": _("the device refused"),
    "no_reply": _("the device said nothing"),
}
"""Why a message was not delivered; what is not here (a status, an error's name) is shown by its own name."""
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
    "escalation.failed": _("Step failed: operators are told"),
    "command.asked": _("Somebody wants something of the device"),
    "command.sent": _("Device was asked"),
    "command.replied": _("Device answered"),
    "command.expired": _("Device did not answer in time"),
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
MILESTONES = {
    "received": _("Received"),
    "told": _("First told"),
    "acknowledged": _("Acknowledged"),
    "arrived": _("Somebody there"),
    "closed": _("Closed"),
}
FINDINGS = {
    "changed": _("a row was changed"),
    "removed": _("rows are missing"),
    "added": _("a row was put in"),
    "cut_off": _("its end is missing"),
    "unchained": _("its end is not known"),
}
CHARTS = {
    "heart_rate": _("Heart rate, /min"),
    "spo2": _("Oxygen saturation, %%"),
    "blood_pressure": _("Blood pressure, mmHg"),
    "temperature": _("Body temperature, °C"),
    "glucose": _("Blood glucose, mmol/L"),
    "respiratory_rate": _("Respiratory rate, /min"),
    "weight": _("Weight, kg"),
}
COMMANDS = {
    "locate": _("Locate"),
    "ring": _("Ring"),
    "call": _("Call"),
    "test": _("Test"),
    "set_interval": _("Set interval"),
}
COMMAND_STATES = {
    "waiting": _("waiting to be sent"),
    "sent": _("sent, no answer yet"),
    "answered": _("done"),
    "refused": _("the device says no"),
    "expired": _("NO ANSWER in time"),
}
TO_DO = {
    "sos": _("Call them at once. If nobody answers, go there; if they are hurt or unwell, call 120."),
    "fall": _("Call them at once. If nobody answers, go there. Do not pull them up if they are hurt: call 120."),
    "assist": _("Call them and ask what they need."),
    "vital": _("Call them and ask how they are. With chest pain, short breath or confusion, call 120."),
    "change": _("Call or visit them today, and ask what is different."),
    "score": _("Call them and ask how they are; have the village doctor look at them today."),
    "silence": _("Call them, and ask whether the device is on, charged and within reach."),
    "routine": _("Call them. If nobody answers, look in on them."),
    "place": _("Call them. If nobody answers, look for them where they were last."),
    "wander": _("Go to where they were last and bring them home; take somebody along."),
    "battery": _("Ask them to charge the device, or charge it for them."),
    "device": _("Look at the device: charger, plug, whether it is worn."),
    "home": _("Call them. With smoke or gas: everybody out, call 119, touch no switch."),
    "outage": _("Nobody there can call for help now. Look in on those who live alone."),
}
"""What who was called is asked to do, by kind of alert. 120 and 119: ambulance and fire service."""
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
    "problem": PROBLEMS,
    "way": WAYS,
    "sex": SEXES,
    "action": ACTIONS,
    "reopened": REOPENED,
    "milestone": MILESTONES,
    "finding": FINDINGS,
    "chart": CHARTS,
    "command": COMMANDS,
    "command_state": COMMAND_STATES,
    "to_do": TO_DO,
    "rejection": REJECTIONS,
}
