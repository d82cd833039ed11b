#!/usr/bin/env bash
# `make demo`: the sample prepared, a tiny LLaMA trained on it, validated, made to speak, and reported on.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

say "1/4  relama train model=tiny data=sample run=demo steps=200"
relama train model=tiny data=sample run=demo steps=200

say "2/4  relama validate weights=runs/demo data=sample"
relama validate weights=runs/demo data=sample

say "3/4  relama generate weights=runs/demo prompt=…"
for prompt in 'def read(self, ' 'The return value is '; do
    printf '%s\n' "--- $prompt"
    relama generate weights=runs/demo prompt="'$prompt'" max_tokens=60 temperature=0.7
done

say "4/4  relama report run=demo"
relama report run=demo

cat <<'NEXT'

Done. Open runs/demo/report.html. What to type next:
  source .venv/bin/activate
  relama explain run=demo step=1 limit=2              # what a step was trained on, to the file and line
  relama launch processes=2 model=tiny data=sample run=two   # the same on two processes
  relama train model=tiny data=sample run=longer steps=2000   # learns more
  relama train model=tiny data=text input=FILES       # your own text (docs/training.md)
  relama launch processes=8 model=7b data=mix         # the real thing: says what it still needs
NEXT
