//! A store with nothing in it, and what tests put there.

use runward_event::{JobIdentity, Mode, Provider, Tier};
use runward_lab::skip_part;
use runward_store::{Batch, Claim, Digest, Observation, Org, PageRequest, Store};
use runward_store_sql::SqlStore;

/// A moment in August 2026.
pub(crate) const NOW: i64 = 1_785_576_612_000;
pub(crate) const ALL: PageRequest = PageRequest {
    after: None,
    limit: 100,
};

pub(crate) struct Bed {
    pub(crate) store: SqlStore,
    pub(crate) org: Org,
    _folder: Option<tempfile::TempDir>,
}

/// Runs a test on a store of each kind, with nothing in it.
pub(crate) async fn each(test: &str, run: impl AsyncFn(Bed)) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqlStore::sqlite(&folder.path().join("test.db"))
        .await
        .unwrap();
    run(Bed::new(store, Some(folder)).await).await;
    match runward_lab::postgres::database() {
        Ok(address) => {
            let store = SqlStore::postgres(&address).await.unwrap();
            run(Bed::new(store, None).await).await;
        }
        Err(lacking) => skip_part(test, "PostgreSQL", &lacking),
    }
}

impl Bed {
    async fn new(store: SqlStore, folder: Option<tempfile::TempDir>) -> Bed {
        store.migrate().await.unwrap();
        // Every server does so when it starts.
        store.migrate().await.unwrap();
        let org = store.add_org("main", "Main").await.unwrap();
        Bed {
            store,
            org,
            _folder: folder,
        }
    }

    /// Makes a run known; answers its number.
    pub(crate) async fn run(&self, name: u32, change: impl FnOnce(&mut Claim)) -> i64 {
        let mut claim = claim(&self.org, name);
        change(&mut claim);
        self.store.open_run(&claim, NOW).await.unwrap().number
    }

    /// A run with its events, digested.
    pub(crate) async fn seen(&self, name: u32, destinations: &[(&str, i64)]) -> i64 {
        let run = self
            .run(name, |claim| claim.started_at = NOW + i64::from(name))
            .await;
        self.store.receive(run, &batch(1, 10), NOW).await.unwrap();
        self.store
            .digest(run, &digest(10, destinations))
            .await
            .unwrap();
        run
    }
}

pub(crate) fn name(number: u32) -> String {
    format!("{number:032x}")
}

pub(crate) fn claim(org: &Org, number: u32) -> Claim {
    Claim {
        run: name(number),
        org: org.id,
        identity: JobIdentity {
            provider: Provider::Gitlab,
            project: Some("group/app".to_owned()),
            pipeline: Some(".gitlab-ci.yml".to_owned()),
            job: Some("test".to_owned()),
            branch: Some("main".to_owned()),
            commit: Some("c0ffee".to_owned()),
            ..JobIdentity::default()
        },
        project: None,
        command: "make test".to_owned(),
        requested_mode: Mode::Block,
        effective_mode: Mode::Block,
        tier: Tier::A,
        host: "runner-1".to_owned(),
        version: "0.1.0".to_owned(),
        kernel: "6.1.0".to_owned(),
        started_at: NOW,
    }
}

pub(crate) fn batch(first: i64, last: i64) -> Batch {
    Batch {
        first,
        last,
        object: format!("events/{first}-{last}"),
        bytes: 100,
    }
}

/// Destinations with how many of their calls were stopped.
pub(crate) fn digest(events: i64, destinations: &[(&str, i64)]) -> Digest {
    Digest {
        at: NOW,
        events,
        complete: true,
        observations: destinations
            .iter()
            .map(|(destination, blocked)| Observation {
                destination: (*destination).to_owned(),
                connections: 3,
                blocked: *blocked,
                bytes_sent: 5,
                bytes_received: 7,
                program: "/usr/bin/curl".to_owned(),
            })
            .collect(),
        blocked: destinations.iter().map(|(_, blocked)| blocked).sum(),
        ..Digest::default()
    }
}
