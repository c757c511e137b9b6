"""Who wants which messages gathered, and how: a category's rule and what people say about it."""

from preferences.digesting.rules import NO_DIGEST, DigestRule, DigestWord, in_force, rule_of

__all__ = ["NO_DIGEST", "DigestRule", "DigestWord", "in_force", "rule_of"]
