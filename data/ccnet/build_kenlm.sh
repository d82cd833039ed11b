#!/usr/bin/env bash
# Build KenLM's lmplz and build_binary, which `relama prepare recipe=ccnet-models` runs, into this environment:
#   bash data/ccnet/build_kenlm.sh [FOLDER]     (FOLDER: where to; default: beside python)
# Needs cmake, a C++ compiler and Boost (Debian: apt-get install cmake g++ zlib1g-dev libboost-program-options-dev
# libboost-thread-dev libboost-test-dev, and libboost-system-dev if there is one). About two minutes on one core.
set -euo pipefail
version=0.3.0
sum=c4628bb9fb63c8a6f9240035b8b037385cfc404cb72e933cf48878291edac1e8
python=${PYTHON:-python}
goal=${1:-$(dirname "$($python -c 'import sys; print(sys.executable)')")}
for tool in cmake c++ make; do
  command -v "$tool" > /dev/null || { echo "build_kenlm: needs $tool (see the top of $0)" >&2; exit 1; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" -m pip download --quiet --no-deps --no-binary kenlm --dest "$work" "kenlm==$version"
echo "$sum  $work/kenlm-$version.tar.gz" | sha256sum --check --quiet
tar -xzf "$work/kenlm-$version.tar.gz" -C "$work"
cmake -S "$work/kenlm-$version" -B "$work/build" -DCMAKE_BUILD_TYPE=Release > "$work/cmake.log" 2>&1 || {
  tail -n 5 "$work/cmake.log" >&2
  echo "build_kenlm: cmake failed; is Boost there? (see the top of $0)" >&2
  exit 1
}
cmake --build "$work/build" --target lmplz build_binary --parallel "${JOBS:-1}" > "$work/make.log" 2>&1 || {
  tail -n 20 "$work/make.log" >&2
  exit 1
}
mkdir -p "$goal"
install "$work/build/bin/lmplz" "$work/build/bin/build_binary" "$goal"
echo "lmplz and build_binary are in $goal"
