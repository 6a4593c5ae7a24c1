"""A streamed chat with OpenAI's official client.

    pip install openai
    python examples/python/chat.py "What is the capital of France?"
"""

import os
import sys

from openai import OpenAI

client = OpenAI(
    base_url=os.environ.get("SERVER_URL", "http://localhost:8000") + "/v1",
    api_key=os.environ.get("API_KEY", "none"),
)
stream = client.chat.completions.create(
    model=os.environ.get("MODEL", "smollm2"),
    messages=[{"role": "user", "content": " ".join(sys.argv[1:]) or "What is the capital of France?"}],
    max_tokens=64,
    stream=True,
)
for chunk in stream:
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
print()
