#!/usr/bin/env bash
# Makes moto's server for the tests, which stands in for AWS: a Python venv with one pinned release.
#
#   setup.sh [DIR]        DIR defaults to target/moto
#
# It may be run again at any time and from several tests at once. A test then starts
#   DIR/venv/bin/moto_server -H 127.0.0.1 -p 0
#
# Exit codes: 0 ready; 77 this machine cannot (no Python, no package index): a test may skip; anything else is a bug.
set -euo pipefail

dir=${1:-target/moto}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
package='moto[server]==5.2.5'

cannot() {
  echo "moto set-up: cannot run here: $1" >&2
  exit 77
}

if command -v flock >/dev/null; then
  exec 9>"$dir/setup.lock"
  flock 9
fi
if [[ -f $dir/ready && $(cat "$dir/ready") == "$package" ]]; then
  exit 0
fi
rm -rf "$dir/ready" "$dir/venv"
python=
for candidate in python3.11 python3 python3.12 python3.13; do
  if command -v "$candidate" >/dev/null &&
    "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
    python=$candidate
    break
  fi
done
[[ -n $python ]] || cannot 'no Python 3.10 or newer with venv and pip (Debian: python3 and python3-venv)'
"$python" -m venv "$dir/venv" || cannot "$python cannot make a virtual environment"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check --retries 1 "$package" ||
  cannot "pip could not install $package (no network, or no package index)"
echo "$package" >"$dir/ready"
