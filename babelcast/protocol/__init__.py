"""The client protocol as data: what may be said over the WebSocket, both ways.

`client_messages` and `server_messages` are the schema, `codec` reads and writes it. The server, the client
library and docs/protocol.md all come from here, so they cannot spell a field in two ways.
"""
