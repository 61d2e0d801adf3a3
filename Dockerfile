# Two stages: packages are installed where compilers and caches may lie about, and only the finished
# environment goes into the image that runs, as a user who may write nothing but uploads.
FROM python:3.12-slim AS packages
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/largo
COPY requirements.lock /tmp/requirements.lock
RUN /opt/largo/bin/pip install --require-hashes --no-deps -r /tmp/requirements.lock \
 && /opt/largo/bin/python -m compileall -q /opt/largo/lib

FROM python:3.12-slim
ENV PATH=/opt/largo/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    ENVIRONMENT=production \
    MEDIA_ROOT=/var/lib/largo/media
RUN groupadd --system --gid 10001 largo \
 && useradd --system --uid 10001 --gid largo --home-dir /var/lib/largo --shell /usr/sbin/nologin largo \
 && install -d -o largo -g largo /var/lib/largo /var/lib/largo/media
COPY --from=packages /opt/largo /opt/largo
WORKDIR /srv/largo
COPY alembic.ini ./
COPY alembic alembic
COPY scripts/migrate scripts/migrate
COPY app app
RUN python -m compileall -q app
USER largo
VOLUME /var/lib/largo/media
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
  CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health', timeout=2)"]
CMD ["uvicorn", "app.main:app", "--host", "0.0.0.0", "--port", "8000", "--loop", "uvloop", \
     "--http", "app.server:ReadyProtocol", "--no-access-log", "--no-proxy-headers", "--no-server-header", "--timeout-graceful-shutdown", "20"]
