"""A TCP proxy that makes each turn of a conversation take longer, as a store far away does; it does not look inside, so
TLS passes. What the client sends first, and first after each answer, is held back."""
import socket
import threading
import time

from .waiting import let_time_pass


class SlowProxy:
    """with SlowProxy(port, seconds) as proxy: ... proxy.port, proxy.held_back()"""

    def __init__(self, target: int, delay: float):
        self.target, self.delay = target, delay
        self._held: "list[tuple[float, float]]" = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]

    def __enter__(self) -> "SlowProxy":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self._listener.close()

    def held_back(self) -> float:
        """For how long something was held back since the last time it was asked: what waits together counts once."""
        held, self._held = sorted(self._held), []
        total = end = 0.0
        for begin, until in held:
            total += max(0.0, until - max(begin, end))
            end = max(end, until)
        return total

    def hold_back(self) -> None:
        begin = time.monotonic()
        let_time_pass(self.delay)
        self._held.append((begin, time.monotonic()))

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            _Conversation(client, socket.create_connection(("127.0.0.1", self.target)), self)


class _Conversation:
    def __init__(self, client: socket.socket, server: socket.socket, proxy: SlowProxy):
        self.client, self.server, self.proxy = client, server, proxy
        self.clients_turn = True
        for side in (client, server):
            side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=self._questions, daemon=True).start()
        threading.Thread(target=self._answers, daemon=True).start()

    def _questions(self) -> None:
        for part in self._parts(self.client, self.server):
            if self.clients_turn:
                self.clients_turn = False
                self.proxy.hold_back()
            self.server.sendall(part)

    def _answers(self) -> None:
        for part in self._parts(self.server, self.client):
            self.clients_turn = True
            self.client.sendall(part)

    @staticmethod
    def _parts(source: socket.socket, target: socket.socket):
        try:
            while True:
                part = source.recv(1 << 20)
                if not part:
                    break
                yield part
        except OSError:
            pass
        finally:
            try:
                target.shutdown(socket.SHUT_WR)
            except OSError:
                pass
