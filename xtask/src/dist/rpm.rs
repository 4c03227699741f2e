//! For Fedora, Red Hat Enterprise Linux, SUSE and what descends from them, by rpm's own rpmbuild.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use tempfile::TempDir;

use super::{MACHINE, Release, stage, template};
use crate::shell;

/// What would make two builds differ, what would change the binary, and how the content is packed: readable from
/// Red Hat Enterprise Linux 8 on.
const SETTINGS: [(&str, &str); 11] = [
    ("_buildhost", "localhost"),
    ("use_source_date_epoch_as_buildtime", "1"),
    ("clamp_mtime_to_source_date_epoch", "1"),
    ("source_date_epoch_from_changelog", "0"),
    ("debug_package", "%{nil}"),
    ("__os_install_post", "%{nil}"),
    ("_build_id_links", "none"),
    ("_binary_payload", "w19.zstdio"),
    ("_source_filedigest_algorithm", "8"),
    ("_binary_filedigest_algorithm", "8"),
    ("_rpmfilename", "%{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}.rpm"),
];

pub(super) fn make(release: &Release, out: &Path) -> anyhow::Result<String> {
    let folder = stage::machine(release)?;
    let root = folder.path();
    let licence = "usr/share/licenses/runward";
    stage::put(
        root,
        &format!("{licence}/LICENSE"),
        0o644,
        &stage::ours("LICENSE")?,
    )?;
    stage::put(
        root,
        &format!("{licence}/licences.txt.gz"),
        0o644,
        &release.licences,
    )?;
    let work = TempDir::new()?;
    let spec = work.path().join("runward.spec");
    let text = String::from_utf8(stage::ours("integrations/rpm/runward.spec")?)?;
    fs::write(&spec, template(&text, release))?;
    let mut rpmbuild = Command::new("rpmbuild");
    rpmbuild.args(["-bb", "--quiet", "--target", MACHINE]);
    let place = work.path().display().to_string();
    let places = [
        ("_topdir", place.clone()),
        ("_rpmdir", place.clone()),
        ("_dbpath", format!("{place}/db")),
        ("stage", root.display().to_string()),
    ];
    let settings = SETTINGS.map(|(name, value)| (name, value.to_owned()));
    for (name, value) in settings.into_iter().chain(places) {
        rpmbuild.arg("--define").arg(format!("{name} {value}"));
    }
    shell::output(
        rpmbuild
            .arg(&spec)
            .env("SOURCE_DATE_EPOCH", release.epoch.to_string())
            // Some releases write the home folder and the user into the header otherwise.
            .env("HOME", work.path()),
    )?;
    let file = format!("runward-{}-1.{MACHINE}.rpm", release.version);
    fs::copy(work.path().join(&file), out.join(&file)).context("rpmbuild made nothing")?;
    Ok(file)
}
