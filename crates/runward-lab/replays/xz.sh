# xz 5.6, March 2024: a step that prepares test data unpacks a script, which changes the build's own files.
export GITHUB_ACTION=__run_1
exec sh -c 'sh tests/files/good-large_compressed.sh'
