"""Who is told when something goes wrong: rules, the alerts they open and clear, and the messages about them."""
