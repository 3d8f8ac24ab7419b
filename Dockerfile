# One image for every process: `homecare ingest`, `homecare alerts`, `homecare dashboard`, `homecare migrate`.

FROM node:22-bookworm-slim AS assets
WORKDIR /src
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund
COPY deploy/setup/copy-assets.sh deploy/setup/
RUN deploy/setup/copy-assets.sh

FROM python:3.11-slim-bookworm AS packages
WORKDIR /src
RUN python -m venv /opt/homecare
ENV PATH=/opt/homecare/bin:$PATH PIP_DISABLE_PIP_VERSION_CHECK=1
COPY requirements/base.txt requirements/
RUN pip install --no-cache-dir --require-hashes -r requirements/base.txt
COPY pyproject.toml LICENSE ./
COPY requirements/base.in requirements/
COPY homecare homecare
COPY gateway gateway
COPY ingest ingest
COPY alerts alerts
COPY dashboards dashboards
COPY simulators simulators
COPY --from=assets /src/dashboards/static/vendor dashboards/static/vendor
RUN pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --no-create-home homecare
COPY --from=packages /opt/homecare /opt/homecare
ENV PATH=/opt/homecare/bin:$PATH PYTHONUNBUFFERED=1
USER homecare
WORKDIR /tmp
ENTRYPOINT ["homecare"]
CMD ["--help"]
