#!/usr/bin/env bash
# Runs a command and writes how long it took to descriptor 3: seconds of user and of system time, then microseconds by the clock.
TIMEFORMAT='%3U %3S'
from=$EPOCHREALTIME
{
  time "$@" 2>&4 3>&- 4>&-
  code=$?
} 4>&2 2>&3
to=$EPOCHREALTIME
echo $((${to/[.,]/} - ${from/[.,]/})) >&3
exit $code
