"""A request to end reaches those who train, and is gone afterwards."""

import signal
from contextlib import suppress
from pathlib import Path

import pytest

from fluxbench.training import ending


def test_an_interrupt_that_is_lost_in_a_library_still_ends_training(tmp_path: Path) -> None:
    """As in a callback whose exceptions Python ignores."""
    checkpoint = tmp_path / "cells" / "a.pt"

    def train() -> None:
        with ending.asked_by_signals(checkpoint.parent):
            with suppress(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
            assert ending.requested(checkpoint)

    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    with pytest.raises(KeyboardInterrupt):
        train()
    assert not ending.requested(checkpoint)
    assert before == [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]


def test_the_first_sigterm_asks_and_the_second_interrupts(tmp_path: Path) -> None:
    checkpoint = tmp_path / "a.pt"
    reached = []

    def train() -> None:
        with ending.asked_by_signals(tmp_path):
            signal.raise_signal(signal.SIGTERM)
            reached.append(ending.requested(checkpoint))
            signal.raise_signal(signal.SIGTERM)
            reached.append(True)

    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            train()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert reached == [True]
