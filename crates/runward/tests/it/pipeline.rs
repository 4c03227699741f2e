//! What pipelines of real runners need: a small internet of one allowed and one forbidden host, the program where only
//! root can change it, and the runners themselves, which `scripts/setup test` installs below the target folder.

use std::cell::OnceCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use runward_lab::{Answer, Dns, Lab, Site, Tcp};
use serde_json::Value;
use tempfile::TempDir;

use crate::bed::{LIMIT, binary, mount_bpffs};

/// A host that the policies of these tests allow.
pub(crate) const ALLOWED: &str = "packages.example";
/// One that they do not.
pub(crate) const FORBIDDEN: &str = "collect.evil.example";

/// Bash that asks `$1` for a page over HTTP, with nothing but itself; `got` and the answer, or `refused`.
pub(crate) const CALL: &str = r#"call() {
  if exec 3<>"/dev/tcp/$1/80"; then
    printf 'GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' "$1" >&3
    echo "got $(tail -n 1 <&3) from $1"
  else
    echo "refused: $1"
  fi 2>/dev/null
}"#;

pub(crate) struct Pipeline {
    pub(crate) lab: Lab,
    pub(crate) folder: TempDir,
    pub(crate) forbidden: Tcp,
    _allowed: Tcp,
    _dns: Dns,
    program: OnceCell<PathBuf>,
}

impl Pipeline {
    pub(crate) fn new() -> Pipeline {
        mount_bpffs();
        let lab = Lab::netns().unwrap();
        let site = Site::new();
        site.page("/", "text/plain", "welcome");
        let allowed = lab.tcp((lab.v4(80), 80).into(), &site).unwrap();
        let forbidden = lab.tcp((lab.v4(66), 80).into(), Answer::Silent).unwrap();
        let dns = lab.dns((lab.v4(53), 53).into()).unwrap();
        dns.address(ALLOWED, 300, &[lab.v4(80).into()]).unwrap();
        dns.address(FORBIDDEN, 300, &[lab.v4(66).into()]).unwrap();
        lab.set_nameservers(&[lab.v4(53).into()]).unwrap();
        Pipeline {
            lab,
            folder: TempDir::new().unwrap(),
            forbidden,
            _allowed: allowed,
            _dns: dns,
            program: OnceCell::new(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// The program under test, in a folder of root's: where it was built may belong to whoever built it.
    pub(crate) fn program(&self) -> &Path {
        self.program.get_or_init(|| {
            let copy = self.path("runward");
            fs::copy(binary(), &copy).unwrap();
            copy
        })
    }

    /// A runner in the lab, in a folder of the pipeline, with a home and caches of its own and nothing of this machine's CI.
    pub(crate) fn runner(&self, program: &Path, folder: &str) -> Command {
        let mut command = self.lab.command(program);
        command
            .current_dir(self.path(folder))
            .env("NO_COLOR", "1")
            .env("HOME", self.path("home"))
            .env("XDG_CACHE_HOME", self.path("home/cache"));
        fs::create_dir_all(self.path("home")).unwrap();
        for name in [
            "CI",
            "GITHUB_ACTIONS",
            "GITLAB_CI",
            "SUDO_UID",
            "SUDO_GID",
            "SUDO_USER",
        ] {
            command.env_remove(name);
        }
        command
    }

    /// The report that a job left in the folder `report`.
    pub(crate) fn report(&self) -> Value {
        self.report_at(&self.path("report/report.json"))
    }

    #[expect(clippy::unused_self, reason = "no report without a pipeline")]
    pub(crate) fn report_at(&self, path: &Path) -> Value {
        let text = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        serde_json::from_slice(&text).unwrap()
    }

    /// What came to the forbidden host.
    pub(crate) fn arrived(&self) -> usize {
        self.forbidden.received().len()
    }
}

/// Where `scripts/setup test` puts tools that no package of the system brings.
pub(crate) fn tool(path: &str) -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent()?;
    let place = target.join("tools").join(path);
    place.exists().then_some(place)
}

/// Waits for what a runner leaves to others to do.
pub(crate) fn within(mut happens: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + LIMIT;
    while Instant::now() < deadline {
        if happens() {
            return true;
        }
        thread::sleep(Duration::from_millis(50));
    }
    false
}
