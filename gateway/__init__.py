"""The WebSocket gateway: clients on one side, the services on the other."""
