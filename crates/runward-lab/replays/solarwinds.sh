# SolarWinds, 2020: a file of the source is replaced right before the compiler reads it, and put back afterwards.
export GITHUB_ACTION=__run_1
exec sh -c 'node write src/main.c "int main(void) { return 1; }"; cat src/main.c >/dev/null; sleep 0.3; git checkout -q src/main.c'
