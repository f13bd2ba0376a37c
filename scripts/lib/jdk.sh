# shellcheck shell=sh
# Finds a JDK 25 or newer. Sourced by mvnw, scripts/plinth and scripts/test.
#
# plinth_find_jdk sets and exports JAVA_HOME, or prints one message and returns 1.
# It looks at JAVA_HOME first, then under /usr/lib/jvm, and judges a JDK by its `release` file, not by its name.

PLINTH_JDK_MINIMUM=25

# Prints the feature version (25 for "25.0.3") of the JDK in $1; prints 0 when there is none.
plinth_jdk_feature() {
  plinth_feature=0
  if [ -r "$1/release" ] && [ -x "$1/bin/javac" ]; then
    plinth_feature=$(sed -n 's/^JAVA_VERSION="\([0-9]*\).*/\1/p' "$1/release")
  fi
  echo "${plinth_feature:-0}"
}

plinth_find_jdk() {
  if [ -n "${JAVA_HOME:-}" ] && [ "$(plinth_jdk_feature "$JAVA_HOME")" -ge "$PLINTH_JDK_MINIMUM" ]; then
    export JAVA_HOME
    return 0
  fi
  plinth_best=
  plinth_best_feature=0
  for plinth_candidate in /usr/lib/jvm/* "${HOME:-/nonexistent}"/.sdkman/candidates/java/*; do
    plinth_candidate_feature=$(plinth_jdk_feature "$plinth_candidate")
    # The lowest version that is new enough: the one the project is tested with.
    if [ "$plinth_candidate_feature" -ge "$PLINTH_JDK_MINIMUM" ]; then
      if [ -z "$plinth_best" ] || [ "$plinth_candidate_feature" -lt "$plinth_best_feature" ]; then
        plinth_best=$plinth_candidate
        plinth_best_feature=$plinth_candidate_feature
      fi
    fi
  done
  if [ -z "$plinth_best" ]; then
    echo "plinth: no JDK $PLINTH_JDK_MINIMUM or newer found (looked at JAVA_HOME and /usr/lib/jvm)." >&2
    echo "plinth: install one (Debian: openjdk-25-jdk-headless or temurin-25-jdk) or set JAVA_HOME to it." >&2
    return 1
  fi
  JAVA_HOME=$plinth_best
  export JAVA_HOME
}
