"""Holding a connection while a person is asked (contract 8), and live updates (contract 6)."""

import threading

import pytest

from harness import Proxy, basic, echo, http, settings


def begin_connect(proxy, target):
    s = proxy.connect()
    s.send(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nProxy-Authorization: {basic()}\r\n\r\n")
    return s


@pytest.fixture
def asking():
    with Proxy(settings([], ["denied.example.com"]), ask=True) as proxy:
        yield proxy


def test_a_yes_lets_the_connection_through(asking):
    with echo() as far, begin_connect(asking, f"127.0.0.1:{far.port}") as s:
        question = asking.asked(host="127.0.0.1", port=far.port, method="connect")
        assert question["client_port"] == s.socket.getsockname()[1]
        asking.answer(question, True)
        assert s.response(body=False).status == 200


@pytest.mark.parametrize("answer", [False, None, 1, "true", "yes", [True], {}])
def test_only_the_value_true_allows(asking, answer):
    with begin_connect(asking, "a.example.com:443") as s:
        asking.send({"t": "answer", "id": asking.asked()["id"], "allow": answer})
        response = s.response()
        assert (response.status, response.phrase) == (403, "user denied")


def test_the_reason_of_the_person_is_told(asking):
    with begin_connect(asking, "a.example.com:443") as s:
        asking.answer(asking.asked(), False, "not on a Friday")
        assert s.response().phrase == "not on a Friday"
    assert asking.event(decision="deny")["reason"] == "not on a Friday"


def test_plain_requests_and_socks_are_asked_about_too(asking):
    with http() as web:
        with asking.connect() as s:
            s.request(f"http://127.0.0.1:{web.port}/")
            asking.answer(asking.asked(method="http"), True)
            assert s.response().status == 200
            s.request(f"http://127.0.0.1:{web.port}/")  # each request anew: whoever answers remembers
            asking.answer(asking.wait(lambda f: f["t"] == "ask" and f["id"] == 2), False)
            assert s.response().status == 403
    result = []
    thread = threading.Thread(target=lambda: result.append(asking.socks("b.example.com", 22)))
    thread.start()
    asking.answer(asking.asked(method="socks", host="b.example.com"), False)
    thread.join()
    stream, reply = result[0]
    stream.close()
    assert reply == 2


def test_identical_open_questions_share_one_answer(asking):
    with echo() as far:
        streams = [begin_connect(asking, f"127.0.0.1:{far.port}") for _ in range(10)]
        other = begin_connect(asking, "b.example.com:80")
        question = asking.asked(port=far.port)
        asking.asked(host="b.example.com")
        asking.answer(question, True)
        for s in streams:
            assert s.response(body=False).status == 200
            s.close()
        assert len([f for f in asking.frames if f["t"] == "ask" and f["port"] == far.port]) == 1
        other.close()


def test_who_goes_away_is_not_asked_for(asking):
    with begin_connect(asking, "a.example.com:443"):
        question = asking.asked()
    asking.wait(lambda f: f["t"] == "cancel" and f["id"] == question["id"])
    asking.answer(question, True)  # too late, and nobody minds
    with begin_connect(asking, "denied.example.com:1") as s:
        assert s.response().status == 403


def test_an_answer_to_no_question_is_ignored(asking):
    asking.send({"t": "answer", "id": 999, "allow": True})
    with begin_connect(asking, "a.example.com:443") as s:
        asking.answer(asking.asked(), False)
        assert s.response().status == 403


def test_nobody_is_asked_about_the_deny_list(asking):
    with begin_connect(asking, "denied.example.com:443") as s:
        assert s.response().phrase == "host is on the deny list"
    assert not [f for f in asking.frames if f["t"] == "ask"]


def test_nobody_is_asked_when_the_list_is_strict():
    with Proxy(settings([], strictAllowlist=True), ask=True) as proxy:
        with begin_connect(proxy, "a.example.com:443") as s:
            assert s.response().phrase == "host is not on the allow list"
        assert not [f for f in proxy.frames if f["t"] == "ask"]


def test_a_name_allowed_by_a_person_is_still_checked_for_where_it_leads(names):
    with Proxy(settings([]), ask=True, wrap=names({"a.example.com": "127.0.0.1"})) as proxy:
        with begin_connect(proxy, "a.example.com:443") as s:
            proxy.answer(proxy.asked(), True)
            response = s.response()
            assert response.status == 403 and "loopback" in response.phrase


def test_the_end_of_the_channel_ends_everything(asking):
    s = begin_connect(asking, "a.example.com:443")
    asking.asked()
    asking.close()
    assert s.rest() == b""


# Live updates

def test_an_update_holds_from_the_next_request_on(proxy):
    with http() as web, proxy.connect() as s:
        url = f"http://127.0.0.1:{web.port}/"
        s.request(url)
        assert s.response().status == 200
        proxy.update(settings(["localhost"]))
        statuses = set()
        for _ in range(200):
            try:
                s.request(url)
                statuses.add(s.response().status)
            except (EOFError, OSError):
                break
            if 403 in statuses:
                break
        assert proxy.get(url).status == 403
        proxy.update(settings(["127.0.0.1"]))
        while proxy.get(url).status == 403:
            pass


def test_a_tightening_closes_tunnels_that_are_no_longer_allowed(proxy):
    with echo() as far, proxy.tunnel("127.0.0.1", far.port) as closed, \
            proxy.tunnel("localhost", far.port) as kept:
        for s in closed, kept:
            s.send("x")
            assert s.take(1) == b"x"
        before = len(proxy.frames)
        proxy.update(settings(["localhost"]))
        assert closed.rest() == b""
        proxy.event(since=before, decision="deny", host="127.0.0.1", port=far.port)
        kept.send("y")
        assert kept.take(1) == b"y"


def test_a_deny_closes_what_a_person_had_allowed_and_less_does_not(asking):
    with echo() as far, begin_connect(asking, f"127.0.0.1:{far.port}") as s:
        asking.answer(asking.asked(), True)
        assert s.response(body=False).status == 200
        asking.update(settings(["other.example.com"]))
        s.send("x")
        assert s.take(1) == b"x"
        asking.update(settings([], ["127.0.0.1"]))
        assert s.rest() == b""


def test_an_update_answers_open_questions(asking):
    with echo() as far:
        yes = begin_connect(asking, f"127.0.0.1:{far.port}")
        no = begin_connect(asking, "a.example.com:443")
        first = asking.asked(port=far.port)
        second = asking.asked(host="a.example.com")
        asking.update(settings([f"127.0.0.1:{far.port}"], ["a.example.com"]))
        assert yes.response(body=False).status == 200
        assert no.response().phrase == "host is on the deny list"
        for question in first, second:
            asking.wait(lambda f: f["t"] == "cancel" and f["id"] == question["id"])
        yes.close()
        no.close()


def test_newly_refused_addresses_close_tunnels(names):
    with echo() as far:
        hosts = names({"a.example.com": "127.0.0.1"})
        allowed = ["a.example.com", f"127.0.0.1:{far.port}"]
        with Proxy(settings(allowed), wrap=hosts) as proxy:
            with proxy.tunnel("a.example.com", far.port) as s:
                s.send("x")
                assert s.take(1) == b"x"
                proxy.update(settings(["a.example.com"]))
                assert s.rest() == b""


def test_a_bad_update_changes_nothing(proxy):
    with http() as web:
        proxy.send({"t": "update", "settings": "{broken"})
        assert proxy.get(f"http://127.0.0.1:{web.port}/").status == 200
