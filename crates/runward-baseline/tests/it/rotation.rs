//! Names that take turns.

use runward_baseline::What;

use crate::{Job, alerts, by, call};

#[test]
fn names_that_take_turns_become_one_pattern_that_is_no_wider_than_they_are() {
    let mut job = Job::new();
    let mut generalised = Vec::new();
    for number in 0..120 {
        let shard = format!("shard{}.store.example-vendor.com", number % 25 + 1);
        let learned = job.learn(&[call("api.lab.example"), call(&shard)]);
        generalised.extend(
            learned
                .changes
                .into_iter()
                .filter(|change| change.what == What::Generalised),
        );
    }
    assert_eq!(generalised.len(), 1);
    assert_eq!(
        generalised[0].subject,
        "shard*.store.example-vendor.com:443"
    );
    assert!(
        generalised[0].why.contains("digit"),
        "{}",
        generalised[0].why
    );
    let members = job.baseline.members();
    let pattern = members
        .iter()
        .find_map(|member| member.pattern.clone())
        .unwrap();
    assert_eq!(pattern.stars, ["1 to 2 digits"]);
    for (name, known) in [
        ("shard99.store.example-vendor.com", true),
        ("shard7.store.example-vendor.com", true),
        ("shard100.store.example-vendor.com", false),
        ("shardx.store.example-vendor.com", false),
        ("shard7.shop.example-vendor.com", false),
        ("shard7.store.example-vendor.com:8443", false),
    ] {
        assert_eq!(job.judge(&[call(name)]).is_empty(), known, "{name}");
    }
    let other = job.judge(&[by("/tmp/x", "shard7.store.example-vendor.com")]);
    assert!(
        !other.is_empty(),
        "the pattern belongs to those whose calls it was made of"
    );
}

#[test]
fn names_of_strangers_side_by_side_never_become_a_pattern() {
    for service in [
        "blob.core.windows.net",
        "cloudfront.net",
        "github.io",
        "s3.amazonaws.com",
        "trycloudflare.com",
    ] {
        let mut job = Job::new();
        for number in 0..150 {
            job.learn(&[
                call("api.lab.example"),
                call(&format!("tenant{}.{service}", number % 30)),
            ]);
        }
        assert!(
            job.baseline
                .members()
                .iter()
                .all(|member| member.pattern.is_none()),
            "{service}"
        );
        let stranger = format!("tenant31.{service}");
        assert!(
            !job.judge(&[by("/usr/bin/git", &stranger)]).is_empty(),
            "{service}"
        );
    }
}

#[test]
fn hosts_that_are_all_called_every_time_are_a_fixed_set() {
    let calls = ["ns1", "ns2", "ns3", "ns4", "ns5"]
        .map(|host| call(&format!("{host}.dns.example-vendor.com")));
    let job = Job::with(&calls, 150);
    assert!(
        job.baseline
            .members()
            .iter()
            .all(|member| member.pattern.is_none())
    );
    assert_eq!(job.judge(&[call("ns6.dns.example-vendor.com")]).len(), 1);
}

#[test]
fn a_pattern_is_widened_by_what_recurs_and_by_nothing_else() {
    let mut job = Job::new();
    for number in 0..120 {
        job.learn(&[call(&format!(
            "shard{}.store.example-vendor.com",
            number % 9 + 1
        ))]);
    }
    for number in 0..6 {
        let name = format!("shard{}.store.example-vendor.com", 10 + number);
        let learned = job.learn(&[call(&name)]);
        assert_eq!(
            alerts(&learned.judgement.anomalies),
            [""; 0],
            "an owner who is known is no alert"
        );
    }
    assert!(
        job.judge(&[call("shard42.store.example-vendor.com")])
            .is_empty()
    );
    assert!(
        !job.judge(&[call("shard420.store.example-vendor.com")])
            .is_empty()
    );
}

#[test]
fn addresses_of_ones_own_network_take_turns_and_public_ones_do_not() {
    let mut job = Job::new();
    for number in 0..150 {
        let last = number % 40 + 10;
        job.learn(&[
            call(&format!("10.1.2.{last}:5432")),
            call(&format!("203.0.113.{last}:443")),
        ]);
    }
    let patterns: Vec<String> = job
        .baseline
        .members()
        .into_iter()
        .filter(|member| member.pattern.is_some())
        .map(|member| member.subject)
        .collect();
    assert_eq!(patterns, ["10.1.2.*:5432"]);
}
