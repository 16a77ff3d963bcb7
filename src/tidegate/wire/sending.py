"""A part of a file on its way to a client, in steps for a thread (`offload.py`).

Plain connections: the kernel copies, by sendfile. TLS: the thread reads and encrypts. A transfer
that waits for its reader keeps no bytes: they are read from the file again.
"""

import os
import select
import socket
import ssl

from tidegate.wire.errors import FileEnded
from tidegate.wire.offload import BLOCKED, PATIENCE, SHARE, poll_for

READ = 64 * 1024  # stays in the processor's cache until it is encrypted
MORE = getattr(socket, "MSG_MORE", 0)  # the head travels in the first data packet; Linux only


class FileSending:
    """`head`, then `count` bytes of the file `fd` from `offset`; called until `done`."""

    def __init__(self, sock: socket.socket, head: bytes, fd: int, offset: int, count: int) -> None:
        self._sock = sock
        self._head = head
        self._fd = fd
        self._offset = offset
        self._count = count
        self._encrypted = isinstance(sock, ssl.SSLSocket)
        self._read = memoryview(b"")  # of the file, not yet sent; forgotten while waiting
        self.patience = PATIENCE

    @property
    def done(self) -> bool:
        return not self._head and not self._count

    def __call__(self) -> bool:
        """Send; True when the peer must make room first. Raises OSError and FileEnded."""
        share = SHARE
        while not self.done and share > 0:
            try:
                share -= self._send_head() if self._head else self._send_file()
            except BLOCKED:
                if not poll_for(self._sock, select.POLLOUT, self.patience):
                    self._read = memoryview(b"")
                    return True
        return False

    def _send_head(self) -> int:
        sent = self._sock.send(self._head, 0 if self._encrypted else MORE)
        self._head = self._head[sent:]
        return sent

    def _send_file(self) -> int:
        if self._encrypted:
            sent = self._send_read()
        else:
            sent = os.sendfile(self._sock.fileno(), self._fd, self._offset, min(self._count, SHARE))
        if not sent:
            raise FileEnded(f"{self._count} bytes before the promised end")
        self._offset += sent
        self._count -= sent
        return sent

    def _send_read(self) -> int:
        if not self._read:
            size = min(self._count, READ)
            self._read = memoryview(os.pread(self._fd, size, self._offset))
            if not self._read:
                return 0
        sent = self._sock.send(self._read)
        self._read = self._read[sent:]
        return sent
