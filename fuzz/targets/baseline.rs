//! The state of a baseline, as it may come out of a damaged database: what is read keeps to the bounds, is written as it
//! was read, and goes on learning.
#![no_main]

use libfuzzer_sys::fuzz_target;
use runward_baseline::{
    Baseline, Call, Destination, Lineage, RunFacts, RunSummary, Scope, Settings, Surroundings,
    Trust, limits,
};
use runward_event::{Protocol, Time};

fuzz_target!(|data: &[u8]| {
    if let Ok(scope) = Scope::decode(data) {
        assert!(scope.encode().len() <= limits::SCOPE_BYTES);
    }
    let Ok(mut baseline) = Baseline::decode(data) else {
        return;
    };
    let again = Baseline::decode(&baseline.encode()).expect("what was read");
    assert_eq!(again, baseline);
    let (around, settings) = (Surroundings::default(), Settings::default());
    for run in [1, 2].map(run) {
        baseline.learn(&run, &around, &settings);
    }
    baseline.state(&around, &settings);
    let _ = (
        baseline.members(),
        baseline.open(&settings),
        baseline.novelty(&around).sentence(),
    );
    assert!(Baseline::decode(&baseline.encode()).is_ok());
});

/// Calls that may be known to a state that somebody made, and one that is not.
fn run(number: u64) -> RunSummary {
    let call = |host: &str| Call {
        destination: Destination {
            name: Some(host.to_owned()),
            ip: None,
            port: 443,
            protocol: Protocol::Tcp,
        },
        lineage: Lineage {
            executable: "/usr/bin/curl".to_owned(),
            step: Some("build".to_owned()),
            dependency: None,
        },
        connections: 1,
        bytes_sent: 1 << (number * 20),
        bytes_received: 0,
        first: Time::default(),
        blocked: false,
    };
    let at = Time::from_unix_nanos(1_900_000_000_000_000_000 + number * 60_000_000_000);
    RunSummary {
        facts: RunFacts {
            id: format!("fuzz-{number}"),
            started: at,
            received: at,
            commit: Some(number.to_string()),
            trust: Trust::Protected,
            ..RunFacts::default()
        },
        calls: [
            "registry.example",
            "shard17.store.vendor.example",
            "new.example",
        ]
        .map(call)
        .to_vec(),
        ..RunSummary::default()
    }
}
