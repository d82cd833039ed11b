# Relama in a container, for relama launch cluster=kubernetes. docs/clusters.md says how to build it.
#   core: training, with tokens and checkpoints on volumes or in S3; full: also preparing data and the benchmarks.
ARG PYTHON=3.11.13-slim-bookworm
FROM python:${PYTHON} AS core
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1
# torch.compile builds with a C++ compiler, and so does what Relama has in C.
RUN apt-get update && apt-get install -y --no-install-recommends g++ && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/relama
COPY pyproject.toml constraints.txt README.md ./
COPY configs configs
COPY data data
COPY model model
COPY train train
COPY launch launch
RUN pip install -c constraints.txt -e '.[loggers,s3]'
# The user that the manifests name: volumes get its group (fsGroup).
RUN useradd --uid 1000 --create-home relama
USER 1000
WORKDIR /home/relama
ENTRYPOINT []
CMD ["relama", "--help"]

FROM core AS full
USER 0
WORKDIR /opt/relama
RUN pip install -c constraints.txt -e '.[data,eval,loggers]'
USER 1000
WORKDIR /home/relama
