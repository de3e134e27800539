"""Stands last, so that the deadlines of `slow_peers` have mostly passed by the time it is asked."""

import pytest


@pytest.mark.parametrize("name, least", [("silent", 10), ("slow head", 60), ("slow socks", 60)])
def test_who_never_finishes_is_ended(slow_peers, name, least):
    ends, threads = slow_peers
    for thread in threads:
        thread.join(100)
    assert ends[name] > least - 1  # and not before its time
