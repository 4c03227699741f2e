//! Installing the agent as a service, and removing it: in the folder of an image, and under a real systemd.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use runward_lab::{Lab, Ran, requires, run, skip, test_name};
use tempfile::TempDir;

use crate::bed::{LIMIT, binary};
use crate::service::{SYSTEMD, boot};

const PROGRAM: &str = "usr/local/bin/runward";
const UNIT: &str = "etc/systemd/system/runward-agent.service";
const CONFIGURATION: &str = "etc/runward/agent.yml";

/// An image, and beside it what nobody may write to through it.
struct Image {
    folder: TempDir,
}

impl Image {
    fn new() -> Image {
        let folder = TempDir::new().unwrap();
        for path in ["image", "outside"] {
            fs::create_dir(folder.path().join(path)).unwrap();
        }
        fs::write(folder.path().join("outside/file"), "outside").unwrap();
        Image { folder }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join("image").join(path)
    }

    fn outside(&self, path: &str) -> PathBuf {
        self.folder.path().join("outside").join(path)
    }

    /// Puts something there before.
    fn put(&self, path: &str, text: &str) {
        fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        fs::write(self.at(path), text).unwrap();
    }

    fn link(&self, path: &str, to: &Path) {
        fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        symlink(to, self.at(path)).unwrap();
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.at(path)).unwrap_or_default()
    }

    fn runward(&self, arguments: &[&str]) -> Ran {
        let mut command = Command::new(binary());
        let command = command.args(arguments).arg("--root").arg(self.at(""));
        run(command, LIMIT).unwrap()
    }

    /// What lies outside is as it was.
    fn untouched(&self) -> bool {
        let names = fs::read_dir(self.folder.path().join("outside")).unwrap();
        names.count() == 1 && fs::read_to_string(self.outside("file")).unwrap() == "outside"
    }

    fn is_installed(&self) -> bool {
        let program = fs::symlink_metadata(self.at(PROGRAM));
        let unit = self.read(UNIT);
        program.is_ok_and(|program| {
            let size = fs::metadata(binary()).unwrap().len();
            (program.is_file(), program.mode() & 0o7777, program.uid()) == (true, 0o755, 0)
                && program.len() == size
        }) && unit.contains("ExecStart=/usr/local/bin/runward agent")
            && unit.contains("ExecPaths=/usr/local/bin/runward")
            && !unit.contains("/usr/bin/runward")
    }
}

#[test]
fn installing_writes_what_is_missing_and_keeps_the_configuration() {
    requires!(Root);
    type Before = fn(&Image);
    let table: [(&str, Before, &str); 5] = [
        ("fresh", |_| {}, "wrote "),
        (
            "twice",
            |image| assert_eq!(image.runward(&["install"]).code(), 0),
            "replaced ",
        ),
        (
            "over an older one",
            |image| {
                image.put(PROGRAM, "older");
                image.put(UNIT, "older");
                fs::set_permissions(image.at(PROGRAM), fs::Permissions::from_mode(0o600)).unwrap();
            },
            "replaced ",
        ),
        (
            "after an attempt that broke off",
            |image| image.put("usr/local/bin/.runward.new", "half"),
            "wrote ",
        ),
        (
            "over links",
            |image| {
                let file = image.outside("file");
                for path in [PROGRAM, UNIT, "usr/local/bin/.runward.new"] {
                    image.link(path, &file);
                }
            },
            "replaced ",
        ),
    ];
    for (name, before, did) in table {
        let image = Image::new();
        before(&image);
        let ran = image.runward(&["install"]);
        assert_eq!(ran.code(), 0, "{name}: {}", ran.stderr);
        assert!(image.is_installed(), "{name}: {}", ran.stderr);
        let expected = format!("{did}{}", image.at(PROGRAM).display());
        assert!(ran.stderr.contains(&expected), "{name}: {}", ran.stderr);
        assert!(
            ran.stderr.contains("systemctl --root="),
            "{name}: {}",
            ran.stderr
        );
        assert!(
            image.read(CONFIGURATION).contains("#egress-policy: audit"),
            "{name}"
        );
        let left = fs::read_dir(image.at("usr/local/bin")).unwrap().count();
        assert_eq!(left, 1, "{name}");
        assert!(image.untouched(), "{name}");
    }

    let image = Image::new();
    image.put(CONFIGURATION, "mine");
    assert_eq!(image.runward(&["install"]).code(), 0);
    assert_eq!(image.read(CONFIGURATION), "mine");

    // A link is somebody's configuration too, even one that leads nowhere yet.
    let image = Image::new();
    image.link(CONFIGURATION, &image.outside("not-there"));
    let ran = image.runward(&["install"]);
    assert!(ran.stderr.contains("kept "), "{}", ran.stderr);
    assert!(image.untouched());
}

#[test]
fn what_can_not_be_installed_is_refused_and_nothing_is_written_elsewhere() {
    requires!(Root);
    type Before = fn(&Image);
    let table: [(&str, Before, &str); 6] = [
        (
            "a link for a folder of the program",
            |image| image.link("usr/local", &image.outside("")),
            "links are not followed here",
        ),
        (
            "a link for the folder of units",
            |image| image.link("etc/systemd/system", &image.outside("")),
            "links are not followed here",
        ),
        (
            "a link for the folder of the configuration",
            |image| image.link("etc/runward", &image.outside("")),
            "links are not followed here",
        ),
        (
            "a file for a folder",
            |image| image.put("usr", "file"),
            "links are not followed here",
        ),
        (
            "a folder for the program",
            |image| fs::create_dir_all(image.at(PROGRAM)).unwrap(),
            "is a folder; remove it first",
        ),
        (
            "a package",
            |image| image.put("usr/lib/systemd/system/runward-agent.service", ""),
            "is installed as a package here",
        ),
    ];
    for (name, before, sentence) in table {
        let image = Image::new();
        before(&image);
        let ran = image.runward(&["install"]);
        assert_eq!(ran.code(), 1, "{name}: {}", ran.stderr);
        assert!(ran.stderr.contains(sentence), "{name}: {}", ran.stderr);
        assert!(image.untouched(), "{name}");
    }

    let image = Image::new();
    fs::remove_dir(image.at("")).unwrap();
    let ran = image.runward(&["install"]);
    assert_eq!(ran.code(), 1);
    assert!(
        ran.stderr.contains("cannot open the folder"),
        "{}",
        ran.stderr
    );
}

#[test]
fn nothing_is_half_installed_where_nothing_can_be_written() {
    requires!(Root, Program("unshare"));
    let image = Image::new();
    image.put(PROGRAM, "older");
    let script = "mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\" && exec \"$2\" install --root \"$1\"";
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-c", script, "sh"])
        .arg(image.at(""))
        .arg(binary());
    let ran = run(&mut command, LIMIT).unwrap();
    assert_eq!(ran.code(), 1, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("Read-only file system"),
        "{}",
        ran.stderr
    );
    assert_eq!(image.read(PROGRAM), "older");
}

#[test]
fn only_root_installs() {
    requires!(Root, Program("setpriv"));
    let image = Image::new();
    // Where everybody may run it from.
    let program = image.folder.path().join("runward");
    fs::copy(binary(), &program).unwrap();
    for path in ["", "image"] {
        let everybody = fs::Permissions::from_mode(0o777);
        fs::set_permissions(image.folder.path().join(path), everybody).unwrap();
    }
    for arguments in [&["install"][..], &["uninstall", "--purge", "--force"]] {
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(&program)
            .args(arguments)
            .arg("--root")
            .arg(image.at(""));
        let ran = run(&mut command, LIMIT).unwrap();
        assert_eq!(ran.code(), 1, "{}", ran.stderr);
        assert!(ran.stderr.contains("run `sudo runward "), "{}", ran.stderr);
    }
    assert_eq!(fs::read_dir(image.at("")).unwrap().count(), 0);
}

#[test]
fn without_systemd_it_is_said_what_to_do() {
    requires!(Root);
    if Path::new("/run/systemd/system").exists() {
        skip(test_name!(), "needs a machine that systemd does not run");
        return;
    }
    for name in ["install", "uninstall"] {
        let ran = run(Command::new(binary()).arg(name), LIMIT).unwrap();
        assert_eq!(ran.code(), 1);
        assert!(
            ran.stderr.contains("or name an image's folder with --root"),
            "{}",
            ran.stderr
        );
    }
}

#[test]
fn uninstalling_removes_what_was_installed_and_nothing_else() {
    requires!(Root);
    const SPOOLED: &str = "var/lib/runward/spool/batch";
    const SERVERS: &str = "var/lib/runward/runward.db";
    let installed = || {
        let image = Image::new();
        assert_eq!(image.runward(&["install"]).code(), 0);
        image.put(SPOOLED, "");
        image
    };

    let image = installed();
    let ran = image.runward(&["uninstall"]);
    assert_eq!(ran.code(), 0, "{}", ran.stderr);
    assert!(!image.at(PROGRAM).exists() && !image.at(UNIT).exists());
    assert!(image.at(CONFIGURATION).exists() && image.at(SPOOLED).exists());
    assert!(ran.stderr.contains("--purge"), "{}", ran.stderr);
    let ran = image.runward(&["uninstall", "--purge"]);
    assert_eq!(ran.code(), 0, "{}", ran.stderr);
    assert!(!image.at("etc/runward").exists() && !image.at("var/lib/runward").exists());

    // A control plane may keep its data in the same folder.
    let image = installed();
    image.put(SERVERS, "");
    let ran = image.runward(&["uninstall", "--purge"]);
    assert!(
        ran.stderr.contains("that is not the agent's"),
        "{}",
        ran.stderr
    );
    assert!(image.at(SERVERS).exists() && !image.at(SPOOLED).exists());

    let image = installed();
    fs::remove_dir_all(image.at("var/lib/runward/spool")).unwrap();
    image.link("var/lib/runward/spool", &image.outside(""));
    assert_eq!(image.runward(&["uninstall", "--purge"]).code(), 0);
    assert!(!image.at("var/lib/runward").exists() && image.untouched());

    let image = installed();
    fs::create_dir_all(image.at("run/runward/jobs/42")).unwrap();
    let ran = image.runward(&["uninstall"]);
    assert_eq!(ran.code(), 1);
    assert!(
        ran.stderr.contains("1 job is under watch (42)"),
        "{}",
        ran.stderr
    );
    assert!(image.is_installed());
    assert_eq!(image.runward(&["uninstall", "--force"]).code(), 0);
    assert!(!image.at(PROGRAM).exists());

    let image = Image::new();
    let ran = image.runward(&["uninstall"]);
    assert_eq!(ran.code(), 0);
    assert!(
        ran.stderr.contains("nothing was installed here"),
        "{}",
        ran.stderr
    );
}

#[test]
fn systemd_takes_the_service_and_lets_it_go() {
    requires!(Root, Netns, Program("unshare"));
    if !Path::new(SYSTEMD).exists() {
        skip(test_name!(), "needs systemd");
        return;
    }
    let lab = Lab::netns().unwrap();
    let place = TempDir::new().unwrap();
    let folder = place.path();
    let shown = folder.display();
    fs::create_dir(folder.join("units")).unwrap();
    fs::write(
        folder.join("units/test.service"),
        format!(
            "[Unit]\nDefaultDependencies=no\nSuccessAction=exit-force\nFailureAction=exit-force\n\
             [Service]\nType=oneshot\nExecStart=/bin/sh {shown}/start\n\
             StandardOutput=append:{shown}/said\nStandardError=append:{shown}/said\n"
        ),
    )
    .unwrap();
    // The overlay that this runs on has the machine's files, but for what it writes itself.
    fs::write(
        folder.join("start"),
        format!(
            "{shown}/runward install --no-start; echo installed: $?\n\
             systemctl is-enabled runward-agent; systemctl is-active runward-agent\n\
             systemctl show --property=CapabilityBoundingSet,Type runward-agent\n\
             mkdir -p /run/runward/jobs/42\n\
             {shown}/runward uninstall; echo refused: $?\n\
             {shown}/runward uninstall --force; echo uninstalled: $?\n\
             systemctl is-enabled runward-agent\n\
             ls /usr/local/bin/runward /etc/systemd/system/runward-agent.service\n\
             ls /etc/runward\n"
        ),
    )
    .unwrap();
    let ran = boot(&lab, folder, "test.service");
    let said = fs::read_to_string(folder.join("said")).unwrap_or(ran.stderr);
    for line in [
        "installed: 0",
        "\nenabled\ninactive\n",
        "Type=notify",
        "cap_sys_admin",
        "refused: 1",
        "uninstalled: 0",
        "cannot access '/usr/local/bin/runward'",
        "cannot access '/etc/systemd/system/runward-agent.service'",
        "\nagent.yml\n",
    ] {
        assert!(said.contains(line), "no {line}: {said}");
    }
}
