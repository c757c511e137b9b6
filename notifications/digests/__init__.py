"""Messages that were gathered for a person, and leave together."""
