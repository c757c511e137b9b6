"""What `seed_demo` puts into an empty installation: catalogue (categories, templates), people, and the way in."""
