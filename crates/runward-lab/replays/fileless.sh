# A second stage that never touches a disk.
export GITHUB_ACTION=__run_1
exec sh -c 'python3 from-memory'
