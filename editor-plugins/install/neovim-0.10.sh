#!/usr/bin/env bash
# Neovim 0.10 from Debian's stable suite.
minor=0.10 suite=trixie
source "$(dirname "$0")/debian-neovim.sh"
