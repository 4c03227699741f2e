# Code that knows the agent signals it. The signal is one that does no harm where it is not refused.
export GITHUB_ACTION=__run_1
exec sh -c 'kill -CONT "$AGENT"; true'
