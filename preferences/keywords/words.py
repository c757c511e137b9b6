"""Which answer to a text message is a word to us. Pure."""

import unicodedata
from collections.abc import Mapping

from django.db.models import TextChoices


class Keyword(TextChoices):
    """What a whole message said: nothing more to this number, or messages to it again."""

    STOP = "stop", "STOP"
    START = "start", "START"


#: As the CTIA's handbook, Twilio (its English defaults, OPTOUT and REVOKE among them) and Canada's carriers define
#: them. HELP and INFO are none of these: the vendor or the sender answers them, and they change nothing.
WORDS: Mapping[str, Keyword] = {
    **dict.fromkeys(
        ("stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout", "arret"), Keyword.STOP
    ),
    **dict.fromkeys(("start", "yes", "unstop"), Keyword.START),
}
#: A longer message says something else, whatever letters it has.
MAX_CHARACTERS = 40


def meaning_of(text: str) -> Keyword | None:
    """What a message says to us when the keyword is all of it; None for every other message.

    Case, accents, blanks and punctuation make no difference: "Stop.", " STOP ALL ", "ARRÊT" and "“stop” 🙏" are
    keywords, "please stop" and "stop it" are not.
    """
    if len(text) > MAX_CHARACTERS:
        return None
    plain = unicodedata.normalize("NFKD", text).casefold()
    return WORDS.get("".join(character for character in plain if character.isalnum()))
