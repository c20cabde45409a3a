"""A gRPC server with truthful health, optional reflection, mapped errors and an orderly end."""

from collections.abc import Sequence
from types import TracebackType
from typing import Self

import grpc
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from babelcast.errors import ServiceUnavailable
from babelcast.rpc.errors import ErrorInterceptor
from babelcast.rpc.health import Health
from babelcast.rpc.options import SERVER


class GrpcServer:
    """One listening gRPC server.

    Register servicers on `server` before `start()`. `set_serving` tells health; `stop` drains: health says
    NOT_SERVING first and ends its watches, then new calls are refused, and calls under way get `grace_s`
    seconds.
    """

    def __init__(self, bind: str, *, services: Sequence[str], reflection_enabled: bool = False) -> None:
        """`bind` is "host:port" (port 0 for any); `services` are the full names that health shows."""
        self.server = grpc.aio.server(interceptors=[ErrorInterceptor()], options=SERVER)
        self.port = 0
        self._bind = bind
        self._services = tuple(services)
        self._health = Health()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self.server)
        if reflection_enabled:
            names = (*self._services, health.SERVICE_NAME, reflection.SERVICE_NAME)
            reflection.enable_server_reflection(names, self.server)

    async def start(self) -> int:
        """Bind and listen; returns the port. Health says NOT_SERVING until `set_serving(True)`.

        Raises: ServiceUnavailable when the address is taken.
        """
        try:
            self.port = self.server.add_insecure_port(self._bind)
        except RuntimeError as error:
            raise ServiceUnavailable(f"Cannot listen on {self._bind}; is it in use?") from error
        await self.set_serving(serving=False)
        await self.server.start()
        return self.port

    async def set_serving(self, *, serving: bool) -> None:
        """Tell health whether the services can do their work."""
        for service in ("", *self._services):
            self._health.set(service, serving=serving)

    async def wait(self) -> None:
        """Wait until the server has stopped."""
        await self.server.wait_for_termination()

    async def stop(self, *, grace_s: float) -> None:
        """Drain and stop; idempotent."""
        self._health.drain()
        await self.server.stop(grace_s)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop(grace_s=0)
