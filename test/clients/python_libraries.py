"""Asks the server with one Python library, as its users would: python_libraries.py LIBRARY URL MODEL FOLDER

Prints a line of JSON for each feature: {feature, error}; error is null where it went well. FOLDER is empty, for settings.
"""

import asyncio
import json
import os
import sys
import traceback
from enum import Enum

from pydantic import BaseModel

LIBRARY, URL, MODEL, FOLDER = sys.argv[1:]
BASE = URL + "/v1"
QUESTION = "What is the capital of France?"
TOOL_QUESTION = "Call for the weather in Paris."
WEATHER = "It is sunny."


class CityName(str, Enum):
    paris = "Paris"
    rome = "Rome"


class City(BaseModel):
    city: CityName
    large: bool


class Weather:
    """A tool that remembers that it was called."""

    def __init__(self):
        self.asked = []

    def tell(self, city: str) -> str:
        self.asked.append(city)
        return WEATHER


def says_paris(text):
    assert "Paris" in text, text


def streamed(pieces):
    pieces = [piece for piece in pieces if piece]
    assert len(pieces) > 1, pieces
    says_paris("".join(pieces))


def is_city(value):
    assert isinstance(value, City) and value.city == CityName.paris, value


def litellm_features():
    import litellm

    options = {"model": f"openai/{MODEL}", "api_base": BASE, "api_key": "none"}
    asks = [{"role": "user", "content": QUESTION}]

    def chat():
        answer = litellm.completion(messages=asks, **options)
        says_paris(answer.choices[0].message.content)
        assert answer.usage.completion_tokens > 0

    def stream():
        chunks = litellm.completion(messages=asks, stream=True, **options)
        streamed([chunk.choices[0].delta.content for chunk in chunks])

    def tools():
        parameters = {"type": "object", "properties": {"city": {"enum": ["Paris", "Rome"]}}, "required": ["city"]}
        tool = {"type": "function", "function": {"name": "get_weather", "parameters": parameters}}
        messages = [{"role": "user", "content": TOOL_QUESTION}]
        message = litellm.completion(messages=messages, tools=[tool], **options).choices[0].message
        (call,) = message.tool_calls
        assert json.loads(call.function.arguments) == {"city": "Paris"}, call
        result = {"role": "tool", "tool_call_id": call.id, "content": WEATHER}
        answer = litellm.completion(messages=[*messages, message.model_dump(), result], tools=[tool], **options)
        assert answer.choices[0].finish_reason == "stop" and answer.choices[0].message.content

    def structured():
        answer = litellm.completion(messages=asks, response_format=City, **options)
        is_city(City.model_validate_json(answer.choices[0].message.content))

    return [chat, stream, tools, structured]


def openai_agents_features():
    from agents import Agent, OpenAIResponsesModel, Runner, function_tool, set_tracing_disabled
    from openai import AsyncOpenAI

    set_tracing_disabled(True)

    def agent(**more):
        # A client belongs to the loop that it was first used in.
        model = OpenAIResponsesModel(model=MODEL, openai_client=AsyncOpenAI(base_url=BASE, api_key="none"))
        return Agent(name="a", model=model, **more)

    def chat():
        says_paris(asyncio.run(Runner.run(agent(), QUESTION)).final_output)

    def stream():
        async def run():
            result = Runner.run_streamed(agent(), QUESTION)
            events = [event async for event in result.stream_events()]
            raw = [event.data for event in events if event.type == "raw_response_event"]
            return [data.delta for data in raw if data.type == "response.output_text.delta"]

        streamed(asyncio.run(run()))

    def tools():
        weather = Weather()

        @function_tool
        def get_weather(city: CityName) -> str:
            """The weather of a city."""
            return weather.tell(city.value)

        result = asyncio.run(Runner.run(agent(tools=[get_weather]), TOOL_QUESTION))
        assert weather.asked == ["Paris"] and result.final_output

    def structured():
        is_city(asyncio.run(Runner.run(agent(output_type=City), QUESTION)).final_output)

    return [chat, stream, tools, structured]


def pydantic_ai_features():
    from pydantic_ai import Agent, NativeOutput
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    def agent(**more):
        return Agent(OpenAIChatModel(MODEL, provider=OpenAIProvider(base_url=BASE, api_key="none")), **more)

    def chat():
        says_paris(asyncio.run(agent().run(QUESTION)).output)

    def stream():
        async def run():
            async with agent().run_stream(QUESTION) as result:
                return [piece async for piece in result.stream_text(delta=True, debounce_by=None)]

        streamed(asyncio.run(run()))

    def tools():
        weather = Weather()
        asked = agent()

        @asked.tool_plain
        def get_weather(city: CityName) -> str:
            """The weather of a city."""
            return weather.tell(city.value)

        result = asyncio.run(asked.run(TOOL_QUESTION))
        assert weather.asked == ["Paris"] and result.output

    def structured():
        # By a tool that has to be called, and by the response format.
        is_city(asyncio.run(agent(output_type=City).run(QUESTION)).output)
        is_city(asyncio.run(agent(output_type=NativeOutput(City)).run(QUESTION)).output)

    return [chat, stream, tools, structured]


def instructor_features():
    import instructor
    from openai import OpenAI

    asks = [{"role": "user", "content": QUESTION}]

    def structured():
        for mode in (instructor.Mode.TOOLS, instructor.Mode.JSON_SCHEMA):
            client = instructor.from_openai(OpenAI(base_url=BASE, api_key="none"), mode=mode)
            is_city(client.chat.completions.create(model=MODEL, messages=asks, response_model=City))

    return [structured]


def langchain_features():
    from langchain_core.messages import HumanMessage, ToolMessage
    from langchain_core.tools import tool
    from langchain_openai import ChatOpenAI

    model = ChatOpenAI(model=MODEL, base_url=BASE, api_key="none")

    def chat():
        answer = model.invoke(QUESTION)
        says_paris(answer.content)
        assert answer.usage_metadata["output_tokens"] > 0

    def stream():
        streamed([chunk.content for chunk in model.stream(QUESTION)])

    def tools():
        @tool
        def get_weather(city: CityName) -> str:
            """The weather of a city."""
            return WEATHER

        bound = model.bind_tools([get_weather])
        messages = [HumanMessage(TOOL_QUESTION)]
        called = bound.invoke(messages)
        (call,) = called.tool_calls
        assert call["args"] == {"city": "Paris"}, call
        answer = bound.invoke([*messages, called, ToolMessage(WEATHER, tool_call_id=call["id"])])
        assert answer.content and not answer.tool_calls

    def structured():
        for method in ("json_schema", "function_calling"):
            is_city(model.with_structured_output(City, method=method).invoke(QUESTION))

    return [chat, stream, tools, structured]


def llm_features():
    os.environ["LLM_USER_PATH"] = FOLDER
    with open(os.path.join(FOLDER, "extra-openai-models.yaml"), "w") as settings:
        entry = {"model_id": "ours", "model_name": MODEL, "api_base": BASE}
        json.dump([{**entry, "supports_tools": True, "supports_schema": True}], settings)
    import llm

    model = llm.get_model("ours")
    model.key = "none"

    def chat():
        says_paris(model.prompt(QUESTION, stream=False).text())

    def stream():
        streamed(list(model.prompt(QUESTION)))

    def tools():
        weather = Weather()

        def get_weather(city: str) -> str:
            """The weather of a city."""
            return weather.tell(city)

        assert model.chain(TOOL_QUESTION, tools=[get_weather]).text()
        assert len(weather.asked) == 1

    def structured():
        is_city(City.model_validate_json(model.prompt(QUESTION, schema=City).text()))

    return [chat, stream, tools, structured]


for feature in globals()[f"{LIBRARY}_features"]():
    try:
        feature()
        error = None
    except Exception:
        error = traceback.format_exc()
    print(json.dumps({"feature": feature.__name__, "error": error}), flush=True)
