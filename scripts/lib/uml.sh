# shellcheck shell=sh
# shellcheck disable=SC2154 # the variables that are named below come from whoever sources this
# Boots a real Linux kernel as a process (User Mode Linux) whose root is this machine's, read-only below an overlay in
# memory. Sourced by scripts/kernel-clients, with plinth_root set to the top of the source tree.
#
# uml_prepare            unpacks the packages that are needed into $uml_packages; returns 1 after one message when it can't
# uml_boot RUN-DIR SCRIPT [NAME=VALUE...]   runs SCRIPT inside; its exit code is in RUN-DIR/rc, its output in RUN-DIR/console

uml_cache=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/plinth/kernel-clients
uml_packages=$uml_cache/root
# Unpacked and not installed: installing some of them would change the system that runs this.
uml_package_names="user-mode-linux busybox-static kmod libkmod2"

uml_missing_files() {
  for uml_file in usr/bin/linux.uml bin/busybox bin/kmod; do
    [ -x "$uml_packages/$uml_file" ] || printf ' %s' "$uml_file"
  done
}

uml_prepare() {
  [ -z "$(uml_missing_files)" ] || uml_unpack || return 1
  uml_preload=$uml_cache/uml-xstate.so
  if ! "${CC:-cc}" -O2 -Wall -Werror -shared -fPIC -o "$uml_preload.$$" "$plinth_root/scripts/kernel/uml-xstate.c" -ldl; then
    echo "kernel-clients: can't compile scripts/kernel/uml-xstate.c; a C compiler is needed (Debian: gcc libc6-dev)" >&2
    return 1
  fi
  mv "$uml_preload.$$" "$uml_preload"
}

uml_unpack() {
  if ! command -v dpkg >/dev/null 2>&1 || ! command -v apt-get >/dev/null 2>&1; then
    echo "kernel-clients: apt-get and dpkg are needed to fetch Debian's packages: $uml_package_names" >&2
    return 1
  fi
  mkdir -p "$uml_cache/download"
  # A fresh image has no package lists; then the first try fails.
  # shellcheck disable=SC2086 # a list of package names
  if ! (cd "$uml_cache/download" && apt-get -q download $uml_package_names >"$uml_cache/download.log" 2>&1 </dev/null); then
    if ! { apt-get -q update && cd "$uml_cache/download" && apt-get -q download $uml_package_names; } \
      >"$uml_cache/download.log" 2>&1 </dev/null; then
      echo "kernel-clients: can't download Debian's packages: $(grep -m 1 '^E:' "$uml_cache/download.log")" >&2
      return 1
    fi
  fi
  for uml_deb in "$uml_cache"/download/*.deb; do
    dpkg -x "$uml_deb" "$uml_packages" || return 1
  done
  uml_missing=$(uml_missing_files)
  if [ -n "$uml_missing" ]; then
    echo "kernel-clients: not in the packages that were unpacked to $uml_packages:$uml_missing" >&2
    return 1
  fi
}

# The kernel's memory is a file that it maps executable.
uml_memory_dir() {
  uml_probe=/dev/shm/plinth-exec-probe.$$
  if printf '#!/bin/sh\n' >"$uml_probe" 2>/dev/null && chmod +x "$uml_probe" && "$uml_probe" 2>/dev/null; then
    echo /dev/shm
  else
    echo "$1"
  fi
  rm -f "$uml_probe"
}

# Environment: uml_namespace, uml_tap, uml_address (with its length), uml_limit_s.
uml_boot() {
  uml_run=$1
  uml_script=$2
  shift 2
  rm -f "$uml_run/rc"
  # The exit code of linux.uml says nothing about the script, so it is not looked at.
  TMPDIR=$(uml_memory_dir "$uml_run") ip netns exec "$uml_namespace" \
    timeout -k 5 "$uml_limit_s" env "LD_PRELOAD=$uml_preload" "$uml_packages/usr/bin/linux.uml" \
    "umid=$uml_namespace" "uml_dir=$uml_run/" mem=1G root=/dev/root rootfstype=hostfs rootflags=/ ro quiet \
    con=null con0=null,fd:1 con1=null "vec0:transport=tap,ifname=$uml_tap,depth=128,gro=1" \
    "init=$plinth_root/scripts/kernel/uml-init" "UML_PACKAGES=$uml_packages" "UML_TREE=$plinth_root" "UML_RUN=$uml_run" \
    "UML_SCRIPT=$uml_script" "UML_ADDRESS=$uml_address" "$@" >"$uml_run/console" 2>&1 </dev/null || true
}
