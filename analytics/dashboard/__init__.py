"""The dashboard: what an operator sees of the installation, live and over a span of time."""
