"""Fixtures every test may use: real PostgreSQL, Redis and RabbitMQ, isolated by name."""
