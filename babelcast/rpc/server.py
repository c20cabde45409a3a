"""A gRPC server with truthful health, optional reflection, mapped errors and an orderly end."""

from collections.abc import Sequence
from types import TracebackType
from typing import Self

import grpc
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from babelcast.errors import ServiceUnavailable
from babelcast.rpc.credentials import Guard, Protection
from babelcast.rpc.errors import ErrorInterceptor
from babelcast.rpc.health import Health
from babelcast.rpc.options import SERVER
from babelcast.rpc.tls import server_credentials
from babelcast.rpc.tracing import TracingInterceptor


class GrpcServer:
    """One listening gRPC server.

    Register servicers on `server` before `start()`. `set_serving` tells health; `stop` drains: health says
    NOT_SERVING first and ends its watches, then new calls are refused, and calls under way get `grace_s`
    seconds.
    """

    def __init__(
        self,
        bind: str,
        *,
        services: Sequence[str],
        reflection_enabled: bool = False,
        protection: Protection | None = None,
    ) -> None:
        """`bind` is "host:port" (port 0 for any); `services` are the full names that health shows;
        `protection` says who may call, anybody on this machine if None.

        Raises: ConfigError when `bind` is for other machines and nothing protects it.
        """
        self._protection = protection or Protection()
        self._protection.check(bind)
        interceptors = [ErrorInterceptor(), Guard(self._protection), TracingInterceptor()]
        self.server = grpc.aio.server(interceptors=interceptors, options=SERVER)
        self.port = 0
        self.health_port = 0
        """Where probes that cannot do TLS ask, if anywhere."""
        self._probed: grpc.aio.Server | None = None
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
        await self.set_serving(serving=False)
        try:
            self.port = self._listen(self._bind)
        except RuntimeError as error:
            raise ServiceUnavailable(f"Cannot listen on {self._bind}; is it in use?") from error
        if self._protection.health_bind:
            await self._start_probed(self._protection.health_bind)
        await self.server.start()
        return self.port

    def _listen(self, bind: str) -> int:
        files = self._protection.files
        if files is None:
            return self.server.add_insecure_port(bind)
        return self.server.add_secure_port(bind, server_credentials(files))

    async def _start_probed(self, bind: str) -> None:
        self._probed = grpc.aio.server(options=SERVER)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._probed)
        try:
            self.health_port = self._probed.add_insecure_port(bind)
        except RuntimeError as error:
            raise ServiceUnavailable(f"Cannot listen on {bind}; is it in use?") from error
        await self._probed.start()

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
        if self._probed is not None:
            await self._probed.stop(0)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop(grace_s=0)
