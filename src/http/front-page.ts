/** GET /: what this is and where to go; static but for the version. */
export function frontPage(version: string): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>LLM Serving API</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 42rem; margin: 3rem auto; padding: 0 1rem; }
  code, pre { font-family: ui-monospace, monospace; font-size: 0.9em; }
  pre { background: #8881; padding: 0.75rem; overflow-x: auto; border-radius: 4px; }
  td { padding: 0.2rem 1rem 0.2rem 0; vertical-align: top; }
  @media (prefers-color-scheme: dark) { body { background: #111; color: #ddd; } a { color: #8bf; } }
</style>
<h1>LLM Serving API</h1>
<p>Version ${version}. The infrastructure layer in front of a language model.</p>
<table>
  <tr><td><code>POST /generate</code><td>a whole answer
  <tr><td><code>POST /stream</code><td>token by token, as server-sent events
  <tr><td><code>POST /embed</code><td>a vector for each text
  <tr><td><a href="/v1/models"><code>/v1/…</code></a><td>for clients of OpenAI (chat, completions, responses, embeddings) and Anthropic (messages)
  <tr><td><a href="/api/tags"><code>/api/…</code></a><td>for clients of Ollama
  <tr><td><a href="/health"><code>GET /health</code></a><td>the process is alive
  <tr><td><a href="/ready"><code>GET /ready</code></a><td>the model can be used
  <tr><td><a href="/metrics"><code>GET /metrics</code></a><td>Prometheus metrics
  <tr><td><a href="/docs"><code>GET /docs</code></a><td>the API, browsable (<a href="/openapi.json">openapi.json</a>)
</table>
<pre>curl http://localhost:8000/generate \\
  -H 'content-type: application/json' \\
  -d '{"prompt":"What is the capital of France?"}'</pre>
</html>
`;
}
