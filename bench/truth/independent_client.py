"""A second opinion on llm-serve bench: a closed loop of users against an OpenAI-compatible server, with Python's standard library alone.
It shares no code with bench. Prints the raw times in milliseconds as JSON.

    python3 independent_client.py http://127.0.0.1:8000 MODEL USERS REQUESTS TOKENS
"""

import http.client
import json
import sys
import threading
import time
import urllib.parse

address, model, users, requests, tokens = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])
url = urllib.parse.urlsplit(address)
left = requests
lock = threading.Lock()
answers = []


def ask(connection, number):
    body = json.dumps(
        {
            "model": model,
            "messages": [{"role": "user", "content": f"{number} " + "word " * 100}],
            "max_tokens": tokens,
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
    )
    arrivals, counted = [], None
    began = time.perf_counter()
    connection.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    if response.status != 200:
        raise RuntimeError(f"status {response.status}")
    while line := response.readline():
        now = time.perf_counter()
        if not line.startswith(b"data:"):
            continue
        text = line[5:].strip()
        if text == b"[DONE]":
            ended = now
            continue
        event = json.loads(text)
        if event.get("usage"):
            counted = event["usage"]["completion_tokens"]
        if event["choices"] and event["choices"][0]["delta"].get("content"):
            arrivals.append(now)
    answers.append(
        {
            "ttft": (arrivals[0] - began) * 1000,
            "gaps": [(later - earlier) * 1000 for earlier, later in zip(arrivals, arrivals[1:])],
            "e2e": (ended - began) * 1000,
            "tokens": counted,
        }
    )


def user():
    global left
    connection = http.client.HTTPConnection(url.hostname, url.port)
    connection.connect()
    while True:
        with lock:
            if left == 0:
                return
            left -= 1
            number = left
        ask(connection, number)


threads = [threading.Thread(target=user) for _ in range(users)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(json.dumps(answers))
