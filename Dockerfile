# Carillon's image: one for every process, the command tells them apart. See docker-compose.yml.
ARG PYTHON=3.11

FROM python:${PYTHON}-slim-bookworm AS wheels
COPY requirements.txt .
RUN pip wheel --no-cache-dir --only-binary :all: --wheel-dir /wheels --requirement requirements.txt

FROM python:${PYTHON}-slim-bookworm
ENV PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1
RUN useradd --system --uid 10001 --home-dir /nonexistent --shell /usr/sbin/nologin carillon
WORKDIR /app
COPY requirements.txt .
RUN --mount=type=bind,from=wheels,source=/wheels,target=/wheels \
    pip install --no-index --find-links /wheels --requirement requirements.txt
COPY . .
# Static files are part of the image; no server is asked for, these three only satisfy the settings.
RUN SECRET_KEY=unused DATABASE_URL=postgres://unused/unused REDIS_URL=redis://unused \
    python manage.py collectstatic --noinput --verbosity 0 \
    && python -m compileall -q .
# The code is root's: the process can't change what it runs.
USER 10001
EXPOSE 8000
# Without an access log: paths hold recipients' ids, which may be addresses. Sockets take frames of 4 KB and
# say so; one of more than 64 KB is not even held in memory: daphne cuts the connection.
CMD ["daphne", "--verbosity", "0", "--bind", "0.0.0.0", "--port", "8000", "--no-server-name", "--websocket-max-frame-size", "65536", "--websocket-max-message-size", "65536", "config.asgi:application"]
