"""A stand-in for the models of Amazon Bedrock: Converse and ConverseStream.

A reply repeats what was asked, in several events with short pauses, as a model's words come. A request for
JSON gets the smallest value of the schema. Other operations of bedrock-runtime are moto's.
"""

import json
import struct
import time
import zlib
from collections.abc import Iterator
from typing import Any

from werkzeug.wrappers import Response

from aws_request import AwsRequest

OPERATIONS = ("bedrock-runtime:Converse", "bedrock-runtime:ConverseStream")
PAUSE = 0.25
"""Seconds between two events."""
_ANSWER = "answer_of_bedrock = 42"
_USAGE = {"inputTokens": 3, "outputTokens": 5, "totalTokens": 8}
_METRICS = {"latencyMs": 1}
Json = dict[str, Any]


def answer(request: AwsRequest) -> Response:
    body = json.loads(request.http.get_data())
    tool = _output_tool(body)
    stop = "tool_use" if tool else "end_turn"
    text = json.dumps(_example(tool["inputSchema"]["json"])) if tool else _text(body)
    if request.operation.name == "Converse":
        block = {"toolUse": {**_use(tool), "input": json.loads(text)}} if tool else {"text": text}
        message = {"role": "assistant", "content": [block]}
        reply = {"output": {"message": message}, "stopReason": stop, "usage": _USAGE, "metrics": _METRICS}
        return Response(json.dumps(reply), mimetype="application/json")
    events = _events(text, tool, stop)
    return Response(events, mimetype="application/vnd.amazon.eventstream")


def _text(body: Json) -> str:
    if schema := _schema(body):
        return json.dumps(_example(schema))
    said = " ".join(
        block["text"] for block in (body.get("messages") or [{}])[-1].get("content", []) if "text" in block
    )
    # marimo's inline completion (0.25.2, `_server/api/endpoints/ai.py`).
    if "<|fim_" in said:
        return _ANSWER
    return f"Hello from the stand-in for Bedrock. You said: {said.strip()[-200:]}"


def _schema(body: Json) -> Json | None:
    structure = body.get("outputConfig", {}).get("textFormat", {}).get("structure", {})
    schema = structure.get("jsonSchema", {}).get("schema")
    return json.loads(schema) if schema else None


def _output_tool(body: Json) -> Json | None:
    """The tool that pydantic-ai wants the result by, for models without JSON output."""
    tools = [tool.get("toolSpec", {}) for tool in body.get("toolConfig", {}).get("tools", [])]
    return next((tool for tool in tools if tool.get("name", "").startswith("final_result")), None)


def _use(tool: Json) -> Json:
    return {"toolUseId": "tooluse_1", "name": tool["name"]}


def _example(schema: Json, top: Json | None = None) -> Any:
    """A value of a JSON schema, with code for each text and one element for each list."""
    top = top or schema
    if "$ref" in schema:
        return _example(top["$defs"][schema["$ref"].rpartition("/")[2]], top)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        return _example(schema["anyOf"][0], top)
    kind = schema.get("type", "string")
    if kind == "object":
        return {name: _example(part, top) for name, part in schema.get("properties", {}).items()}
    if kind == "array":
        return [_example(schema["items"], top)]
    return {"integer": 1, "number": 1.0, "boolean": True, "null": None}.get(kind, _ANSWER)


def _events(text: str, tool: Json | None, stop: str) -> Iterator[bytes]:
    yield _event("messageStart", {"role": "assistant"})
    if tool:
        yield _event("contentBlockStart", {"contentBlockIndex": 0, "start": {"toolUse": _use(tool)}})
    for words in _parts(text):
        time.sleep(PAUSE)
        delta = {"toolUse": {"input": words}} if tool else {"text": words}
        yield _event("contentBlockDelta", {"contentBlockIndex": 0, "delta": delta})
    yield _event("contentBlockStop", {"contentBlockIndex": 0})
    yield _event("messageStop", {"stopReason": stop})
    yield _event("metadata", {"usage": _USAGE, "metrics": _METRICS})


def _parts(text: str) -> Iterator[str]:
    """Two words at a time."""
    words = text.split(" ")
    for start in range(0, len(words), 2):
        yield (" " if start else "") + " ".join(words[start : start + 2])


def _event(kind: str, payload: Json) -> bytes:
    """One message of application/vnd.amazon.eventstream (Smithy, "Amazon Event Stream Specification")."""
    names = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    headers = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
        for name, value in names.items()
    )
    body = json.dumps(payload).encode()
    lengths = struct.pack(">II", 16 + len(headers) + len(body), len(headers))
    message = lengths + struct.pack(">I", zlib.crc32(lengths)) + headers + body
    return message + struct.pack(">I", zlib.crc32(message))
