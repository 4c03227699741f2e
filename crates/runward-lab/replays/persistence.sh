# What stays on a machine that is used again: a unit of systemd's for the user, a login that needs no password, a hook of
# git's, and a file of an action that a later step runs.
export GITHUB_ACTION=__run_1
action="_actions/owner/later/v1"
mkdir -p "$HOME/.config/systemd/user" .git/hooks "$action"
export action
exec sh -c 'python3 write "$HOME/.config/systemd/user/inert.service" "# nothing" , write "$HOME/.ssh/authorized_keys" "# nobody"
    node write .git/hooks/post-checkout "# nothing" , write "$action/index.js" "// nothing"'
