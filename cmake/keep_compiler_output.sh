#!/usr/bin/env bash
# keep_compiler_output.sh COMPILER ARGUMENTS...: what the compiler says goes to <object>.log; to the terminal
# only when it fails.
previous=
object=
for argument in "$@"; do
  if [ "$previous" = -o ]; then object=$argument; fi
  previous=$argument
done
if [ -z "$object" ]; then exec "$@"; fi
"$@" >"$object.log" 2>&1 && exit
code=$?
cat "$object.log" >&2
exit $code
