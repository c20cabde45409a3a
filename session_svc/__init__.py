"""The record of sessions, connections, roles, limits and broadcast state."""
