"""Connections of phones, counted where the TLS handshake is not done yet."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from pathlib import Path

import pytest

from demo.audience import tls
from demo.connections import Listening
from deputize import net


def test_one_phone_takes_no_more_than_its_share_even_of_handshakes_that_it_never_ends(tmp_path: Path):
    file, key, _ = tls.certificate(tmp_path, net.LOOPBACK)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, key)
    trusting = ssl.create_default_context(cafile=file)
    trusting.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        writer.close()

    async def greeted(port: int) -> bytes:
        try:
            reader, writer = await asyncio.open_connection(net.LOOPBACK, port, ssl=trusting)
        except OSError:
            return b""
        said = await reader.read()
        writer.close()
        return said

    async def attack() -> None:
        phones = Listening(net.listening(net.LOOPBACK, 0), of_one=5)
        port = phones.getsockname()[1]
        async with await asyncio.start_server(greet, sock=phones, ssl=context):
            idle = [await asyncio.open_connection(net.LOOPBACK, port) for _ in range(5)]
            ended = [await asyncio.open_connection(net.LOOPBACK, port) for _ in range(3)]
            for reader, _ in ended:
                with contextlib.suppress(ConnectionResetError):
                    assert await asyncio.wait_for(reader.read(), 5) == b""
            assert await greeted(port) == b""
            for _, writer in (*idle, *ended):
                writer.close()
                await asyncio.gather(writer.wait_closed(), return_exceptions=True)
            async with asyncio.timeout(5):  # what was closed is counted no more
                while [await greeted(port) for _ in range(7)] != [b"hello"] * 7:
                    await asyncio.sleep(0.05)

    asyncio.run(attack())


def test_the_bound_of_all_holds_for_everybody():
    with Listening(net.listening(net.LOOPBACK, 0), of_one=9, most=2) as phones:
        calls = [socket.create_connection(phones.getsockname()) for _ in range(3)]
        first, second = phones.accept()[0], phones.accept()[0]
        with pytest.raises(ConnectionAbortedError):
            phones.accept()
        first.close()
        first.close()  # counted once
        calls.append(socket.create_connection(phones.getsockname()))
        third = phones.accept()[0]
        for one in (*calls, second, third):
            one.close()
