"""The settings by subject; config.settings puts them together. A part may read those before it and nothing else."""
