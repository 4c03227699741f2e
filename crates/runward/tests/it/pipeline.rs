//! What pipelines of real runners need: a small internet of one allowed and one forbidden host, the program where only
//! root can change it, and the runners themselves, which `scripts/setup test` installs below the target folder.

use std::cell::OnceCell;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use runward_lab::{Dns, Lab, Site, Tcp};
use serde_json::Value;
use tempfile::TempDir;

use crate::bed::{binary, mount_bpffs};

/// A host that the policies of these tests allow.
pub(crate) const ALLOWED: &str = "packages.example";
/// One that they do not.
pub(crate) const FORBIDDEN: &str = "collect.evil.example";

/// Bash that asks `$1` for a page over HTTP, with nothing but itself; `got` and the answer, or `refused`.
pub(crate) const CALL: &str = r#"call() {
  if exec 3<>"/dev/tcp/$1/80"; then
    printf 'GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' "$1" >&3
    IFS= read -r -d '' page <&3 || :
    echo "got ${page##*$'\n'} from $1"
  else
    echo "refused: $1"
  fi 2>/dev/null
}"#;

/// `nobody`, as Debian numbers it.
const NOBODY: &str = "65534:65534";
/// `$1` is the list of who may call sudo; what follows is run.
const AS_NOBODY: &str = r#"mount --bind "$1" /etc/sudoers && shift &&
mount -t tmpfs -o mode=755 rules /etc/sudoers.d &&
echo 'nobody ALL=(ALL:ALL) NOPASSWD: ALL' > /etc/sudoers.d/runner && chmod 440 /etc/sudoers.d/runner &&
exec setpriv --reuid 65534 --regid 65534 --clear-groups -- "$@""#;

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
        let forbidden = lab.tcp((lab.v4(66), 80).into(), &site).unwrap();
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
        self.prepared(self.lab.command(program), folder)
    }

    /// The same as a user who may call sudo without a password, as on the runners of GitHub. Which users may is not
    /// changed on this machine: the list is in a mount namespace of the runner's own.
    pub(crate) fn runner_with_sudo(&self, program: &Path, folder: &str) -> Command {
        self.write(
            "sudoers",
            "root ALL=(ALL:ALL) ALL\n@includedir /etc/sudoers.d\n",
        );
        let mode = |name: &str, mode| {
            fs::set_permissions(self.path(name), Permissions::from_mode(mode)).unwrap();
        };
        mode("sudoers", 0o440);
        mode("", 0o755);
        let mut command = self.prepared(self.lab.command("unshare"), folder);
        for name in ["home", folder] {
            let mut chown = Command::new("chown");
            chown.args(["-R", NOBODY]).arg(self.path(name));
            assert!(chown.status().unwrap().success());
        }
        command
            .args(["--mount", "--", "sh", "-c", AS_NOBODY, "sh"])
            .arg(self.path("sudoers"))
            .arg(program);
        command
    }

    fn prepared(&self, mut command: Command, folder: &str) -> Command {
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
    // Between the target folder and this one may be another, named after what was compiled for.
    let folders = Path::new(env!("CARGO_TARGET_TMPDIR")).ancestors().take(3);
    let mut places = folders.map(|folder| folder.join("tools").join(path));
    places.find(|place| place.exists())
}
