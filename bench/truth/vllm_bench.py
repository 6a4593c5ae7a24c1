"""vLLM's own benchmark client (`vllm bench serve`) without the rest of vLLM: its load generator and its figures are run as they are; what
they import of vLLM for tokenizers, data sets and logging is replaced by stand-ins, since the requests are made here.

    python3 vllm_bench.py FOLDER http://127.0.0.1:8000 MODEL USERS REQUESTS TOKENS

FOLDER holds vllm/benchmarks of vLLM's wheel. It needs aiohttp, numpy, regex and tqdm. Prints the figures as JSON.
"""

import asyncio
import contextlib
import dataclasses
import importlib
import io
import json
import logging
import sys
import types

folder, address, model, users, requests, tokens = *sys.argv[1:4], *map(int, sys.argv[4:7])


@dataclasses.dataclass
class SampleRequest:
    prompt: str
    prompt_len: int
    expected_output_len: int
    multi_modal_data: object = None
    lora_request: object = None
    request_id: str | None = None
    arrival_time: float | None = None
    timestamp: float | None = None
    chat_messages: object = None
    request_overrides: object = None


class WordTokenizer:
    """Only where the server counts no tokens would its count matter."""

    def __call__(self, text, **_options):
        return types.SimpleNamespace(input_ids=text.split())


def stand_in(name, **members):
    module = types.ModuleType(name)
    module.__dict__.update(members)
    module.__getattr__ = lambda member: type(member, (), {})
    sys.modules[name] = module
    return module


for package in ("vllm", "vllm.benchmarks"):
    stand_in(package).__path__ = [f"{folder}/{package.replace('.', '/')}"]
for name in ("tokenizers", "utils", "utils.argparse_utils", "utils.gc_utils", "utils.network_utils"):
    stand_in(f"vllm.{name}")
stand_in("vllm.logger", init_logger=logging.getLogger)
stand_in("vllm.utils.gc_utils", freeze_gc_heap=lambda: None)
stand_in("vllm.benchmarks.datasets", SampleRequest=SampleRequest)

serve = importlib.import_module("vllm.benchmarks.serve")

made = [SampleRequest(f"{number} " + "word " * 100, 101, tokens, request_id=str(number)) for number in range(requests)]
words = io.StringIO()
with contextlib.redirect_stdout(words):
    figures = asyncio.run(
        serve.benchmark(
            task_type=serve.TaskType.GENERATION,
            endpoint_type="openai-chat",
            api_url=f"{address}/v1/chat/completions",
            base_url=address,
            model_id=model,
            model_name=model,
            tokenizer=WordTokenizer(),
            input_requests=made,
            logprobs=None,
            request_rate=float("inf"),
            burstiness=1.0,
            disable_tqdm=True,
            num_warmups=1,
            profile=False,
            selected_percentile_metrics=["ttft", "tpot", "itl", "e2el"],
            selected_percentiles=[50, 90, 99],
            ignore_eos=False,
            goodput_config_dict={},
            max_concurrency=users,
            lora_modules=None,
            extra_headers=None,
            extra_body=None,
            ready_check_timeout_sec=0,
        )
    )
print(json.dumps({name: float(value) for name, value in figures.items() if name.endswith("_ms")}))
