# shellcheck shell=sh
# Steps that are told in one line each: `## ok t=1.2s : what`, or FAIL and the end of what the command said.
# Sourced by what runs in User Mode Linux; its environment is that of scripts/kernel/uml-init.

steps_failed=0
steps_output=/run/step.out

seconds() {
  cut -d' ' -f1 /proc/uptime
}

# step WHAT COMMAND [ARGUMENT...]
step() {
  step_what=$1
  shift
  step_begin=$(seconds)
  step_status=0
  # A command that hangs must not take the whole run with it.
  if [ "$(command -v "$1")" = "$1" ]; then
    # A function.
    "$@" >"$steps_output" 2>&1 || step_status=$?
  else
    timeout -k 5 100 "$@" >"$steps_output" 2>&1 || step_status=$?
  fi
  step_time=$(echo "$(seconds) $step_begin" | awk '{printf "%.1f", $1 - $2}')
  if [ "$step_status" -eq 0 ]; then
    echo "## ok t=${step_time}s : $step_what"
  else
    echo "## FAIL t=${step_time}s : $step_what (exit code $step_status)"
    tail -n 12 "$steps_output"
    steps_failed=$((steps_failed + 1))
  fi
  return "$step_status"
}

# Fails when the kernel has told of an I/O error since it started.
no_io_errors() {
  dmesg | grep -iE 'I/O error|Buffer I/O|lost async page write|XFS .*(error|corrupt)|EXT4-fs (error|warning)|BTRFS (error|warning)' && return 1
  return 0
}
