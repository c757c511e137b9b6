from notifications.models.api_key import ApiKey
from notifications.models.dead_letter import DeadLetter
from notifications.models.delivery import Delivery, DeliveryEvent
from notifications.models.digest import Digest, DigestItem, DigestState
from notifications.models.idempotency import IdempotencyRecord
from notifications.models.limits import RateLimit
from notifications.models.maintenance import MaintenanceState
from notifications.models.message_template import MessageTemplate, TemplatePublication, TemplateVersion
from notifications.models.notification import Notification
from notifications.models.outbox import OutboxMessage
from notifications.models.process_beat import ProcessBeat, QueueDepth
from notifications.models.provider import ProviderSwitch
from notifications.models.received_event import ReceivedEvent
from notifications.models.replay import ReplayRun
from notifications.models.sandbox import SandboxState, SimulatedCall
from notifications.models.simulated_receipt import SimulatedReceipt
from notifications.models.source_hold import HoldKind, SourceHold

__all__ = [
    "ApiKey",
    "DeadLetter",
    "Delivery",
    "DeliveryEvent",
    "Digest",
    "DigestItem",
    "DigestState",
    "HoldKind",
    "IdempotencyRecord",
    "MaintenanceState",
    "MessageTemplate",
    "Notification",
    "OutboxMessage",
    "ProcessBeat",
    "ProviderSwitch",
    "QueueDepth",
    "RateLimit",
    "ReceivedEvent",
    "ReplayRun",
    "SandboxState",
    "SimulatedCall",
    "SimulatedReceipt",
    "SourceHold",
    "TemplatePublication",
    "TemplateVersion",
]
