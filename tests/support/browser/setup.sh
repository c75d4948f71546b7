#!/usr/bin/env bash
# Looks for Chromium and its driver, which the tests of pages need. Makes nothing.
#
#   setup.sh [DIR]
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
what=browser
source "$here/../setup.sh"

command -v chromium >/dev/null && command -v chromedriver >/dev/null ||
  cannot 'no chromium with its chromedriver (Debian: chromium and chromium-driver)'
