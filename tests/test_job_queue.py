"""Whose turn it is: as many as there are slots, one of each client, in the order in which they came."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lama_server.errors import ApiError
from lama_server.jobs.queue import JobQueue, Ticket


def queue(slots: int, waiting: int = 8, wait_s: float = 60) -> JobQueue:
    return JobQueue(cast(Any, SimpleNamespace(slots=slots)), waiting, wait_s)


def lined_up(line: JobQueue, *clients: str | None) -> list[Ticket]:
    tickets = [line.reserve(client) for client in clients]
    for ticket in tickets:
        line.line_up(ticket)
    return tickets


def positions(tickets: list[Ticket], line: JobQueue) -> list[int]:
    return [line.position(ticket) for ticket in tickets]


def code_of(work: Coroutine[Any, Any, Any]) -> str:
    with pytest.raises(ApiError) as caught:
        asyncio.run(work)
    return caught.value.code


def test_as_many_have_their_turn_as_there_are_slots() -> None:
    line = queue(slots=2)
    tickets = lined_up(line, None, None, None, None)
    assert positions(tickets, line) == [0, 0, 1, 2]
    tickets[1].release()
    assert positions([tickets[0], *tickets[2:]], line) == [0, 0, 1]


def test_a_clients_next_job_waits_for_its_earlier_one_and_is_passed_by_others() -> None:
    line = queue(slots=2)
    first, second, other = lined_up(line, "a", "a", "b")
    assert positions([first, second, other], line) == [0, 1, 0]
    other.release()
    assert line.position(second) == 1
    first.release()
    assert line.position(second) == 0


def test_a_ticket_that_is_still_uploading_holds_no_other_client_up() -> None:
    line = queue(slots=1)
    uploading = line.reserve("a")
    (ready,) = lined_up(line, "b")
    line.line_up(uploading)
    assert positions([ready, uploading], line) == [0, 1]


def test_a_job_waits_for_an_earlier_one_of_its_client_that_is_still_being_uploaded() -> None:
    line = queue(slots=2)
    uploading = line.reserve("a")
    (later,) = lined_up(line, "a")
    (stranger,) = lined_up(line, "b")
    assert positions([later, stranger], line) == [1, 0]
    line.line_up(uploading)
    assert positions([uploading, later], line) == [0, 1]


def test_requests_without_a_client_have_nothing_to_do_with_each_other() -> None:
    line = queue(slots=3)
    assert positions(lined_up(line, None, None, None), line) == [0, 0, 0]


def test_the_queue_is_full_when_all_slots_and_all_places_are_taken() -> None:
    line = queue(slots=2, waiting=1)
    tickets = lined_up(line, None, None, None)
    with pytest.raises(ApiError) as caught:
        line.reserve()
    assert caught.value.code == "queue.full"
    tickets[2].release()
    assert line.reserve() is not None


def test_a_slot_that_is_lost_is_not_given_away_again() -> None:
    executor = SimpleNamespace(slots=2)
    line = JobQueue(cast(Any, executor), 8)
    first, second, third = lined_up(line, None, None, None)
    executor.slots = 1
    first.release()
    assert positions([second, third], line) == [0, 1]
    second.release()
    assert line.position(third) == 0


def test_those_who_wait_are_sent_away_when_the_queue_closes_and_those_who_run_are_not() -> None:
    async def closing() -> None:
        line = queue(slots=1)
        running, waiting = line.reserve(), line.reserve()
        await running.wait()
        waits = asyncio.create_task(waiting.wait())
        await asyncio.sleep(0)
        line.close()
        running.release()
        await waits

    assert code_of(closing()) == "server.shutting_down"


def test_who_waits_too_long_is_told() -> None:
    async def waiting() -> None:
        line = queue(slots=1, wait_s=0)
        await line.reserve("a").wait()
        await line.reserve("a").wait()

    assert code_of(waiting()) == "job.queue_timeout"


@given(
    slots=st.integers(1, 3),
    steps=st.lists(st.tuples(st.sampled_from("abc?"), st.booleans(), st.integers(0, 99)), max_size=40),
)
def test_however_jobs_come_and_go(slots: int, steps: list[tuple[str, bool, int]]) -> None:
    """Never more turns than slots nor two of one client; places only improve; in the end everybody has had a turn."""
    line = queue(slots, waiting=100)
    here: list[Ticket] = []
    order: dict[str, list[Ticket]] = defaultdict(list)
    best: dict[Ticket, int] = {}

    def check() -> None:
        places = {ticket: line.position(ticket) for ticket in here}
        running = [ticket.client for ticket, place in places.items() if place == 0]
        assert len(running) <= slots
        assert len(set(running)) == len(running)
        assert all(place <= best.get(ticket, place) for ticket, place in places.items())
        assert len({place for place in places.values() if place}) == len(places) - len(running)
        assert all(places[own[0]] <= min(map(places.__getitem__, own)) for own in order.values() if own)
        blocked = [t for t, place in places.items() if place and order[t.client][0] is t]
        assert len(running) == slots or not blocked
        best.update(places)

    def leave(ticket: Ticket) -> None:
        here.remove(ticket)
        order[ticket.client].remove(ticket)
        ticket.release()
        check()

    for client, comes, which in steps:
        if comes or not here:
            ticket = line.reserve(None if client == "?" else client)
            here.append(ticket)
            order[ticket.client].append(ticket)
            line.line_up(ticket)
            check()
        else:
            leave(here[which % len(here)])
    while here:
        leave(next(ticket for ticket in here if line.position(ticket) == 0))
