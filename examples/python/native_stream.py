"""Streams an answer of the native API with nothing but Python's standard library.

    python examples/python/native_stream.py "Name three colours."
"""

import json
import os
import sys
import urllib.error
import urllib.request

url = os.environ.get("SERVER_URL", "http://localhost:8000") + "/stream"
headers = {"content-type": "application/json"}
if "API_KEY" in os.environ:
    headers["authorization"] = "Bearer " + os.environ["API_KEY"]
body = {"prompt": " ".join(sys.argv[1:]) or "Name three colours.", "max_tokens": 64}

try:
    response = urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers))
except urllib.error.HTTPError as error:  # until the first token, every failure has its own HTTP status
    sys.exit(f"{error.code}: {error.read().decode()}")

for line in response:
    data = line.decode().strip().removeprefix("data: ")
    if data == "[DONE]":  # marks success
        break
    if data == "" or data.startswith(":"):  # the end of an event, or a heartbeat
        continue
    event = json.loads(data)
    if "token" in event:
        print(event["token"], end="", flush=True)
    elif "error" in event:
        sys.exit("\n" + event["error"]["message"])
    elif "finish_reason" in event:
        print(f"\n({event['finish_reason']}, {event['usage']['completion_tokens']} tokens)")
else:
    sys.exit("\nthe connection was lost")
