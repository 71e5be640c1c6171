"""200 clients at once: no reset, no mixed result, every refused client reads its refusal, and health is answered."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

import numpy as np
from bench.crowd import HOLE, Photo, crowd, health

from serving import RunningServer, within
from test_connections import dial, open_sockets, post

Start = Callable[..., RunningServer]
CLIENTS, ROUNDS = 200, 1


def test_200_clients_at_once_are_each_served_or_told_to_come_back(start_server: Start) -> None:
    """P6, P7, L2, L3, X15, X17: beside them clients that say nothing, stop in their head, or never read."""
    server = start_server(limits={"body_idle_s": 30.0})
    photo = Photo.of(1000, 1400)

    def is_own(answered: np.ndarray, number: int) -> bool:
        return photo.is_kept(answered, number) and bool((answered[HOLE] == (number, 0, 0)).all())

    before = open_sockets(server)
    with ExitStack() as others:
        for sent in (b"", b"GET /healthz HTTP/1.1\r\nHost: loc", post("/api/v1/images", 10**6) + b"x"):
            for _ in range(10):
                others.enter_context(dial(server)).sendall(sent)
        health_s = others.enter_context(health(server.port))
        outcomes = crowd(server.port, CLIENTS, ROUNDS, photo, {"model": "painter"}, is_own)
    assert [outcome for outcome in outcomes if outcome.wrong] == []
    assert {outcome.status for outcome in outcomes} == {200, 429}
    assert health_s
    assert within(60, lambda: open_sockets(server) <= before)
    assert within(60, lambda: not list((server.data_dir / "tmp").iterdir()))
    assert server.stop() == 0
    assert "Traceback" not in server.child.communicate()[1]
