#!/usr/bin/env bash
# Orders and what they cost.
set -euo pipefail

source "$(dirname "$0")/common.sh"

LIMIT=100
RATE="${RATE:-20}"

die() {
  echo "$1" >&2
  exit 1
}

# Appends a line to a file of orders.
add() {
  local file=$1 name=$2 cents=$3
  local total
  total=$(wc -l <"$file")
  if ((total >= LIMIT)); then
    die "full"
  fi
  printf '%s\t%s\n' "$name" "$cents" >>"$file"
}

report() {
  local total=0
  while IFS=$'\t' read -r name cents; do
    echo "$name"
    total=$((total + cents * (100 + RATE) / 100))
  done <"$1"
  echo "$total"
}

case "${1:-}" in
  add)
    shift
    add "$@"
    ;;
  report)
    report "$2"
    ;;
  *)
    die "add or report"
    ;;
esac
