# What the set-up scripts of the tests share; sourced by them.
#
# Exit codes of all of them: 0 ready; 77 this machine cannot (no Python, no package index): a test may skip; anything else is a bug.

# Says why this machine cannot, and ends the script. `what`: what is set up, which the script names.
cannot() {
  echo "set-up of $what: cannot run here: $1" >&2
  exit 77
}

# Makes a directory, and lets one set-up at a time go on in it. Sets `dir` to its whole path.
enter() {
  mkdir -p "$1"
  dir=$(cd "$1" && pwd)
  if command -v flock >/dev/null; then
    exec 9>"$dir/setup.lock"
    flock 9
  fi
}

# Ends the script if the directory holds what it would make: `want` is anything that tells one such set-up from another.
unless_ready() {
  want=$1
  if [[ -f $dir/ready && $(cat "$dir/ready") == "$want" ]]; then
    exit 0
  fi
  rm -f "$dir/ready"
}

# Says that the directory holds it now.
is_ready() {
  echo "$want" >"$dir/ready"
}

# Makes a fresh Python environment with packages, which are told to pip as its arguments.
make_venv() {
  local python='' candidate
  for candidate in python3.11 python3 python3.12 python3.13; do
    if command -v "$candidate" >/dev/null &&
      "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
      python=$candidate
      break
    fi
  done
  [[ -n $python ]] || cannot 'no Python 3.10 or newer with venv and pip (Debian: python3 and python3-venv)'
  rm -rf "$dir/venv"
  "$python" -m venv "$dir/venv" || cannot "$python cannot make a virtual environment"
  "$dir/venv/bin/pip" install --quiet --disable-pip-version-check --retries 1 "$@" ||
    cannot "pip could not install $* (no network, or no package index)"
}
