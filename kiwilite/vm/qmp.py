"""QMP, the control protocol of QEMU: JSON objects, one a line, over a socket.

Source: QEMU's "QEMU Machine Protocol Specification".
"""

from __future__ import annotations

import json
import socket
from typing import Any

from kiwilite.errors import KiwiliteError


class QmpError(KiwiliteError):
    """QEMU refused a command, or is not there any more."""


class Qmp:
    """The client's end of a QMP connection; greets on construction."""

    def __init__(self, connection: socket.socket, *, timeout: float = 60) -> None:
        connection.settimeout(timeout)
        self._connection = connection
        self._lines = connection.makefile("rb")
        if "QMP" not in self._receive():
            raise QmpError("the other end of the control socket does not speak QMP")
        self.execute("qmp_capabilities")

    def execute(self, command: str, **arguments: object) -> Any:
        """Run `command` and return what it returned; events are passed over.

        Raises QmpError where QEMU refuses it, ends, or does not answer in time.
        """
        request: dict[str, object] = {"execute": command}
        if arguments:
            request["arguments"] = arguments
        try:
            self._connection.sendall(json.dumps(request).encode() + b"\n")
        except OSError as error:
            raise QmpError(f"QEMU does not take commands any more: {error}") from error
        while True:
            answer = self._receive()
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise QmpError(f"QEMU refuses {command}: {answer['error'].get('desc')}")

    def close(self) -> None:
        """Close the connection; QEMU itself goes on."""
        self._lines.close()
        self._connection.close()

    def _receive(self) -> dict[str, Any]:
        try:
            line = self._lines.readline()
        except OSError as error:
            raise QmpError(f"no answer from QEMU: {error}") from error
        if not line:
            raise QmpError("QEMU has ended")
        message = json.loads(line)
        if not isinstance(message, dict):
            raise QmpError("the other end of the control socket does not speak QMP")
        return message
