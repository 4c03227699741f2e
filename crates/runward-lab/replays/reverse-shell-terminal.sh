# dup2 and a terminal in between, as pty.spawn does.
export GITHUB_ACTION=__run_1
exec sh -c 'python3 shell-below shell.replay.example 4444'
