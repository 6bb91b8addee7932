# One image for all four services; the command says which one it is.
#
# Packages come from where this machine's own pip is told to take them, if that is not the default:
#   docker build --build-arg PIP_INDEX_URL="$PIP_INDEX_URL" --secret id=pip,src=$HOME/.config/pip/pip.conf -t dtrove .
ARG BASE=python:3.13-slim
FROM ${BASE}

RUN useradd --system --create-home --home-dir /var/lib/dtrove --uid 8780 dtrove
WORKDIR /opt/dtrove
COPY requirements.lock ./
ARG PIP_INDEX_URL
RUN --mount=type=secret,id=pip,target=/etc/pip.conf,required=false \
    python3 -m venv /opt/venv && /opt/venv/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE config.yaml ./
COPY services services
COPY shared shared
COPY client client
RUN --mount=type=secret,id=pip,target=/etc/pip.conf,required=false \
    /opt/venv/bin/pip install --no-cache-dir --no-deps --editable .

ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 DTROVE_HOME=/var/lib/dtrove
USER dtrove
VOLUME /var/lib/dtrove
EXPOSE 8780
CMD ["python3", "-m", "shared.bus.process", "--config", "config.yaml", "services.api.service"]
