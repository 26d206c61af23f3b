"""A TCP proxy that can be cut, made slow or deaf; a thread with an event loop of its own. And a broker that is reached
through one.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from unittest import mock

from streams.stack.kafka import Kafka


class Link:
    """Use as a context manager. `port` leads to `target`; `delay` is how many seconds each chunk waits on its way."""

    def __init__(self, host: str, target: int, port: int = 0) -> None:
        self._host, self._target = host, target
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="link", daemon=True)
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.delay = 0.0
        self.port = port
        self.deaf = False
        """Takes connections and bytes, and carries nothing: what was sent meanwhile comes when it hears again."""
        self.refuses = False
        """Breaks each connection as soon as it is made."""
        self.carried = 0
        """Bytes, both ways."""

    def __enter__(self) -> Link:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._accept, self._host, self.port), self._loop
        ).result(10)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        self.deaf = False
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def cut(self) -> None:
        """Every connection that is open now breaks, in the middle of whatever it carries."""

        self._loop.call_soon_threadsafe(self._abort)

    def _abort(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        self._abort()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            await asyncio.wait(others, timeout=5)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuses:
            writer.transport.abort()
            return
        with contextlib.suppress(OSError):
            there, back = await asyncio.open_connection(self._host, self._target)
            self._writers |= {writer, back}
            await asyncio.gather(self._carry(reader, back), self._carry(there, writer), return_exceptions=True)
            self._writers -= {writer, back}
            back.close()
        writer.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(65_536):
                if self.delay:
                    await asyncio.sleep(self.delay)
                while self.deaf:
                    await asyncio.sleep(0.05)
                writer.write(chunk)
                await writer.drain()
                self.carried += len(chunk)
        writer.close()


@contextlib.contextmanager
def side_door(host: str, port: int, behind: int) -> Iterator[None]:
    """Brokers that are started meanwhile listen at `behind`, too, and tell whoever comes in there to come to `port`: a
    link's.

    A client asks a broker where to find it, and goes around any proxy that the broker does not know of.
    """
    plain = Kafka._properties

    def properties(kafka: Kafka) -> dict[str, str]:
        told = plain(kafka)
        told["listeners"] += f",LINK://{host}:{behind}"
        told["advertised.listeners"] += f",LINK://{host}:{port}"
        told["listener.security.protocol.map"] += ",LINK:PLAINTEXT"
        return told

    with mock.patch.object(Kafka, "_properties", properties):
        yield
