//! What the documentation says about backups, done while the server runs.

use std::process::Command;

use runward_lab::{skip, test_name};

use crate::bed::{Ground, Server};
use crate::record::Recorded;

const RUN: &str = "0123456789abcdef0123456789abcdef";

#[test]
fn a_copy_of_the_data_folder_that_is_made_while_the_server_runs_has_everything() {
    if Command::new("sqlite3").arg("-version").output().is_err() {
        return skip(test_name!(), "sqlite3 is not installed");
    }
    let server = Server::start();
    let (sends, cookie) = (server.key("ingest"), server.person("ada", "auditor"));
    let record = Recorded::default();
    let all = record.packed(1, record.len());
    assert_eq!(server.events(&sends, RUN, 1, &all).status, 200);
    let page = format!("/o/main/runs/{RUN}/network");
    server.page_with("/o/main/destinations", &cookie, "evil.example");
    let before = server.page_with(&page, &cookie, "evil.example");

    let copy = Ground::new();
    let (from, to) = (server.folder(), copy.folder.path());
    let database = Command::new("sqlite3")
        .arg(from.join("runward.db"))
        .arg(format!(".backup {}", to.join("runward.db").display()))
        .status()
        .unwrap();
    assert!(database.success());
    let objects = Command::new("cp")
        .arg("-a")
        .args([from.join("objects"), to.join("objects")])
        .status()
        .unwrap();
    assert!(objects.success());
    // What comes after the copy is not in it, and does not harm it.
    let later = Recorded {
        number: 2,
        ..Recorded::default()
    };
    let other = "f".repeat(32);
    let all = later.packed(1, later.len());
    assert_eq!(server.events(&sends, &other, 1, &all).status, 200);
    drop(server);

    let restored = Server::on(copy);
    let without_times = |page: &str| page.matches("example").count();
    let after = restored.page_with(&page, &cookie, "evil.example");
    assert_eq!(without_times(&after), without_times(&before));
    assert_eq!(
        restored
            .get(&format!("/o/main/runs/{other}"), &cookie)
            .status,
        404
    );
    let again = restored.events(&sends, RUN, 1, &record.packed(1, record.len()));
    assert_eq!(again.status, 200, "keys are in the copy, too: {again:?}");
}
