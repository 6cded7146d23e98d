#!/usr/bin/env bash
# Puts setup/lib.sh between the markers of setup/install-kaizen.sh, which must work alone. --check only compares.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
wanted=$(awk '
    /^# >>> setup\/lib\.sh/ { print; while ((getline line < "lib.sh") > 0) print line; skip = 1; next }
    /^# <<< setup\/lib\.sh/ { skip = 0 }
    !skip { print }
' install-kaizen.sh)
if [ "$wanted" = "$(cat install-kaizen.sh)" ]; then exit 0; fi
if [ "${1:-}" = --check ]; then
    echo "setup/install-kaizen.sh has another lib.sh: run setup/embed-lib.sh" >&2
    exit 1
fi
printf '%s\n' "$wanted" >install-kaizen.sh
