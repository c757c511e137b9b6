"""The words both the recipient's side and the pipeline use. `notifications.choices` re-exports them with its own."""

from django.db.models import TextChoices


class Channel(TextChoices):
    """A way to reach a person."""

    PUSH = "push", "Push"
    EMAIL = "email", "Email"
    SMS = "sms", "SMS"
    IN_APP = "in_app", "In-app"


class Priority(TextChoices):
    """How soon, in falling order. Each priority has a queue of its own per channel."""

    CRITICAL = "critical", "Critical"
    HIGH = "high", "High"
    NORMAL = "normal", "Normal"
    LOW = "low", "Low"


class Purpose(TextChoices):
    """What a category's messages are for. It decides what happens while limits cannot be checked."""

    TRANSACTIONAL = "transactional", "Transactional: someone waits for it"
    MARKETING = "marketing", "Marketing: it can wait"


class DigestMode(TextChoices):
    """When the messages of a category that were gathered for one person leave."""

    NONE = "none", "Not gathered: each as it comes"
    FIXED = "fixed", "A window after the first"
    SLIDING = "sliding", "A pause after the last, but no longer than a cap"
    LOCAL_TIME = "local_time", "At a time of day where the person lives"


class DigestRhythm(TextChoices):
    """What a person says about digests, of one category or of all."""

    AS_IT_COMES = "as_it_comes", "As it comes"
    HOURLY = "hourly", "Hourly"
    DAILY = "daily", "Daily"
    WEEKLY = "weekly", "Weekly"
    DEFAULT = "default", "As the category does"


class Strategy(TextChoices):
    """In which order the channels of one message are tried; see `preferences.strategies`."""

    ALL = "all", "All channels at once"
    FIRST = "first", "One after the other, until one has delivered"
    ESCALATE = "escalate", "Step by step, until it is seen or read"


class Unless(TextChoices):
    """What keeps a later step of an escalation from going out."""

    DELIVERED = "delivered", "delivered"
    SEEN = "seen", "seen"
    READ = "read", "read"


class Platform(TextChoices):
    """Who delivers to a device."""

    APNS = "apns", "Apple (APNs)"
    FCM = "fcm", "Android (FCM)"
    WEBPUSH = "webpush", "Web Push"


class SuppressionReason(TextChoices):
    """Why an address must not be used, whoever asks."""

    HARD_BOUNCE = "hard_bounce", "Hard bounce"
    COMPLAINT = "complaint", "Complaint"
    UNSUBSCRIBED = "unsubscribed", "Unsubscribed"
    MANUAL = "manual", "Set by hand"
    STOP_KEYWORD = "stop_keyword", "Replied STOP"


class Way(TextChoices):
    """By which way something about a person was changed."""

    PAGE = "page", "Preferences page"
    LINK = "link", "Preferences link"
    UNSUBSCRIBE = "unsubscribe", "Unsubscribe link"
    KEYWORD = "keyword", "Text message"
    API = "api", "API"
    ADMIN = "admin", "Admin"
    IMPORT = "import", "Import"
    PROVIDER = "provider", "Delivery report"
    HOST = "host", "Host application"


class LinkPurpose(TextChoices):
    """What a link, or a code, that was sent to a person is for."""

    EMAIL = "email", "Confirming an address"
    PHONE = "phone", "Confirming a phone number"
    DATA = "data", "Taking along or erasing data"


class Changed(TextChoices):
    """What of a person was changed."""

    PREFERENCE = "preference", "What is wanted"
    DIGEST = "digest", "How often"
    LOCALE = "locale", "Language"
    TIMEZONE = "timezone", "Time zone"
    QUIET_HOURS = "quiet_hours", "Quiet hours"
    EMAIL = "email", "Email address"
    PHONE = "phone", "Phone number"
    DEVICE = "device", "Device"
    SUPPRESSION = "suppression", "Address not to be used"
