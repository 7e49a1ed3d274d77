import threading

import pytest
import torch

from innerloop.data.ahead import Ahead
from innerloop.data.sampler import draw_batch
from worlds import SMALL, made_up_data

SPLIT = made_up_data().split("train")


def batch(step):
    return draw_batch(SPLIT, SMALL, 0, range(2 * step, 2 * step + 2))


def test_drawing_ahead_changes_nothing_in_whatever_order_steps_are_asked_for():
    ahead = Ahead(batch, 6)
    for step in (0, 1, 2, 4, 5, 0):
        assert torch.equal(ahead(step).query.inputs, batch(step).query.inputs)
    ahead.close()


def test_the_next_batch_is_drawn_in_the_background_and_none_beyond_the_last():
    asked, came = [], threading.Event()

    def noted(step):
        asked.append((step, threading.current_thread() is threading.main_thread()))
        if step == 1:
            came.set()
        return batch(step)

    ahead = Ahead(noted, 2)
    ahead(0)
    assert came.wait(10)
    ahead(1)
    ahead.close()
    assert asked == [(0, True), (1, False)]


def test_an_error_while_drawing_ahead_comes_out_where_the_batch_is_asked_for():
    def failing(step):
        if step == 1:
            raise OSError("gone")
        return batch(step)

    ahead = Ahead(failing, 3)
    ahead(0)
    with pytest.raises(OSError, match="gone"):
        ahead(1)
    ahead.close()
