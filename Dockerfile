# One image for all four services; the command says which one it is.
#
# Packages come from where this machine's own pip is told to take them, if that is not the default:
#   docker build --secret id=pip,src=$HOME/.config/pip/pip.conf -t dtrove .
ARG BASE=python:3.13-slim
FROM ${BASE}

RUN useradd --system --create-home --home-dir /var/lib/dtrove --uid 8780 dtrove
# The provider `static` logs in to its hosts with it, and carriers of backups to nodes.
RUN command -v ssh >/dev/null \
    || { apt-get update -qq && apt-get install -qq -y --no-install-recommends openssh-client && rm -rf /var/lib/apt/lists/*; }
WORKDIR /opt/dtrove
COPY requirements.lock ./
RUN --mount=type=secret,id=pip,target=/etc/pip.conf,required=false \
    python3 -m venv /opt/venv && /opt/venv/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE config.yaml ./
COPY services services
COPY shared shared
COPY client client
RUN --mount=type=secret,id=pip,target=/etc/pip.conf,required=false \
    /opt/venv/bin/pip install --no-cache-dir --no-deps --editable .
COPY --chmod=0755 scripts/container.sh /usr/local/bin/dtrove-container

ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 DTROVE_HOME=/var/lib/dtrove
USER dtrove
VOLUME /var/lib/dtrove
EXPOSE 8780
ENTRYPOINT ["dtrove-container"]
CMD ["python3", "-m", "shared.bus.process", "--config", "config.yaml", "services.api.service"]
