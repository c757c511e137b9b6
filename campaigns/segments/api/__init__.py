"""Segments and lists over the API: the same services and the same refusals as in the admin."""
