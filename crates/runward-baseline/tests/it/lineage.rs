//! Who calls matters as much as where to.

use runward_baseline::{Context, Destination, Disposition, Kind};
use runward_detect::Severity;
use runward_event::Protocol;

use crate::{Job, alerts, by, call, of, sending};

const NODE: &str = "/opt/hostedtoolcache/node/20.11.0/x64/bin/node";

#[test]
fn a_known_name_from_somebody_new_alerts_where_anybody_can_leave_data() {
    let calls = [
        by("/usr/bin/git", "api.github.com"),
        of("esbuild@0.25.0", by(NODE, "registry.lab.example")),
    ];
    let job = Job::with(&calls, 120);
    for (newcomer, told) in [
        (by("/tmp/.x/agent", "api.github.com"), true),
        (
            of("plain-crypto-js@4.2.1", by(NODE, "api.github.com")),
            true,
        ),
        (by(NODE, "api.github.com"), true),
        (by("/usr/bin/git", "api.github.com"), false),
        (
            of("esbuild@0.26.1", by(NODE, "registry.lab.example")),
            false,
        ),
        (
            of(
                "esbuild@0.25.0",
                by(
                    "/opt/hostedtoolcache/node/22.1.0/x64/bin/node",
                    "registry.lab.example",
                ),
            ),
            false,
        ),
    ] {
        let found = job.judge(std::slice::from_ref(&newcomer));
        assert_eq!(!alerts(&found).is_empty(), told, "{newcomer:?} {found:?}");
        assert!(found.iter().all(|anomaly| anomaly.kind == Kind::NewLineage));
    }
}

#[test]
fn a_new_name_under_a_known_program_and_a_changed_lockfile_is_less_of_a_surprise() {
    let lockfile = |version: &str| Context {
        lockfile: Some(version.to_owned()),
        ..Context::default()
    };
    let mut job = Job::new();
    for _ in 0..120 {
        let mut run = job.next(&[call("a.example")]);
        run.facts.context = lockfile("1");
        job.take(&run);
    }
    let judge = |version: &str, made: &crate::Call| {
        let mut run = crate::run(999, 999 * 60, std::slice::from_ref(made));
        run.facts.context = lockfile(version);
        job.baseline
            .judge(&run, &job.around(&run), &job.settings)
            .anomalies
            .remove(0)
    };
    let (same, changed) = (
        judge("1", &call("new.example")),
        judge("2", &call("new.example")),
    );
    assert!(changed.score < same.score - 0.5, "{changed:?} {same:?}");
    assert!(changed.severity < same.severity);
    assert!(
        changed
            .explanation
            .iter()
            .any(|why| why.contains("lockfile"))
    );
    // A change excuses nobody who is new.
    let (same, changed) = (
        judge("1", &by("/tmp/x", "new.example")),
        judge("2", &by("/tmp/x", "new.example")),
    );
    assert_eq!(changed.score, same.score);
    assert_eq!(changed.severity, Severity::High);
}

#[test]
fn a_name_of_an_owner_who_is_known_is_news_and_one_that_looks_like_it_is_an_alert() {
    let job = Job::with(
        &[
            call("api.example-vendor.com"),
            call("cdn.example-vendor.com"),
        ],
        120,
    );
    let found = job.judge(&[call("download.example-vendor.com")]);
    assert_eq!(found[0].disposition, Disposition::News);
    let found = job.judge(&[call("api.example-vendro.com")]);
    assert_eq!(found[0].disposition, Disposition::Alert);
    assert!(
        found[0].explanation[0].contains("looks like example-vendor.com"),
        "{:?}",
        found[0].explanation
    );
}

#[test]
fn far_more_data_than_ever_alerts_where_anybody_can_leave_data() {
    let mut job = Job::new();
    for number in 0..120_u64 {
        let sent = 20_000 + (number % 7) * 5_000;
        job.learn(&[
            sending(sent, call("bucket.s3.amazonaws.com")),
            sending(sent, call("own.example")),
        ]);
    }
    for (sent, told) in [
        (30_000, false),
        (100_000, false),
        (190_000, false),
        (40_000_000, true),
    ] {
        let found = job.judge(&[sending(sent, call("bucket.s3.amazonaws.com"))]);
        assert_eq!(!alerts(&found).is_empty(), told, "{sent} {found:?}");
    }
    let found = job
        .learn(&[sending(40_000_000, call("bucket.s3.amazonaws.com"))])
        .judgement
        .anomalies;
    assert_eq!(found[0].kind, Kind::DataVolume);
    assert!(
        found[0].explanation[0].starts_with("38.1 MiB went to"),
        "{:?}",
        found[0].explanation
    );
    // It is not what the next one is compared with.
    assert!(
        !job.judge(&[sending(39_000_000, call("bucket.s3.amazonaws.com"))])
            .is_empty()
    );
    let found = job.judge(&[sending(40_000_000, call("own.example"))]);
    assert_eq!(
        alerts(&found),
        [""; 0],
        "one's own host may get what it gets"
    );
}

#[test]
fn a_host_that_serves_everybody_is_news_but_not_for_an_install_script() {
    let calls = [
        call("a.example"),
        of("esbuild@0.25.0", by(NODE, "registry.lab.example")),
    ];
    let job = Job::with(&calls, 120);
    assert_eq!(alerts(&job.judge(&[call("static.rust-lang.org")])), [""; 0]);
    let found = job.judge(&[of("setup-bun@1.0.0", by(NODE, "bun.sh"))]);
    assert_eq!(alerts(&found), ["bun.sh:443"], "{found:?}");
}

#[test]
fn an_address_without_a_name_and_a_drop_box_alert() {
    let job = Job::with(&[call("a.example")], 120);
    for host in [
        "203.0.113.7:8000",
        "webhook.site",
        "api.telegram.org",
        "x.trycloudflare.com",
        "[2001:db8::7]:443",
    ] {
        let made = if host.starts_with('[') {
            let mut made = call("a.example");
            made.destination.name = None;
            made.destination.ip = "2001:db8::7".parse().ok();
            made
        } else {
            call(host)
        };
        let found = job.judge(&[made]);
        assert_eq!(found[0].disposition, Disposition::Alert, "{host} {found:?}");
    }
}

#[test]
fn what_was_stopped_is_neither_judged_nor_learned() {
    let mut job = Job::new();
    let mut stopped = call("stopped.example");
    stopped.blocked = true;
    for _ in 0..120 {
        job.learn(&[call("a.example"), stopped.clone()]);
    }
    assert_eq!(job.baseline.members().len(), 1);
    assert!(job.judge(&[stopped.clone()]).is_empty());
    stopped.blocked = false;
    assert_eq!(alerts(&job.judge(&[stopped])), ["stopped.example:443"]);
}

#[test]
fn every_program_may_ask_the_resolver_of_its_machine_and_no_other_one() {
    let asks = |program: &str, resolver: [u8; 4]| {
        let mut call = by(program, "unused.example");
        call.destination = Destination {
            name: None,
            ip: Some(resolver.into()),
            port: 53,
            protocol: Protocol::Udp,
        };
        call
    };
    const USUAL: [u8; 4] = [168, 63, 129, 16];
    let job = Job::with(&[asks("/usr/bin/git", USUAL)], 120);
    assert_eq!(job.judge(&[asks("/tmp/.x/agent", USUAL)]), []);
    let other = job.judge(&[asks("/usr/bin/git", [198, 51, 100, 66])]);
    assert_eq!(other[0].kind, Kind::NewDestination, "{other:?}");
    assert!(!alerts(&other).is_empty(), "{other:?}");
    // Of what is carried out through it, the amount tells.
    let mut much = asks("/usr/bin/git", USUAL);
    much.bytes_sent = 500_000_000;
    assert_eq!(job.judge(&[much])[0].kind, Kind::DataVolume);
}

#[test]
fn nobody_hides_in_a_crowd() {
    let crowd: Vec<_> = ('a'..='l')
        .map(|letter| by(&format!("/bin/{letter}"), "github.com"))
        .collect();
    // Twelve programs go there in every run, and only eight are kept with a place: the others are told once.
    let mut job = Job::with(&crowd, 200);
    let mut more = crowd.clone();
    more.push(by("/tmp/x", "github.com"));
    let learned = job.learn(&more);
    let told = learned.judgement.anomalies.iter();
    let told: Vec<_> = told
        .filter(|anomaly| anomaly.disposition == Disposition::Alert)
        .map(|anomaly| anomaly.lineage.executable.as_str())
        .collect();
    assert_eq!(told, ["/tmp/x"]);
}
