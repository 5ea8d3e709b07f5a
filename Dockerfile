# syntax=docker/dockerfile:1
# kreid for training, in the versions that the suite was green with (constraints.txt).
#
#   docker build --tag kreid .                                      # CPU
#   docker build --build-arg EXTRAS=gpu --tag kreid:gpu .           # CUDA comes as wheels; the host has NVIDIA's driver
#   docker run --rm --user "$(id -u):$(id -g)" --volume "$PWD:/data" kreid \
#     kreid-train two_stream --data records --out runs/two_stream
#   docker run --rm --gpus all --shm-size 1g --user "$(id -u):$(id -g)" --volume "$PWD:/data" kreid:gpu ...
#
# --gpus needs the NVIDIA Container Toolkit on the host. EXTRAS may be several of pyproject.toml: gpu,video,onnx.

ARG PYTHON=3.12

FROM python:${PYTHON}-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE constraints.txt ./
COPY configs configs
COPY kreid kreid
COPY tfrecords_tools tfrecords_tools
RUN python -m pip wheel --no-cache-dir --no-deps --wheel-dir /dist .
# An environment of its own, which the next stage takes as it is: pip and what builds stay behind.
ARG EXTRAS=""
RUN python -m venv /opt/kreid \
  && wheel="$(ls /dist/*.whl)" \
  && /opt/kreid/bin/python -m pip install --no-cache-dir --constraint constraints.txt "${wheel}${EXTRAS:+[${EXTRAS}]}" \
  && /opt/kreid/bin/python -c "import kreid; print(kreid.__version__, kreid.load_config('two_stream').model.embedder)"

FROM python:${PYTHON}-slim
COPY --from=build /opt/kreid /opt/kreid
# Whoever runs it may be any user: nothing outside /data and /tmp is written. Keras keeps fetched weights beside the data.
ENV PATH=/opt/kreid/bin:$PATH \
    HOME=/tmp \
    KERAS_HOME=/data/.keras \
    PYTHONUNBUFFERED=1 \
    TF_CPP_MIN_LOG_LEVEL=2
RUN useradd --create-home --uid 1000 kreid && mkdir /data && chown kreid /data
USER kreid
WORKDIR /data
# Ctrl-C and `docker stop` reach the training, which leaves a state to resume from; give it time: docker stop --time 120.
STOPSIGNAL SIGTERM
CMD ["kreid-train", "--help"]
