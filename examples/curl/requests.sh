#!/usr/bin/env bash
# The first requests, with nothing but curl.
#   bash examples/curl/requests.sh
set -euo pipefail
url=${SERVER_URL:-http://localhost:8000}

# ask PATH [BODY]: GET without a body, POST with one.
ask() {
  local path=$1
  shift
  curl --silent --show-error --no-buffer "$url$path" \
    -H 'content-type: application/json' -H "authorization: Bearer ${API_KEY:-none}" ${1+-d "$1"}
  echo
}

echo '# Can the default model be served?'
ask /ready

echo '# A whole answer'
ask /generate '{"prompt":"What is the capital of France?"}'

echo '# Token by token'
ask /stream '{"prompt":"Name three colours.","max_tokens":6}'

echo '# The OpenAI protocol'
ask /v1/chat/completions '{"messages":[{"role":"user","content":"What is the capital of France?"}]}'

echo '# An invalid request is a 400 that says what is wrong'
ask /generate '{"prompt":"hi","max_tokens":0}'
