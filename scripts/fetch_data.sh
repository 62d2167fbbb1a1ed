#!/usr/bin/env bash
# Builds the public data sets from their own repositories, at fixed commits, and checks every resulting file.
#
#     scripts/fetch_data.sh DATA [SET ...]      # all sets without SET; needs curl, python3 and sha256sum
#
# The sets keep the licences of their sources; some state none. Read them before you pass the data on.
set -euo pipefail

if [ $# -lt 1 ] || [ "${1#-}" != "$1" ]; then
  sed -n '2,6s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
data=$(cd "$1" && pwd)
shift
sources=$data/.sources

list=$(python3 "$here/convert_data.py" --list-sources "$@")
while read -r repository commit path; do
  file=$sources/$repository/$path
  [ -s "$file" ] && continue
  mkdir -p "$(dirname "$file")"
  echo "fetching $repository $path" >&2
  curl --fail --silent --show-error --location --retry 3 \
    --output "$file.part" "https://raw.githubusercontent.com/$repository/$commit/$path"
  mv "$file.part" "$file"
done <<<"$list"

python3 "$here/convert_data.py" --sources "$sources" --out "$data" "$@"

cd "$data"
for set in "${@:-}"; do
  grep -E "  ${set:-.*}/" "$here/data.sha256"
done | sha256sum --check --quiet
echo "every file is as expected: $data" >&2
