"""What model providers put on the wire: one turn as the bytes of a Messages stream or of a Chat stream.

A turn is a dict; everything has a default:

    content     list of {"text": …} | {"thinking": …, "signature": …} | {"tool": name, "input": {…}, "id": …}
    stop        "end_turn", "tool_use", "max_tokens", "refusal" …; follows from the content when left out
    usage       {"input_tokens": …, "output_tokens": …, …}
    chunks      into how many deltas each block's text or arguments are cut (default 3)
    error       {"type": …, "message": …}: an error event in place of the end of the stream

Both functions give a list of bytes, one server-sent event each. Text is not escaped, so that a cut
between two bytes may fall into the middle of a character.
"""

import json

CHAT_STOPS = {"end_turn": "stop", "tool_use": "tool_calls", "max_tokens": "length", "refusal": "content_filter"}


def text(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def cut(whole, chunks):
    """The string in at most `chunks` parts of about the same length, none of them empty."""
    size = max(1, -(-len(whole) // chunks))
    return [whole[at:at + size] for at in range(0, len(whole), size)]


def stop_of(turn):
    tools = any("tool" in block for block in turn.get("content", ()))
    return turn.get("stop", "tool_use" if tools else "end_turn")


def usage_of(turn):
    return {"input_tokens": 10, "output_tokens": 5, "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0, **turn.get("usage", {})}


def tool_id(turn, block, index, prefix):
    return block.get("id") or f"{prefix}{turn.get('number', 0)}_{index}"


def event(value):
    return f"event: {value['type']}\ndata: {text(value)}\n\n".encode()


def messages_block(turn, index, block):
    def delta(kind, **fields):
        return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **fields}}

    chunks = turn.get("chunks", 3)
    if "text" in block:
        start = {"type": "text", "text": ""}
        deltas = [delta("text_delta", text=part) for part in cut(block["text"], chunks)]
    elif "thinking" in block:
        start = {"type": "thinking", "thinking": "", "signature": ""}
        deltas = [delta("thinking_delta", thinking=part) for part in cut(block["thinking"], chunks)]
        deltas.append(delta("signature_delta", signature=block.get("signature", "c2lnbmF0dXJl")))
    else:
        start = {"type": "tool_use", "id": tool_id(turn, block, index, "toolu_"), "name": block["tool"], "input": {}}
        arguments = block.get("arguments", text(block.get("input", {})))
        deltas = [delta("input_json_delta", partial_json="")]
        deltas += [delta("input_json_delta", partial_json=part) for part in cut(arguments, chunks)]
    return [{"type": "content_block_start", "index": index, "content_block": start}, *deltas,
            {"type": "content_block_stop", "index": index}]


def messages_stream(turn, request):
    usage = usage_of(turn)
    message = {"id": f"msg_{turn.get('number', 0)}", "type": "message", "role": "assistant", "content": [],
               "model": request.get("model", ""), "stop_reason": None, "stop_sequence": None,
               "usage": {**usage, "output_tokens": 1}}
    events = [{"type": "message_start", "message": message}, {"type": "ping"}]
    for index, block in enumerate(turn.get("content", ())):
        events += messages_block(turn, index, block)
    if "error" in turn:
        events.append({"type": "error", "error": turn["error"]})
    else:
        end = {"stop_reason": stop_of(turn), "stop_sequence": None}
        if "stop_details" in turn:
            end["stop_details"] = turn["stop_details"]
        events += [{"type": "message_delta", "delta": end, "usage": {"output_tokens": usage["output_tokens"]}},
                   {"type": "message_stop"}]
    return [event(value) for value in events]


def chat_deltas(turn):
    yield {"role": "assistant", "content": ""}
    chunks, calls = turn.get("chunks", 3), 0
    for index, block in enumerate(turn.get("content", ())):
        if "text" in block:
            yield from ({"content": part} for part in cut(block["text"], chunks))
        elif "thinking" in block:
            yield from ({"reasoning_content": part} for part in cut(block["thinking"], chunks))
        else:
            name = {"name": block["tool"], "arguments": ""}
            yield {"tool_calls": [{"index": calls, "id": tool_id(turn, block, index, "call_"), "type": "function",
                                   "function": name}]}
            for part in cut(block.get("arguments", text(block.get("input", {}))), chunks):
                yield {"tool_calls": [{"index": calls, "function": {"arguments": part}}]}
            calls += 1


def chat_stream(turn, request):
    def chunk(choices, **more):
        return {"id": f"chatcmpl-{turn.get('number', 0)}", "object": "chat.completion.chunk", "created": 1,
                "model": request.get("model", ""), "choices": choices, **more}

    def choice(delta, reason=None):
        return [{"index": 0, "delta": delta, "finish_reason": reason}]

    chunks = [chunk(choice(delta)) for delta in chat_deltas(turn)]
    if "error" in turn:
        return [f"data: {text(value)}\n\n".encode() for value in [*chunks, {"error": turn["error"]}]]
    chunks.append(chunk(choice({}, CHAT_STOPS.get(stop_of(turn), stop_of(turn)))))
    if (request.get("stream_options") or {}).get("include_usage"):
        usage = usage_of(turn)
        chunks.append(chunk([], usage={
            "prompt_tokens": usage["input_tokens"], "completion_tokens": usage["output_tokens"],
            "total_tokens": usage["input_tokens"] + usage["output_tokens"],
            "prompt_tokens_details": {"cached_tokens": usage["cache_read_input_tokens"]}}))
    return [f"data: {text(value)}\n\n".encode() for value in chunks] + [b"data: [DONE]\n\n"]
