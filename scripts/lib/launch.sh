# shellcheck shell=sh
# shellcheck disable=SC2154 # plinth_root comes from whoever sources this
# Builds Plinth when its sources are newer than the last build, and starts one of its commands. Sourced by
# scripts/plinth and scripts/simulate after jdk.sh, with plinth_root set to the top of the source tree.
#
# plinth_make_ready finds a JDK and builds when that is needed; returns 1 after one message when it can't.
# plinth_java MAIN-CLASS [ARGUMENT...] replaces this process by the command.

plinth_home="$plinth_root/tools/target/plinth"
plinth_jar="$plinth_home/lib/plinth-tools.jar"
# Left by the build, carrying the time at which it began (not ended: an edit in between counts as newer).
plinth_stamp="$plinth_home/build-began"
plinth_modules="raft-lite io-engine replication-log target-server tools"

# Succeeds when the built jars are missing or older than a source file. Directories count, so deletions are seen.
plinth_is_stale() {
  [ -f "$plinth_jar" ] && [ -f "$plinth_stamp" ] || return 0
  for plinth_module in $plinth_modules; do
    plinth_newer=$(find "$plinth_root/pom.xml" "$plinth_root/$plinth_module/pom.xml" \
      -newer "$plinth_stamp" -print 2>/dev/null | head -n 1)
    [ -z "$plinth_newer" ] || return 0
    [ -d "$plinth_root/$plinth_module/src/main" ] || continue
    plinth_newer=$(find "$plinth_root/$plinth_module/src/main" -newer "$plinth_stamp" -print -quit)
    [ -z "$plinth_newer" ] || return 0
  done
  return 1
}

plinth_build() {
  plinth_why="sources changed"
  [ -f "$plinth_jar" ] || plinth_why="first use"
  plinth_log="$plinth_root/target/launcher-build.log"
  plinth_began=$(date +%s)
  printf 'building Plinth (%s) ... ' "$plinth_why" >&2
  # No tests and no checks that only read the result: those are the work of scripts/test.
  if "$plinth_root/mvnw" -B -q -Dstyle.color=never -pl tools -am -Dmaven.test.skip=true -Denforcer.skip=true package \
    </dev/null >"$plinth_log" 2>&1; then
    echo "done in $(($(date +%s) - plinth_began)) s" >&2
  else
    echo "failed after $(($(date +%s) - plinth_began)) s; the end of $plinth_log:" >&2
    tail -n 25 "$plinth_log" >&2
    return 1
  fi
}

plinth_make_ready() {
  plinth_find_jdk || return 1
  if [ -z "${PLINTH_NO_BUILD:-}" ] && plinth_is_stale; then
    mkdir -p "$plinth_root/target"
    exec 9>"$plinth_root/target/launcher.lock"
    if command -v flock >/dev/null 2>&1 && ! flock -n 9; then
      echo "waiting for another build of Plinth" >&2
      flock 9
    fi
    if plinth_is_stale; then
      plinth_build || return 1
    fi
    exec 9>&-
  fi
}

# The compiler commands keep the entry into the ring free of garbage (see plinth.jvm.flags in pom.xml).
plinth_java() {
  # shellcheck disable=SC2086 # both are lists of options
  exec "$JAVA_HOME/bin/java" \
    --enable-native-access=ALL-UNNAMED \
    --sun-misc-unsafe-memory-access=allow \
    --add-exports java.base/jdk.internal.misc=ALL-UNNAMED \
    -XX:CompileCommand=quiet \
    -XX:CompileCommand=dontinline,io.netty.channel.uring.IoUringIoHandler::run \
    -XX:CompileCommand=inline,io.netty.channel.uring.CompletionQueue::process \
    -XX:CompileCommand=inline,io.netty.channel.uring.IoUringIoHandler::processCompletionsAndHandleOverflow \
    -XX:+UseSerialGC -Xshare:auto ${plinth_memory_options:-} \
    ${PLINTH_JAVA_OPTS:-} \
    -cp "$plinth_jar" "$@"
}
