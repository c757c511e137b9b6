"""A TCP proxy between Carillon and one of its servers, to be broken at will: passing, held, cut, refusing."""

import socket
import struct
import threading
import time
from contextlib import suppress

#: With these a close sends a reset, as a machine does that lost its memory of a connection.
_RESET = struct.pack("ii", 1, 0)


class Proxy:
    """Passes bytes to `target` on a port of its own that stays the same whatever happens to the target.

    `hold` lets nothing through and answers nobody, as a network that swallows packets; `cut` resets every connection;
    `refuse` also resets the new ones; `heal` ends both, and what was held goes on.
    """

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._flows = threading.Event()
        self._flows.set()
        self._refuses = False
        self._lock = threading.Lock()
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        self.taken: list[float] = []  # when each connection came, in Unix seconds; also those turned away
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def open(self) -> int:
        """Connections at this moment."""
        with self._lock:
            return len(self._pairs)

    def hold(self) -> None:
        self._flows.clear()

    def refuse(self) -> None:
        self._refuses = True
        self.cut()

    def heal(self) -> None:
        self._refuses = False
        self._flows.set()

    def cut(self) -> None:
        with self._lock:
            pairs = list(self._pairs)
            self._pairs.clear()
        for pair in pairs:
            _reset(*pair)

    def close(self) -> None:
        self._refuses = True
        self._flows.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        self.taken.append(time.time())
        self._flows.wait()
        try:
            if self._refuses:
                raise ConnectionRefusedError
            server = socket.create_connection(self._target, timeout=5)
        except OSError:
            _reset(client)
            client.close()
            return
        server.settimeout(None)
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pair = (client, server)
        with self._lock:
            self._pairs.add(pair)
        other = threading.Thread(target=self._pump, args=(server, client, pair), daemon=True)
        other.start()
        self._pump(client, server, pair)
        other.join()
        for end in pair:
            end.close()

    def _pump(self, source: socket.socket, sink: socket.socket, pair: tuple[socket.socket, socket.socket]) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self._flows.wait()
                if pair not in self._pairs:
                    break  # cut while it was held: this never arrives
                sink.sendall(data)
        with self._lock:
            self._pairs.discard(pair)
        for end in pair:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def _reset(*ends: socket.socket) -> None:
    """The threads that serve a connection close it; reading it ends here and now."""
    for end in ends:
        with suppress(OSError):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            end.shutdown(socket.SHUT_RD)
