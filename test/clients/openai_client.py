"""Runs features of the matrix with the official client of OpenAI for Python.

Reads orders {id, feature, served, picture, address} as lines of JSON and answers each with {id} or {id, error};
says {id: 0} when it is ready.
"""

import json
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from enum import Enum

import openai
from pydantic import BaseModel

QUESTION = "What is the capital of France?"
LONG_QUESTION = "Tell me a very long story about the sea and a ship."
TOOL_QUESTION = "Call for the weather in Paris."
WEATHER = "It is sunny."


class CityName(str, Enum):
    paris = "Paris"
    rome = "Rome"


class City(BaseModel):
    city: CityName
    large: bool


class GetWeather(BaseModel):
    """The weather of a city."""

    city: CityName


class Order:
    def __init__(self, order):
        self.served = order["served"]
        self.model = self.served["model"]
        self.picture = order["picture"]
        self.busy = order.get("busy")
        self.client = openai.OpenAI(base_url=self.served["url"] + "/v1", api_key="unused", max_retries=0)
        self.limited = openai.OpenAI(
            base_url=self.served["limitedUrl"] + "/v1",
            api_key="unused",
            default_headers={"X-Forwarded-For": order["address"]},
        )

    def asks(self, content, **options):
        return {"model": self.model, "messages": [{"role": "user", "content": content}], **options}


def raises(error_class, run):
    try:
        run()
    except error_class as error:
        return error
    raise AssertionError(f"no {error_class.__name__} was raised")


def at_once(run):
    with ThreadPoolExecutor() as both:
        return [outcome.result() for outcome in [both.submit(run), both.submit(run)]]


def chat(order):
    answer = order.client.chat.completions.create(**order.asks(QUESTION, temperature=0))
    assert "Paris" in answer.choices[0].message.content, answer
    assert answer.choices[0].finish_reason == "stop", answer
    usage = answer.usage
    assert usage.prompt_tokens > 5 and usage.total_tokens == usage.prompt_tokens + usage.completion_tokens, usage
    assert answer._request_id


def stream(order):
    chunks = list(
        order.client.chat.completions.create(
            **order.asks(LONG_QUESTION, max_tokens=6), stream=True, stream_options={"include_usage": True}
        )
    )
    pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
    assert len([piece for piece in pieces if piece]) > 2, pieces
    assert chunks[-1].usage.completion_tokens == 6, chunks[-1]


def stream_helper(order):
    with order.client.chat.completions.stream(**order.asks(QUESTION, temperature=0)) as events:
        deltas = [event.delta for event in events if event.type == "content.delta"]
        whole = events.get_final_completion()
    assert len(deltas) > 2 and "".join(deltas) == whole.choices[0].message.content, whole
    assert whole.choices[0].finish_reason == "stop", whole


def tools(order):
    offered = {"tools": [openai.pydantic_function_tool(GetWeather, name="get_weather")], "max_tokens": 24, "temperature": 0}
    wish = {} if order.served["callsByItself"] else {"tool_choice": "required"}
    completions = order.client.chat.completions
    asked = order.asks(TOOL_QUESTION, **offered)
    with completions.stream(**asked, **wish) as events:
        streamed = events.get_final_completion()
    for answer in [completions.parse(**asked, **wish), streamed]:
        assert answer.choices[0].finish_reason == "tool_calls", answer
        message = answer.choices[0].message
        call = message.tool_calls[0]
        assert isinstance(call.function.parsed_arguments, GetWeather), call
        result = {"role": "tool", "tool_call_id": call.id, "content": WEATHER}
        messages = [*asked["messages"], message.to_dict(), result]
        assert completions.create(**{**asked, "messages": messages, "max_tokens": 8}).choices[0].message.content


def structured(order):
    completions = order.client.chat.completions
    asked = order.asks(QUESTION, response_format=City)
    assert isinstance(completions.parse(**asked).choices[0].message.parsed, City)
    with completions.stream(**asked) as events:
        assert isinstance(events.get_final_completion().choices[0].message.parsed, City)


def images(order):
    content = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": order.picture}}]
    assert order.client.chat.completions.create(**order.asks(content, max_tokens=8)).choices[0].message.content


def thinking(order):
    asked = {**order.asks(QUESTION, reasoning_effort="low"), "model": order.served["thinker"]}
    message = order.client.chat.completions.create(**asked).choices[0].message
    assert "Paris" in message.content and message.reasoning_content == "Let me think.", message


def logprobs(order):
    asked = order.asks(LONG_QUESTION, max_tokens=3, logprobs=True, top_logprobs=2)
    content = order.client.chat.completions.create(**asked).choices[0].logprobs.content
    assert [len(token.top_logprobs) for token in content] == [2, 2, 2], content


def embeddings(order):
    asked = {"model": order.served["embedder"], "input": ["revenue grew", "the cat sits"]}
    # Without an encoding the client asks for base64 and decodes it.
    answer = order.client.embeddings.create(**asked)
    floats = order.client.embeddings.create(**asked, encoding_format="float")
    for one, other in zip(answer.data, floats.data, strict=True):
        assert len(one.embedding) == order.served["dimensions"], one
        assert all(abs(a - b) < 1e-6 for a, b in zip(one.embedding, other.embedding, strict=True))
    assert answer.usage.prompt_tokens > 3, answer.usage


def completions(order):
    asked = {"model": order.model, "prompt": "Once upon a time", "max_tokens": 5}
    answer = order.client.completions.create(**asked)
    assert answer.choices[0].text and answer.usage.completion_tokens == 5, answer
    assert "".join(chunk.choices[0].text for chunk in order.client.completions.create(**asked, stream=True))


def responses(order):
    asked = {"model": order.model, "input": QUESTION, "temperature": 0, "store": False}
    answer = order.client.responses.create(**asked)
    assert answer.status == "completed" and "Paris" in answer.output_text, answer
    with order.client.responses.stream(**asked) as events:
        deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
        whole = events.get_final_response()
    assert len(deltas) > 2 and "".join(deltas) == whole.output_text, whole
    formed = order.client.responses.parse(**asked, text_format=City)
    assert isinstance(formed.output_parsed, City), formed


def count_tokens(order):
    asked = {"model": order.model, "input": QUESTION, "instructions": "Be brief."}
    counted = order.client.responses.input_tokens.count(**asked).input_tokens
    answer = order.client.responses.create(**asked, max_output_tokens=1, store=False)
    assert counted == answer.usage.input_tokens, (counted, answer)


def models(order):
    assert order.model in [model.id for model in order.client.models.list()]
    assert order.client.models.retrieve(order.model).id == order.model


def abort(order):
    with order.client.chat.completions.create(**order.asks(LONG_QUESTION), stream=True) as chunks:
        next(chunk for chunk in chunks if chunk.choices and chunk.choices[0].delta.content)


def errors(order):
    create = order.client.chat.completions.create
    bad = raises(openai.BadRequestError, lambda: create(**order.asks("Hello", temperature="hot")))
    assert bad.status_code == 400 and bad.param == "temperature", bad
    unknown = raises(openai.NotFoundError, lambda: create(**{**order.asks("Hello"), "model": "nobody"}))
    assert unknown.code == "model_not_found", unknown
    long = raises(openai.BadRequestError, lambda: create(**order.asks("word " * 3000)))
    assert long.code == "context_length_exceeded", long
    limited = order.limited.with_options(max_retries=0).chat.completions.create
    raises(openai.RateLimitError, lambda: at_once(lambda: limited(**order.asks("Hello", max_tokens=1))))


def failure(order):
    said = []

    def read():
        for chunk in order.client.chat.completions.create(**order.asks(LONG_QUESTION), stream=True):
            said.append(chunk.choices[0].delta.content or "")

    raises(openai.APIError, read)
    assert "".join(said), said


def retry(order):
    create = order.limited.chat.completions.with_raw_response.create
    asked = order.asks("Hello", max_tokens=1)
    # The model with a full queue first.
    elsewhere = {"X-Forwarded-For": "10.1.2.3"}
    assert create(**{**asked, "model": order.busy}, extra_headers=elsewhere).retries_taken == 1
    answers = at_once(lambda: create(**asked))
    assert sorted(answer.retries_taken for answer in answers) == [0, 1], answers


FEATURES = {
    "chat": chat,
    "stream": stream,
    "stream-helper": stream_helper,
    "tools": tools,
    "structured": structured,
    "images": images,
    "thinking": thinking,
    "logprobs": logprobs,
    "embeddings": embeddings,
    "completions": completions,
    "responses": responses,
    "count-tokens": count_tokens,
    "models": models,
    "abort": abort,
    "errors": errors,
    "failure": failure,
    "retry": retry,
}


def run(order):
    outcome = {"id": order["id"]}
    try:
        FEATURES[order["feature"]](Order(order))
    except BaseException:
        outcome["error"] = traceback.format_exc()
    print(json.dumps(outcome), flush=True)


print(json.dumps({"id": 0}), flush=True)  # All is imported.
with ThreadPoolExecutor() as pool:
    for line in sys.stdin:
        pool.submit(run, json.loads(line))
