#!/usr/bin/env bash
# `make demo`: the sample prepared, a tiny LLaMA trained on it, its text before and after, and a report.
set -euo pipefail
cd "$(dirname "$0")/.."

TRAIN='model=tiny data=sample run=demo steps=600 global_batch=2048'
RUN=runs/demo
TEXTS=$RUN/texts

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[ -n "${NO_COLOR:-}" ] || [ ! -t 1 ] && say() { printf '\n%s\n' "$*"; }

texts() { # what the newest checkpoint makes of the prompts
    mkdir -p "$TEXTS"
    printf '{"prompt": "%s"}\n' 'The return value is' 'If the argument is' 'def read(self,' > "$TEXTS/prompts.jsonl"
    relama generate weights=demo prompts="$TEXTS/prompts.jsonl" json=true max_tokens=60 temperature=0.3 \
        > "$TEXTS/$1.tmp"
    mv "$TEXTS/$1.tmp" "$TEXTS/$1"
}

if [ ! -d "$RUN" ]; then
    say "1/4  relama train $TRAIN stop_at=1    # a model that knows nothing yet"
    # shellcheck disable=SC2086  # several arguments
    relama train $TRAIN stop_at=1
    texts before.jsonl
fi

say "2/4  relama train $TRAIN    # resumes from there"
# shellcheck disable=SC2086
relama train $TRAIN

say "3/4  relama generate weights=demo prompt=…"
texts after.jsonl
if [ -f "$TEXTS/before.jsonl" ]; then
    python -m launch.columns "$TEXTS/before.jsonl" "$TEXTS/after.jsonl"
else
    cat "$TEXTS/after.jsonl"
fi

say "4/4  relama report run=demo"
relama report run=demo

cat <<'NEXT'

Done. Open runs/demo/report.html. What to type next:
  source .venv/bin/activate
  relama validate weights=demo                         # its loss on all held-out text
  relama explain run=demo step=1 limit=2               # what a step was trained on, to the file and line
  relama chat weights=demo                             # write a text with it, in turns
  relama launch processes=2 model=tiny data=sample run=two    # the same on two processes
  relama train model=tiny data=sample run=longer steps=2000   # learns more
  relama train model=tiny data=text input=FILES        # your own text (docs/training.md)
  relama launch processes=8 model=7b data=mix          # the real thing: says what it still needs
NEXT
