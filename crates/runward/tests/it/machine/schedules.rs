//! Four runners at once, each with a policy of its own over the same addresses: what one job does is judged by its policy
//! and stands in its record, whatever the others do at that moment.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;

use runward_event::{Body, Status};
use runward_lab::requires;

use super::Machine;
use crate::bypass::Ground;

const RUNNERS: [&str; 4] = ["one", "two", "three", "four"];
/// How often each runner begins a job.
const JOBS: usize = 5;
/// What is decided at random in each job: whom to call, by which kind of process, and when.
const ROUNDS: usize = 50;
/// Shared by all policies; each allows two of them.
const ADDRESSES: [&str; 4] = [
    "198.51.100.81",
    "198.51.100.82",
    "198.51.100.83",
    "198.51.100.84",
];
/// Each call of a runner goes to a port of its own, so that it is known wherever it turns up.
const FIRST_PORT: usize = 2000;

/// A small generator of numbers that only have to look at random (Marsaglia's xorshift).
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % limit
    }
}

/// A call: where to, and whether the policy of the runner allows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Call {
    address: usize,
    port: usize,
    allowed: bool,
}

/// Runner `n` may reach the addresses `n` and `n + 1`.
fn allows(runner: usize, address: usize) -> bool {
    address == runner || address == (runner + 1) % ADDRESSES.len()
}

/// A job's script, and the calls in it.
fn job(runner: usize, number: usize, dice: &mut Dice) -> (String, Vec<Call>) {
    let mut script = "out() { $A/net udp-sendto $1 $2 >/dev/null 2>&1 && c=0 || c=$?; echo $1 $2 $c >>$RESULT; }\n".to_owned();
    let mut calls = Vec::new();
    for round in 0..ROUNDS {
        let address = dice.below(ADDRESSES.len());
        let port = FIRST_PORT + number * ROUNDS + round;
        calls.push(Call {
            address,
            port,
            allowed: allows(runner, address),
        });
        let out = format!("out {} {port}", ADDRESSES[address]);
        let line = match dice.below(5) {
            0 => format!("({out})"),
            1 => format!("{out} & wait $!"),
            2 => format!("( ( {out} ) & ) ; sleep 0.00{}", dice.below(10)),
            3 => format!("sleep 0.00{}; {out}", dice.below(10)),
            _ => out,
        };
        writeln!(script, "{line}").unwrap();
    }
    // Who was left behind has to be done, too.
    let all = "[ $(wc -l <$RESULT) = COUNT ]".replace("COUNT", &ROUNDS.to_string());
    writeln!(
        script,
        "for i in $(seq 400); do {all} && break; sleep 0.05; done"
    )
    .unwrap();
    (script, calls)
}

#[test]
fn nothing_crosses_between_jobs_of_one_machine() {
    requires!(Root, Netns, OwnProcessor, Program("unshare"));
    let ground = Ground::new();
    let seed: u64 = std::process::id().into();
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ seed);
    let policies = (0..RUNNERS.len()).map(|runner| {
        let allowed = (0..ADDRESSES.len()).filter(|address| allows(runner, *address));
        let allowed: Vec<String> = allowed
            .map(|address| format!("{}:1-65535/udp", ADDRESSES[address]))
            .collect();
        allowed.join(" ")
    });
    let mut script = String::new();
    let mut calls = Vec::new();
    for (runner, policy) in policies.enumerate() {
        let name = RUNNERS[runner];
        writeln!(
            script,
            "echo \"export RUNWARD_EGRESS_POLICY=block RUNWARD_ALLOWED_ENDPOINTS='{policy}'\" >$W/{name}/env"
        )
        .unwrap();
        for number in 0..JOBS {
            let (text, own) = job(runner, number, &mut dice);
            writeln!(script, "cat >$W/{name}-{number} <<'STEP'").unwrap();
            // Until the variables of its own environment are in force.
            let held = "for i in $(seq 400); do $R job status | grep -q 'block mode' && break; sleep 0.02; done";
            writeln!(script, "RESULT=$W/{name}-{number}-said; {held}\n{text}STEP").unwrap();
            calls.push((name, number, own));
        }
    }
    script += "agent\n";
    for name in RUNNERS {
        let numbers: Vec<String> = (0..JOBS).map(|number| number.to_string()).collect();
        writeln!(
            script,
            "(for n in {}; do runner {name} $W/{name}-$n; sleep 0.$((n * 7 % 4)); done) & {name}=$!",
            numbers.join(" ")
        )
        .unwrap();
    }
    script += "wait $one $two $three $four\nrecords\nkill $agent; wait $agent\n";
    let mut machine = Machine::boot(&ground, "egress-policy: audit\n", &RUNNERS, &script);
    machine.finish();

    let records = machine.records();
    assert_eq!(records.len(), RUNNERS.len() * JOBS, "{}", machine.told());
    let mut found = BTreeSet::new();
    for record in &records {
        assert!(record.has_ended(), "{}", machine.told());
        assert_eq!(record.report["effective_mode"], "block");
        let Body::JobStart(start) = &record.events[0].body else {
            panic!("{:?}", record.events[0]);
        };
        let script = start.args.last().unwrap();
        let (name, number, wanted) = calls
            .iter()
            .find(|(name, number, _)| script.ends_with(&format!("/{name}-{number}")))
            .unwrap_or_else(|| panic!("whose is it? {:?}", start.args));
        found.insert((*name, *number));
        let mut told: Vec<Call> = record
            .events
            .iter()
            .filter_map(|event| match &event.body {
                Body::Connect(connect) => Some(Call {
                    address: ADDRESSES
                        .iter()
                        .position(|address| *address == connect.ip.to_string())
                        .unwrap_or_else(|| panic!("a call of nobody's: {connect:?}")),
                    port: connect.port.into(),
                    allowed: connect.status == Status::Allowed,
                }),
                _ => None,
            })
            .collect();
        told.sort_unstable();
        let mut wanted = wanted.clone();
        wanted.sort_unstable();
        assert_eq!(told, wanted, "seed {seed}, {name}-{number}");
        // What the job itself saw of it.
        let said = fs::read_to_string(machine.path(&format!("{name}-{number}-said"))).unwrap();
        let mut said: Vec<&str> = said.lines().collect();
        said.sort_unstable();
        let mut seen: Vec<String> = wanted
            .iter()
            .map(|call| {
                let code = u8::from(!call.allowed);
                format!("{} {} {code}", ADDRESSES[call.address], call.port)
            })
            .collect();
        seen.sort_unstable();
        assert_eq!(said, seen, "seed {seed}, {name}-{number}");
    }
    assert_eq!(found.len(), RUNNERS.len() * JOBS, "each has one record");
}
