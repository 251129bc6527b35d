#!/usr/bin/env bash
# Builds Google Research Football, which has no ready-made package for today's Pythons, and installs
# it into the environment of a Python: tools/install_football.sh [.venv/bin/python]
#
# Debian and its descendants; it takes about four minutes of an idle machine. What the build alone
# needs, an old setuptools above all, stays in an environment of its own that is thrown away.
set -euo pipefail

python=${1:-python3}
if ! command -v "$python" > /dev/null; then
  echo "there is no $python: name the Python that is to have it, as in $0 .venv/bin/python." >&2
  exit 2
fi
if ! command -v apt-get > /dev/null; then
  echo "this script installs Debian packages; without apt-get, install their like by hand." >&2
  exit 2
fi

packages=(
  build-essential cmake python3-dev
  libsdl2-dev libsdl2-image-dev libsdl2-ttf-dev libsdl2-gfx-dev
  libboost-python-dev libboost-thread-dev libboost-system-dev libboost-filesystem-dev
  libgl1-mesa-dev
)
missing=()
for package in "${packages[@]}"; do
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2> /dev/null)" = installed ] ||
    missing+=("$package")
done
if [ "${#missing[@]}" -gt 0 ]; then
  as_root=$([ "$(id -u)" = 0 ] || echo sudo)
  $as_root apt-get update -q
  DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -q --no-install-recommends "${missing[@]}"
fi

version='import sys; print("%d.%d" % sys.version_info[:2])'
ours=$("$python" -c "$version") debians=$(/usr/bin/python3 -c "$version")
if [ "$ours" != "$debians" ]; then
  echo "$python is Python $ours, and Debian's Boost here is for $debians alone: name one of that." >&2
  exit 2
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" -m venv "$work/build"
"$work/build/bin/pip" install -q setuptools==65.5.0 wheel psutil
# Its build asks whichever python3 comes first where the headers are.
PATH="$work/build/bin:$PATH" "$work/build/bin/pip" wheel -q --no-deps --no-build-isolation \
  -w "$work" gfootball==2.10.2

"$python" -m pip install -q --no-deps "$work"/gfootball-*.whl
"$python" -m pip install -q gym==0.26.2 pygame opencv-python-headless absl-py six psutil scipy
"$python" -W ignore -c "import gfootball.env, gfootball_engine" && echo "gfootball is installed."
