# A small image that runs on the CPU. For NVIDIA cards: docker build --build-arg TORCH=cuda .
#
#   docker run --rm --publish 127.0.0.1:8080:8080 --volume "$PWD/photos:/output" lama-server --token auto
#
# Inside a container the server listens on all of the container's addresses, so it asks for a token. One of your own
# comes in a mounted file: --token-file /run/secrets/token in place of --token auto.
#
# For several machines (deploy/): docker build --build-arg EXTRAS=[cluster] .

FROM python:3.13-slim-bookworm AS build
ARG TORCH=cpu
ARG EXTRAS=
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY server ./server
COPY models ./models
COPY frontend ./frontend
COPY integrations ./integrations
# The CPU build of torch is a tenth of the CUDA build's size; it lives in an index of its own.
RUN python -m venv /opt/lama-server \
    && if [ "$TORCH" = cpu ]; then \
         /opt/lama-server/bin/pip install --no-cache-dir --constraint constraints.txt torch \
           --index-url https://download.pytorch.org/whl/cpu; \
       fi \
    && /opt/lama-server/bin/pip install --no-cache-dir --constraint constraints.txt ".$EXTRAS"

FROM python:3.13-slim-bookworm
LABEL org.opencontainers.image.title="lama-server" \
      org.opencontainers.image.description="Removes things from photos" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --uid 10001 --create-home --home-dir /home/lama lama \
    && install --directory --owner=lama /models /input /output /data
COPY --from=build /opt/lama-server /opt/lama-server
ENV PATH=/opt/lama-server/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    NUMBA_CACHE_DIR=/data/numba \
    LAMA_SERVER_HOST=0.0.0.0 \
    LAMA_SERVER_MODEL_DIR=/models \
    LAMA_SERVER_OUTPUT_DIR=/output \
    LAMA_SERVER_DATA_DIR=/data
USER 10001
VOLUME ["/models", "/input", "/output", "/data"]
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/healthz', timeout=4)"]
ENTRYPOINT ["lama-server"]
CMD ["--token", "auto"]
