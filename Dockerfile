# Relama in a container, for relama launch cluster=kubernetes. docs/clusters.md says how to build it.
#   core: training, evaluation of loss, export; full: also preparing data, loggers and the benchmarks.
ARG PYTHON=3.11.13-slim-bookworm
FROM python:${PYTHON} AS core
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1
WORKDIR /opt/relama
COPY pyproject.toml constraints.txt README.md ./
COPY configs configs
COPY data data
COPY model model
COPY train train
COPY launch launch
RUN pip install -c constraints.txt -e '.[loggers]'
# The user that the manifests name: volumes get its group (fsGroup).
RUN useradd --uid 1000 --create-home relama
USER 1000
ENTRYPOINT []
CMD ["relama", "--help"]

FROM core AS full
USER 0
RUN pip install -c constraints.txt -e '.[data,eval,loggers]'
USER 1000
