# syntax=docker/dockerfile:1
# Two images from one file:
#   docker build --target slim -t llm-serve:slim .   for remote backends (Ollama, vLLM, …)
#   docker build --target full -t llm-serve:full .   also runs models itself, on the CPU;
#     --build-arg LLM_ENGINE_BUILDS=cuda             on NVIDIA GPUs too, from a base image with the CUDA runtime
# The newest release line with long-term support.
FROM node:24-slim AS base
WORKDIR /app

FROM base AS build
COPY package.json package-lock.json ./
# No package's install script is ever run. Optional packages are included: the bundler's binary for this platform is one.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY scripts ./scripts
COPY src ./src
COPY web ./web
RUN npm run build

FROM base AS slim-dependencies
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund
COPY scripts/sbom.mjs ./scripts/sbom.mjs
RUN node scripts/sbom.mjs --omit=optional > sbom.cdx.json

FROM base AS full-dependencies
COPY package.json package-lock.json ./
COPY scripts ./scripts
# The engine's GPU builds to include (cuda, vulkan, or both). None by default: a container has no GPU unless it is given one.
ARG LLM_ENGINE_BUILDS=cpu
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund && node scripts/engine-builds.mjs
RUN node scripts/sbom.mjs > sbom.cdx.json

FROM base AS runtime
# The server listens on every interface of the container, so it refuses to start until it is configured who may use it:
# LLM_SERVE_AUTH__API_KEYS='["…"]', a key in its store (keys create), or LLM_SERVE_AUTH__ALLOW_OPEN=true if something else protects
# the port.
ENV NODE_ENV=production \
  LLM_SERVE_SERVER__HOST=0.0.0.0 \
  LLM_SERVE_SERVER__PORT=8000 \
  LLM_SERVE_CACHE__DIRECTORY=/var/cache/llm-serve \
  LLM_SERVE_DATA__DIRECTORY=/var/lib/llm-serve
# The link is for commands beside the server: docker compose exec api llm-serve keys list
RUN mkdir -p /var/cache/llm-serve /var/lib/llm-serve && chown node:node /var/cache/llm-serve /var/lib/llm-serve \
  && chmod 700 /var/lib/llm-serve \
  && ln -s /app/dist/cli/main.js /usr/local/bin/llm-serve
COPY package.json LICENSE ./
COPY scripts/healthcheck.mjs ./scripts/healthcheck.mjs
COPY --from=build /app/dist ./dist
# By number, so that Kubernetes can verify that it is not root.
USER 1000:1000
# Models, and keys and usage: without a volume of its own, each new container begins without keys.
VOLUME /var/cache/llm-serve /var/lib/llm-serve
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s --retries=3 CMD ["node", "/app/scripts/healthcheck.mjs"]
# The server itself, not npm: a signal must reach it.
ENTRYPOINT ["node", "/app/dist/cli/main.js"]
CMD ["serve"]

FROM runtime AS slim
COPY --from=slim-dependencies /app/node_modules ./node_modules
COPY --from=slim-dependencies /app/sbom.cdx.json ./sbom.cdx.json

FROM runtime AS full
COPY --from=full-dependencies /app/node_modules ./node_modules
COPY --from=full-dependencies /app/sbom.cdx.json ./sbom.cdx.json
