# A machine with `runward agent` and one runner, which has a day's jobs one after the other. Says what it sees, a line each:
#   bare N NANOSECONDS               N jobs without the agent
#   idle SECONDS TICKS KB            the agent without jobs: processor time in ticks, resident memory
#   held N NANOSECONDS TICKS KB FDS  N jobs with it: all processor time of the agent's own process so far, its memory and
#                                    descriptors afterwards
set -eu
mount --make-rprivate /
mkdir -p /run/runward && mount -t tmpfs -o mode=755 tmpfs /run/runward
mount -t tmpfs tmpfs /var/lib
mount -t bpf bpf /sys/fs/bpf
mkdir -p "$W/runner/bin"
cp /bin/sh "$W/runner/bin/Runner.Worker"
printf 'egress-policy: block\nallowed-endpoints: "192.0.2.1"\nspool-limit: 64M\n' >"$W/agent.yml"
cat >"$W/job" <<'STEP'
export GITHUB_ACTIONS=true GITHUB_REPOSITORY=example/app GITHUB_JOB=build
GITHUB_ACTION=__run sh -c 'for i in 1 2 3 4 5 6 7 8 9 10; do /bin/true; done; sleep 0.2'
STEP
jobs() { i=0; while [ $i -lt $1 ]; do "$W/runner/bin/Runner.Worker" "$W/job" 2>/dev/null; i=$((i + 1)); done; }
now() { date +%s%N; }
ticks() { set -- $(sed 's/.*) //' /proc/$agent/stat); echo $((${12} + ${13})); }
memory() { sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' /proc/$agent/status; }
descriptors() { ls /proc/$agent/fd | wc -l; }
settled() { while "$R" job status | grep -q ' mode, process '; do sleep 0.05; done; }

start=$(now); jobs $BATCH; echo "bare $BATCH $(($(now) - start))"
"$R" agent --config "$W/agent.yml" 2>"$W/agent.log" & agent=$!
until "$R" agent status >/dev/null 2>&1; do sleep 0.05; done
before=$(ticks); sleep $IDLE; echo "idle $IDLE $(($(ticks) - before)) $(memory)"
done=0
while [ $done -lt $TOTAL ]; do
    start=$(now); jobs $BATCH; took=$(($(now) - start))
    settled
    done=$((done + BATCH))
    echo "held $done $took $(ticks) $(memory) $(descriptors)"
done
kill $agent
wait $agent || true
