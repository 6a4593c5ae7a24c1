"""
An OpenAI ingress in Ray Serve over replicas of a small model server: each replica starts an llm-serve of its own (the embedded engine
on the CPU, unless `command` says otherwise) and streams what it answers. For machines without a GPU, and for trying out how Ray Serve
and the server in front of it work together; on GPUs use Ray Serve LLM (serve-llm.yaml).

Arguments of `app`: `command`, what starts a server (its port is added); `model`, the name that /v1/models lists.
"""

import asyncio
import ctypes
import signal
import socket
import subprocess
import time
from typing import Any, AsyncIterator

import aiohttp
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from ray import serve
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError
from ray.serve.handle import DeploymentHandle

# From the start of a server until its model is loaded; a first start may download it.
READY_WITHIN_S = 600
STOPS_WITHIN_S = 20
# Of a server's answer, what its client must see.
PASSED_HEADERS = ("content-type", "retry-after")

api = FastAPI()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def die_with_parent() -> None:
    """A replica that is killed must not leave its server behind (Linux)."""
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


@serve.deployment
class ModelServer:
    """Owns its server's process."""

    async def __init__(self, command: list[str]) -> None:
        """The replica counts as started when its server is ready."""
        port = free_port()
        self._url = f"http://127.0.0.1:{port}"
        self._server = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)], preexec_fn=die_with_parent
        )
        # Without a limit on connections: max_ongoing_requests bounds them.
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=None), connector=aiohttp.TCPConnector(limit=0)
        )
        deadline = time.monotonic() + READY_WITHIN_S
        while not await self._is_ready():
            await self.check_health()
            if time.monotonic() > deadline:
                raise RuntimeError(f"The server is not ready after {READY_WITHIN_S} s.")
            await asyncio.sleep(0.2)

    async def _is_ready(self) -> bool:
        try:
            async with self._session.get(f"{self._url}/ready") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    async def check_health(self) -> None:
        if self._server.poll() is not None:
            raise RuntimeError(f"The server has ended with {self._server.returncode}.")

    async def ask(self, path: str, headers: dict[str, str], body: bytes) -> AsyncIterator[Any]:
        """Yields status and headers, then the answer as it comes."""
        async with self._session.post(f"{self._url}{path}", headers=headers, data=body) as answer:
            passed = {name: answer.headers[name] for name in PASSED_HEADERS if name in answer.headers}
            yield answer.status, passed
            async for chunk in answer.content.iter_any():
                yield chunk

    def __del__(self) -> None:
        self._server.terminate()
        try:
            self._server.wait(STOPS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._server.kill()


@serve.deployment
@serve.ingress(api)
class OpenAiIngress:
    def __init__(self, models: DeploymentHandle, model: str) -> None:
        self._models = models.options(stream=True)
        self._model = model

    @api.get("/v1/models")
    async def list_models(self) -> Response:
        """Answered here: it must not wait where answers do."""
        return JSONResponse({"object": "list", "data": [{"id": self._model, "object": "model", "owned_by": "ray-serve"}]})

    @api.post("/v1/{path:path}")
    async def generate(self, path: str, request: Request) -> Response:
        headers = {"content-type": request.headers.get("content-type", "application/json")}
        answer = self._models.ask.remote(f"/v1/{path}", headers, await request.body())
        try:
            status, passed = await anext(aiter(answer))
        except (BackPressureError, DeploymentUnavailableError) as refused:
            error = {"message": str(refused), "type": "overloaded", "code": 503}
            return JSONResponse({"error": error}, status_code=503)
        return StreamingResponse(answer, status_code=status, headers=passed)


def app(args: dict[str, Any]) -> serve.Application:
    return OpenAiIngress.bind(ModelServer.bind(args["command"]), args["model"])
