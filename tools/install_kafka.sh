#!/usr/bin/env bash
# Fetch Apache Kafka's server jars into .kafka/ and compare them with tools/kafka/SHA256SUMS. Needs mvn and Java 17.
#   tools/install_kafka.sh           fetch and compare
#   tools/install_kafka.sh --update  after a change of tools/kafka/pom.xml: write the hashes anew
set -euo pipefail
export LC_ALL=C
root="$(cd "$(dirname "$0")/.." && pwd)"
new="$root/.kafka/new"
rm -rf "$new" && mkdir -p "$new"
mvn --batch-mode --quiet --file "$root/tools/kafka/pom.xml" dependency:copy-dependencies \
  -DincludeScope=runtime -DoutputDirectory="$new"
if [[ "${1:-}" == --update ]]; then
  (cd "$new" && sha256sum -- *.jar) > "$root/tools/kafka/SHA256SUMS"
fi
# every jar is listed, and every listed one is what it was
(cd "$new" && sha256sum --quiet --strict --check "$root/tools/kafka/SHA256SUMS")
diff <(cd "$new" && ls -- *.jar) <(awk '{print $2}' "$root/tools/kafka/SHA256SUMS") || {
  echo "the jars are not those of tools/kafka/SHA256SUMS" >&2
  exit 1
}
rm -rf "$root/.kafka/libs" && mv "$new" "$root/.kafka/libs"
