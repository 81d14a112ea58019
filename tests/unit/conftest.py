"""Unit tests reach no network and no server: what they prove, they prove alone."""

import socket
from typing import Any, NoReturn

import pytest


@pytest.fixture(autouse=True)
def no_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every outgoing connection, local sockets included."""

    def refuse(_self: socket.socket, address: Any) -> NoReturn:
        raise AssertionError(f"a unit test tried to connect to {address!r}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)
