# One image for the service and for workers: docs/containers.md.
# It runs with a read-only root file system; only /tmp is written.

FROM python:3.13-slim-trixie AS builder
WORKDIR /build
RUN python -m venv --without-pip /opt/assistants && python -m venv --without-pip tools

# Every file that is downloaded is one whose hash is in these lists.
COPY requirements/build.txt requirements/runtime.txt requirements/
RUN pip --python tools/bin/python install --no-cache-dir --no-compile --require-hashes -r requirements/build.txt
RUN pip --python /opt/assistants/bin/python install --no-cache-dir --no-compile --require-hashes -r requirements/runtime.txt

COPY pyproject.toml README.md LICENSE ./
COPY supabase supabase
COPY backend backend
RUN tools/bin/python -m hatchling build --target wheel --directory dist
RUN pip --python /opt/assistants/bin/python install --no-cache-dir --no-compile --no-index --no-deps dist/*.whl
# Nobody can write bytecode later; by hash, because layers may change the time of a file.
RUN /opt/assistants/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/assistants/lib

FROM python:3.13-slim-trixie
COPY --from=builder /opt/assistants /opt/assistants
ENV PATH=/opt/assistants/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    API_HOST=0.0.0.0 \
    LOG_FOLDER= \
    WORKER_LIVENESS_FILE=/tmp/worker-alive
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["assistants", "healthy"]
ENTRYPOINT ["assistants"]
CMD ["serve"]
