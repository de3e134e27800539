"""The stand-in for a model provider, against the official client: what it sends is what such a provider sends."""

import json
import threading
import urllib.error
import urllib.request

import pytest

import wires
from provider import Provider
from sdk import Sdk, SdkError

ASK = {"model": "any", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]}
EVERYTHING = {"content": [
    {"thinking": "let me see", "signature": "abcd"}, {"text": "grüße, 世界 🌍"},
    {"tool": "bash", "input": {"command": "echo 'ö'"}, "id": "toolu_x"},
    {"tool": "read", "input": {"file_path": "a"}, "id": "toolu_y"}],
    "usage": {"input_tokens": 7, "output_tokens": 9, "cache_read_input_tokens": 3}}


def gather(driver, provider, **options):
    """The events of one streamed answer, as the official client reads them."""
    sdk = Sdk(driver, provider.url, "a-secret", maxRetries=0, **options)
    stream = sdk.stream.messages.create({**ASK, "stream": True})
    return stream.until("message_stop")


def told(events):
    """What the deltas add up to, block by block."""
    blocks = {}
    for event in events:
        if event["type"] == "content_block_start":
            blocks[event["index"]] = [event["content_block"]["type"], event["content_block"].get("name", ""), ""]
        elif event["type"] == "content_block_delta":
            delta = event["delta"]
            blocks[event["index"]][2] += next((delta[name] for name in ("text", "thinking", "partial_json", "signature")
                                               if name in delta))
    return list(blocks.values())


@pytest.mark.parametrize("size", [1, 7, None])
def test_the_official_client_reads_every_kind_of_block_however_it_is_cut(driver, size):
    turn = {**EVERYTHING, "chunks": 5, **({"bytes": size} if size else {})}
    with Provider([turn]) as provider:
        events = gather(driver, provider)
    blocks = told(events)
    assert [block[:2] for block in blocks] == [["thinking", ""], ["text", ""], ["tool_use", "bash"], ["tool_use", "read"]]
    assert blocks[0][2] == "let me seeabcd" and blocks[1][2] == "grüße, 世界 🌍"
    assert json.loads(blocks[2][2]) == {"command": "echo 'ö'"} and json.loads(blocks[3][2]) == {"file_path": "a"}
    assert events[-2]["delta"]["stop_reason"] == "tool_use"


def test_the_key_it_was_sent_can_be_compared_but_not_read(driver):
    with Provider([{"content": [{"text": "x"}]}]) as provider:
        gather(driver, provider)
        request = provider.requests[0]
    assert request.key == "a-secret" and "a-secret" not in repr(request) + repr(request.headers) + repr([request.key])


@pytest.mark.parametrize("status, name", [(429, "RateLimitError"), (500, "InternalServerError"), (529, "OverloadedError")])
def test_a_status_is_an_error_of_the_official_client(driver, status, name):
    with Provider([{"status": status}]) as provider, pytest.raises(SdkError) as caught:
        gather(driver, provider)
    assert (caught.value.name, caught.value.status) == (name, status)


def test_an_error_event_in_the_middle_of_a_stream_is_raised(driver):
    turn = {"content": [{"text": "half"}], "error": {"type": "overloaded_error", "message": "later"}}
    with Provider([turn]) as provider, pytest.raises(SdkError) as caught:
        gather(driver, provider)
    assert caught.value.type == "overloaded_error"


@pytest.mark.parametrize("framing", ["chunked", "close"])
def test_a_stream_can_be_cut_at_a_byte(driver, framing):
    with Provider([{"content": [{"text": "some words"}], "cut_at": 300, "framing": framing}]) as provider:
        with pytest.raises((SdkError, AssertionError)):
            gather(driver, provider)


def test_a_gated_stream_goes_on_by_steps(driver):
    gate = threading.Semaphore(1)
    with Provider([{"content": [{"text": "abc"}], "gate": gate}]) as provider:
        stream = Sdk(driver, provider.url, "k").stream.messages.create({**ASK, "stream": True})
        assert stream.next()["type"] == "message_start"
        gate.release(100)
        stream.until("message_stop")


def test_a_stream_that_hangs_goes_on_when_released(driver):
    released = threading.Event()
    with Provider([{"content": [{"text": "abc"}], "before": released}]) as provider:
        sdk = Sdk(driver, provider.url, "k")
        waiting = sdk.later.messages.create(ASK | {"stream": True})
        provider.wait_for(1)
        released.set()
        driver.answer(waiting)


def test_chat_sends_calls_in_parts_and_usage_on_demand():
    turn = {**EVERYTHING, "number": 0, "chunks": 4}
    request = {"model": "any", "stream_options": {"include_usage": True}}
    lines = b"".join(wires.chat_stream(turn, request)).decode().split("\n\n")
    assert lines[-2:] == ["data: [DONE]", ""]
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines[:-2]]
    calls = {}
    for chunk in chunks:
        for choice in chunk["choices"]:
            for call in choice["delta"].get("tool_calls", ()):
                found = calls.setdefault(call["index"], ["", ""])
                found[0] += call["function"].get("name", "")
                found[1] += call["function"].get("arguments", "")
    assert {index: (name, json.loads(arguments)) for index, (name, arguments) in calls.items()} == {
        0: ("bash", {"command": "echo 'ö'"}), 1: ("read", {"file_path": "a"})}
    assert chunks[-1]["usage"]["prompt_tokens"] == 7 and chunks[-2]["choices"][0]["finish_reason"] == "tool_calls"


def test_a_request_beyond_the_script_is_refused():
    with Provider([]) as provider:
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(urllib.request.Request(f"{provider.url}/v1/chat/completions", b"{}"))
        assert caught.value.code == 400
        caught.value.close()
