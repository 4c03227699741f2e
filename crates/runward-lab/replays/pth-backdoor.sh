# litellm and telnyx, March 2026: a .pth file runs at each start of Python and leaves a process behind.
export GITHUB_ACTION=__run_1
exec sh -c 'python3 call models.replay.example 443 , behind 5'
