//! The Kubernetes chart, without a cluster: what helm makes of it, held to the schemas of Kubernetes, and a job of another
//! pod fenced from a container that has the rights and folders that the chart gives, and no more.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use runward_lab::{Ran, actor, requires, run, skip, test_name};
use serde_json::Value;
use tempfile::TempDir;

use crate::adopted::Script;
use crate::bed::within;
use crate::bed::{LIMIT, binary, mount_bpffs};
use crate::bypass::Ground;
use crate::image::Image;
use crate::pipeline::tool;
use crate::service;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../integrations/kubernetes");
const SCHEMA: &str = include_str!("../../../../integrations/kubernetes/chart/values.schema.json");
const RECIPE: &str = include_str!("../../../../integrations/kubernetes/Dockerfile");
const CONFIGURATION: &str = include_str!("../../../../integrations/agent.yml");
const IMAGE: &str = "image.repository=registry.example.com/ci/runward";
/// The oldest that the chart takes, the last without and the first with a field for AppArmor, and the newest with schemas.
const VERSIONS: [&str; 4] = ["1.25", "1.29", "1.30", "1.37"];
/// An address that no policy of these tests names.
const FORBIDDEN: &str = "198.51.100.66";

struct Tools {
    helm: PathBuf,
    python: PathBuf,
    validate: PathBuf,
    home: TempDir,
}

/// Ends a test where the tools are missing.
macro_rules! tools {
    () => {
        match Tools::find() {
            Ok(tools) => tools,
            Err(lacking) => return skip(test_name!(), lacking),
        }
    };
}

impl Tools {
    fn find() -> Result<Tools, &'static str> {
        let validator = "kubernetes-validate/bin/kubernetes-validate";
        Ok(Tools {
            helm: tool("bin/helm").ok_or("needs helm: scripts/setup test")?,
            python: tool("kubernetes-validate/bin/python")
                .ok_or("needs kubernetes-validate: scripts/setup test")?,
            validate: tool(validator).ok_or("needs kubernetes-validate: scripts/setup test")?,
            home: TempDir::new().unwrap(),
        })
    }

    fn helm(&self, args: &[&str]) -> Ran {
        let mut helm = Command::new(&self.helm);
        // No plugins, repositories or settings of whoever runs the tests.
        helm.env_clear().env("HOME", self.home.path()).args(args);
        run(&mut helm, LIMIT).unwrap()
    }

    /// What the chart becomes in a cluster of this version.
    fn template(&self, version: &str, values: &[&str]) -> Ran {
        let chart = format!("{FOLDER}/chart");
        let version = format!("--kube-version={version}.0");
        let namespace = "--namespace=runward";
        let fixed = ["template", "runward", &chart, &version, namespace];
        self.helm(&[&fixed[..], values].concat())
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.home.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// What the schemas of a version say against a manifest; nothing when it is right.
    fn faults(&self, version: &str, manifest: &str) -> Option<String> {
        let file = self.file("manifest.yaml", manifest);
        let mut validate = Command::new(&self.validate);
        validate.args(["--strict", "-k", version, &file]);
        let ran = run(&mut validate, LIMIT).unwrap();
        (!ran.worked()).then(|| format!("{}{}", ran.stdout, ran.stderr))
    }

    fn objects(&self, manifest: &str) -> Vec<Value> {
        const READ: &str = "import json, sys, yaml\n\
            print(json.dumps([one for one in yaml.safe_load_all(open(sys.argv[1])) if one]))";
        let file = self.file("manifest.yaml", manifest);
        let ran = run(Command::new(&self.python).args(["-c", READ, &file]), LIMIT);
        let ran = ran.unwrap();
        assert!(ran.worked(), "{}", ran.stderr);
        serde_json::from_str(&ran.stdout).unwrap()
    }
}

fn of_kind<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    let mut found = objects.iter().filter(|object| object["kind"] == kind);
    let first = found.next().unwrap_or_else(|| panic!("no {kind}"));
    assert!(found.next().is_none(), "one {kind}");
    first
}

fn pod(objects: &[Value]) -> &Value {
    &of_kind(objects, "DaemonSet")["spec"]["template"]["spec"]
}

fn texts(list: &Value) -> Vec<&str> {
    let list = list.as_array().unwrap().iter();
    list.map(|text| text.as_str().unwrap()).collect()
}

#[test]
fn the_chart_fits_every_version_of_kubernetes_and_mounts_the_configuration_that_was_given() {
    let tools = tools!();
    let chart = format!("{FOLDER}/chart");
    let lint = tools.helm(&[
        "lint",
        "--strict",
        &chart,
        "--kube-version=1.37.0",
        "--set",
        IMAGE,
    ]);
    assert!(lint.worked(), "{}{}", lint.stdout, lint.stderr);

    let policy =
        "allowed-endpoints:\n  - \"registry.npmjs.org:443\" # 'one'\n\n# {{ not a template }}\n";
    let policy_file = format!("policy={}", tools.file("egress.yml", policy));
    let everything = tools.file(
        "values.yaml",
        "image: {repository: registry.example.com:5000/ci/runward, digest: 'sha256:0000000000000000000000000000000000000000000000000000000000000000', pullPolicy: Always, pullSecrets: [{name: pull}]}
agent: {egress-policy: block, server: 'https://runward.example.com/'}
policy: 'allowed-endpoints: []'
keySecret: {name: runward.key, key: RUNWARD_API_KEY}
nodeSelector: {actions.example.com/runner: 'true'}
tolerations: [{key: ci, operator: Exists, effect: NoSchedule}]
affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: pool, operator: In, values: [ci]}]}]}}}
priorityClassName: ''
resources: {requests: {memory: 1Gi}, limits: {memory: 2Gi}}
updateStrategy: {type: OnDelete, rollingUpdate: null}
terminationGracePeriodSeconds: 60
probes: {startup: {initialDelaySeconds: 3}}
hostPaths: {run: /run/ci/runward, state: /var/lib/ci/runward}
seLinuxOptions: null
podLabels: {team: ci}
podAnnotations: {example.com/owner: ci}
serviceAccount: {create: false, name: present}
fullnameOverride: agent
",
    );
    let cases: [(&str, Vec<&str>, &str, Option<&str>); 4] = [
        (
            "defaults",
            vec!["--set", IMAGE],
            "egress-policy: audit\n",
            None,
        ),
        (
            "block",
            vec![
                "--set",
                IMAGE,
                "--set=agent.egress-policy=block",
                "--set-file",
                &policy_file,
            ],
            "egress-policy: block\npolicy: /etc/runward/policy.yml\n",
            Some(policy),
        ),
        (
            "ARC's machines and a server",
            vec![
                "--set",
                IMAGE,
                "--set=nodeSelector.actions\\.example\\.com/runner=arc",
                "--set=agent.server=http://runward.ci.svc:8080",
                "--set=keySecret.name=runward",
            ],
            "egress-policy: audit\nkey-file: /etc/runward/key\nserver: http://runward.ci.svc:8080\n",
            None,
        ),
        (
            "everything",
            vec!["--values", &everything],
            "egress-policy: block\nkey-file: /etc/runward/key\npolicy: /etc/runward/policy.yml\nserver: https://runward.example.com/\n",
            Some("allowed-endpoints: []"),
        ),
    ];
    for (what, values, agent, policy) in cases {
        for version in VERSIONS {
            let made = tools.template(version, &values);
            assert!(made.worked(), "{what}, {version}: {}", made.stderr);
            let faults = tools.faults(version, &made.stdout);
            assert_eq!(faults, None, "{what}, {version}");

            let objects = tools.objects(&made.stdout);
            let map = of_kind(&objects, "ConfigMap");
            assert_eq!(map["data"]["agent.yml"], agent, "{what}");
            assert_eq!(
                map["data"].get("policy.yml").and_then(Value::as_str),
                policy,
                "{what}"
            );
            // Every file that agent.yml names is mounted, from a source that has it, for root alone.
            let pod = pod(&objects);
            let projected = &pod["volumes"][0]["projected"];
            assert_eq!(projected["defaultMode"], 0o400);
            assert_eq!(
                projected["sources"][0]["configMap"]["name"],
                map["metadata"]["name"]
            );
            let mounts = pod["containers"][0]["volumeMounts"].as_array().unwrap();
            let mounted: BTreeSet<&str> = mounts
                .iter()
                .filter(|mount| mount["name"] == pod["volumes"][0]["name"])
                .map(|mount| {
                    assert_eq!(mount["readOnly"], true);
                    let path = mount["mountPath"].as_str().unwrap();
                    assert_eq!(
                        path,
                        format!("/etc/runward/{}", mount["subPath"].as_str().unwrap())
                    );
                    path
                })
                .collect();
            let mut named = BTreeSet::from(["/etc/runward/agent.yml"]);
            named.extend(agent.lines().filter_map(|line| {
                line.split_once(": ")
                    .map(|(_, value)| value)
                    .filter(|value| value.starts_with('/'))
            }));
            assert_eq!(mounted, named, "{what}");
            let secret = &projected["sources"][1]["secret"];
            assert_eq!(secret.is_object(), agent.contains("key-file"), "{what}");
            let release = objects
                .iter()
                .map(|object| &object["metadata"]["labels"]["app.kubernetes.io/version"]);
            for version in release {
                assert_eq!(
                    version,
                    env!("CARGO_PKG_VERSION"),
                    "the chart's own version"
                );
            }
        }
    }
    // What it is held to refuses something.
    let made = tools.template("1.37", &["--set", IMAGE]).stdout;
    let wrong = made.replace("hostPID:", "hostPid:");
    assert!(
        tools
            .faults("1.37", &wrong)
            .is_some_and(|faults| faults.contains("hostPid"))
    );
}

#[test]
fn wrong_values_are_refused_and_it_is_said_what_to_do() {
    let tools = tools!();
    let server = "agent.server=https://runward.example.com";
    for (values, said) in [
        (&[][..], "image.repository is missing: build the image"),
        (
            &[IMAGE, "agent.egress-policy=blok"],
            "one of 'audit', 'block'",
        ),
        (
            &[IMAGE, "agent.egress-polic=block"],
            "'egress-polic' not allowed",
        ),
        (&[IMAGE, "agent.api-key=x"], "'api-key' not allowed"),
        (&[IMAGE, "key=x"], "'key' not allowed"),
        (&[IMAGE, "agent.egress-policy=block"], "there is no policy"),
        (
            &[IMAGE, "agent.egress-policy=block", "policy= "],
            "there is no policy",
        ),
        (&[IMAGE, server], "make a secret with the key"),
        (
            &[IMAGE, "keySecret.name=runward"],
            "no server that the key is for",
        ),
        (
            &[IMAGE, "agent.server=runward.example.com"],
            "/agent/server",
        ),
        (
            &[IMAGE, server, "keySecret.name=Not_A_Name"],
            "/keySecret/name",
        ),
        (&[IMAGE, "image.digest=sha256:12"], "/image/digest"),
        (&["image.repository=a b"], "/image/repository"),
        (&[IMAGE, "hostPaths.run=/run/../etc"], "/hostPaths/run"),
        (&[IMAGE, "hostPaths.state=var/lib"], "/hostPaths/state"),
        (
            &[IMAGE, "updateStrategy.rollingUpdate.maxSurge=1"],
            "'maxSurge' not allowed",
        ),
        (&[IMAGE, "privileged=true"], "'privileged' not allowed"),
        (
            &[IMAGE, "serviceAccount.create=false"],
            "serviceAccount.name is missing",
        ),
    ] {
        let set: Vec<String> = values
            .iter()
            .map(|value| format!("--set={value}"))
            .collect();
        let set: Vec<&str> = set.iter().map(String::as_str).collect();
        let made = tools.template("1.37", &set);
        assert!(!made.worked(), "{values:?} is taken");
        assert!(made.stderr.contains(said), "{values:?}: {}", made.stderr);
        assert_eq!(made.stdout, "", "{values:?}");
    }
    let old = tools.template("1.24", &[&format!("--set={IMAGE}")]);
    assert!(
        old.stderr.contains("requires kubeVersion"),
        "{}",
        old.stderr
    );
}

#[test]
fn the_manifest_is_what_the_chart_makes() {
    let tools = tools!();
    let made = tools.template("1.37", &["--set", IMAGE]);
    assert!(made.worked(), "{}", made.stderr);
    let head = "# Made from the chart beside this file, for those without helm: put your image's address in, and\n\
        #   kubectl create namespace runward\n\
        #   kubectl label namespace runward pod-security.kubernetes.io/enforce=privileged\n\
        #   kubectl apply --filename manifest.yaml\n";
    let text = format!("{head}{}", made.stdout);
    let path = Path::new(FOLDER).join("manifest.yaml");
    if std::env::var_os("RUNWARD_UPDATE_MANIFEST").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        there == text,
        "integrations/kubernetes/manifest.yaml is out of date: run RUNWARD_UPDATE_MANIFEST=1 cargo test -p runward \
         --test it the_manifest"
    );
}

#[test]
fn the_chart_gives_the_agent_the_rights_of_its_unit_and_none_in_the_cluster() {
    let tools = tools!();
    let made = tools.template("1.37", &["--set", IMAGE]).stdout;
    let objects = tools.objects(&made);
    let kinds: Vec<&str> = objects
        .iter()
        .map(|object| object["kind"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        ["ServiceAccount", "ConfigMap", "DaemonSet"],
        "no role, no secret"
    );
    assert_eq!(
        of_kind(&objects, "ServiceAccount")["automountServiceAccountToken"],
        false
    );
    let pod = pod(&objects);
    assert_eq!(pod["automountServiceAccountToken"], false);
    assert_eq!(pod["hostPID"], true);
    assert_eq!(pod["hostNetwork"], false);
    assert!(pod.get("hostIPC").is_none() && pod.get("initContainers").is_none());

    let agent = &pod["containers"][0];
    assert_eq!(pod["containers"].as_array().unwrap().len(), 1);
    let rights = &agent["securityContext"];
    assert_eq!(rights["privileged"], false);
    assert_eq!(rights["readOnlyRootFilesystem"], true);
    assert_eq!(rights["seccompProfile"]["type"], "RuntimeDefault");
    assert_eq!(texts(&rights["capabilities"]["drop"]), ["ALL"]);
    let mut added = texts(&rights["capabilities"]["add"]);
    added.sort_unstable();
    let of_unit: Vec<&str> = service::capabilities()
        .map(|name| name.strip_prefix("CAP_").unwrap())
        .collect();
    assert_eq!(
        added, of_unit,
        "the unit says what each is for, and its tests hold it to that"
    );

    // What of the machine can be written to is what the unit lets it write to.
    let writable: BTreeSet<&str> = folders(pod)
        .filter_map(|folder| (!folder.read_only).then_some(folder.host))
        .collect();
    let expected = ["/run/runward", "/sys/fs/bpf/runward", "/var/lib/runward"];
    assert_eq!(writable, BTreeSet::from(expected));
}

#[test]
fn the_chart_knows_every_setting_of_the_agent() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let given = schema["properties"]["agent"]["properties"]
        .as_object()
        .unwrap();
    let known: BTreeSet<&str> = given
        .keys()
        .map(String::as_str)
        .chain(["policy", "key-file", "rules", "block-list"])
        .collect();
    let settings: BTreeSet<&str> = CONFIGURATION
        .lines()
        .filter_map(|line| line.trim_start_matches('#').split_once(':'))
        .map(|(key, _)| key)
        .filter(|key| !key.is_empty() && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'))
        .collect();
    assert_eq!(settings, known, "integrations/agent.yml and the chart");
}

/// A folder of the machine in the agent's container.
struct Folder<'a> {
    host: &'a str,
    inside: &'a str,
    read_only: bool,
}

fn folders(pod: &Value) -> impl Iterator<Item = Folder<'_>> {
    let mounts = pod["containers"][0]["volumeMounts"].as_array().unwrap();
    mounts.iter().filter_map(|mount| {
        let mut volumes = pod["volumes"].as_array().unwrap().iter();
        let volume = volumes
            .find(|volume| volume["name"] == mount["name"])
            .unwrap();
        Some(Folder {
            host: volume["hostPath"]["path"].as_str()?,
            inside: mount["mountPath"].as_str().unwrap(),
            read_only: mount["readOnly"] == true,
        })
    })
}

/// The image's recipe, by an engine that has nothing to download for it.
#[test]
fn the_image_is_the_program_alone() {
    requires!(
        OwnProcessor,
        Root,
        Program("podman"),
        Program("runc"),
        Program("busybox")
    );
    let image = Image::new();
    fs::write(image.place("Dockerfile"), RECIPE).unwrap();
    fs::create_dir(image.place("context")).unwrap();
    fs::copy(binary(), image.place("context/runward")).unwrap();
    let podman = |args: &[&str]| {
        let mut podman = Command::new("podman");
        image.kept_apart(&mut podman);
        let ran = run(podman.args(args), LIMIT).unwrap();
        assert!(ran.worked(), "{args:?}: {}", ran.stderr);
        ran.stdout
    };
    podman(&[
        "build",
        "--isolation=chroot",
        "--network=host",
        "--tag=localhost/runward:test",
        &format!("--file={}", image.place("Dockerfile")),
        &image.place("context"),
    ]);
    let version = podman(&[
        "run",
        "--rm",
        "--network=none",
        "localhost/runward:test",
        "--version",
    ]);
    assert_eq!(
        version.trim(),
        concat!("runward ", env!("CARGO_PKG_VERSION"))
    );
    podman(&[
        "save",
        "--quiet",
        "--format=docker-dir",
        &format!("--output={}", image.place("saved")),
        "localhost/runward:test",
    ]);
    let layers = fs::read_dir(image.place("saved")).unwrap().flatten();
    let mut files = Vec::new();
    for layer in layers.map(|entry| entry.path()) {
        let listed = Command::new("tar")
            .arg("--list")
            .arg("--file")
            .arg(&layer)
            .output()
            .unwrap();
        if listed.status.success() {
            files.push(String::from_utf8(listed.stdout).unwrap());
        }
    }
    let files: BTreeSet<&str> = files.iter().flat_map(|list| list.lines()).collect();
    assert_eq!(
        files,
        BTreeSet::from(["usr/", "usr/bin/", "usr/bin/runward"])
    );
}

/// A control group as the kubelet and containerd make one, with a process in it.
struct PodGroup {
    folders: Vec<PathBuf>,
    uid: String,
    container: String,
}

impl PodGroup {
    fn new() -> PodGroup {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        let mut fields = mounts.lines().map(|line| line.split(' '));
        let top = fields.find_map(|mut fields| {
            let place = fields.nth(1)?;
            (fields.next()? == "cgroup2").then(|| PathBuf::from(place))
        });
        let own = std::process::id();
        let uid = format!("{own:08x}-3f4e-4c6b-9a43-0c1d2e3f4a5b");
        let container = format!("{own:064x}");
        let names = [
            "kubepods.slice".to_owned(),
            "kubepods-burstable.slice".to_owned(),
            format!("kubepods-burstable-pod{}.slice", uid.replace('-', "_")),
            format!("cri-containerd-{container}.scope"),
        ];
        let mut folders = vec![top.unwrap()];
        for name in names {
            let folder = folders.last().unwrap().join(name);
            if let Err(error) = fs::create_dir(&folder) {
                assert_eq!(
                    error.kind(),
                    std::io::ErrorKind::AlreadyExists,
                    "{folder:?}"
                );
            }
            folders.push(folder);
        }
        folders.remove(0);
        PodGroup {
            folders,
            uid,
            container,
        }
    }

    fn folder(&self) -> &Path {
        self.folders.last().unwrap()
    }
}

impl Drop for PodGroup {
    fn drop(&mut self) {
        for folder in self.folders.iter().rev() {
            let entries = || fs::read_dir(folder).into_iter().flatten().flatten();
            // Of a real kubelet, or of another test.
            let has_others = || entries().any(|entry| entry.path().is_dir());
            // The kernel lets go of a group some moments after its last process.
            within(Duration::from_secs(5), || {
                fs::remove_dir(folder).is_ok() || has_others()
            });
        }
    }
}

/// Kills what a test leaves running.
struct Container(Child);

impl Drop for Container {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_job_of_another_pod_is_fenced_with_the_rights_and_folders_of_the_chart() {
    requires!(
        Root,
        Netns,
        Program("podman"),
        Program("runc"),
        Program("busybox"),
        Program("unshare")
    );
    let tools = tools!();
    mount_bpffs();
    fs::create_dir_all("/sys/fs/bpf/runward").unwrap();
    let made = tools.template("1.37", &["--set", IMAGE]).stdout;
    let objects = tools.objects(&made);
    let pod = pod(&objects);
    let ground = Ground::new();
    let (allowed, ns) = (ground.allowed_v4(), ground.nameserver());

    // The job: in a pod's control group, and later in a network of its own, which the agent has to enter.
    let group = PodGroup::new();
    let mut shell = ground.lab.command(actor("procs"));
    shell.arg("cgroup").arg(group.folder()).arg("/bin/sh");
    shell
        .env("HOSTNAME", "arc-x7gnd-runner-5kq2v")
        .env("POD_NAMESPACE", "arc-runners");
    let mut job = Script::start(
        shell,
        &format!(
            "
pass here
stay go
$A/net udp-sendto {FORBIDDEN} 4430; echo forbidden $?
$A/net tcp {allowed} 4430; echo allowed $?
unshare --net sh -c 'for i in $(seq 50); do
    $A/net dns-udp {ns} 53 allowed.example && echo answered && break
    sleep 0.1
done'
"
        ),
    );
    job.wait_for("here");

    // The agent's container, as the chart describes it: what is started in it is not the agent, because that takes all
    // jobs of this machine, but what the agent starts for each.
    let image = Image::new();
    fs::create_dir_all(image.place("root/usr/bin")).unwrap();
    fs::copy(binary(), image.place("root/usr/bin/runward")).unwrap();
    // By its name, busybox is that.
    fs::copy(image.place("root/bin/sh"), image.place("root/bin/sleep")).unwrap();
    let mut podman = ground.lab.command("podman");
    image.kept_apart(&mut podman);
    // By the lab's network, as an agent has one that isn't the job's, and with process ids of the machine.
    podman.args([
        "run",
        "--rm",
        "--network=host",
        "--pid=host",
        "--cgroupns=private",
    ]);
    podman.args([
        "--read-only",
        "--read-only-tmpfs=false",
        "--cap-drop=ALL",
        "--security-opt=apparmor=unconfined",
    ]);
    for capability in texts(&pod["containers"][0]["securityContext"]["capabilities"]["add"]) {
        podman.arg(format!("--cap-add={capability}"));
    }
    let of_agent = TempDir::new().unwrap();
    for folder in folders(pod) {
        // Not this machine's own agent's.
        let host = if folder.host.starts_with("/sys/") {
            PathBuf::from(folder.host)
        } else {
            let own = of_agent.path().join(folder.host.trim_start_matches('/'));
            fs::create_dir_all(&own).unwrap();
            own
        };
        let mode = if folder.read_only { "ro" } else { "rw" };
        podman.arg(format!(
            "--volume={}:{}:{mode}",
            host.display(),
            folder.inside
        ));
    }
    let state = of_agent.path().join("var/lib/runward");
    podman.args([
        "--workdir=/tmp",
        "--rootfs",
        &image.place("root"),
        "/bin/sh",
        "-c",
    ]);
    podman.arg(format!(
        "cd /var/lib/runward
while read name value; do case $name in Seccomp:|CapBnd:) echo $name $value; esac; done </proc/self/status >rights
runward job start --root {} --report report --egress-policy block --allowed-endpoints '{}' 2>said || exit
: >started
while [ ! -e stop ]; do sleep 0.1; done",
        job.shell.id(),
        ground.policy()
    ));
    let said = fs::File::create(of_agent.path().join("podman")).unwrap();
    podman
        .stdin(Stdio::null())
        .stdout(said.try_clone().unwrap())
        .stderr(said);
    let mut agent = Container(podman.spawn().unwrap());
    let told = || {
        let read = |path: PathBuf| fs::read_to_string(path).unwrap_or_default();
        format!(
            "{}\n{}",
            read(of_agent.path().join("podman")),
            read(state.join("said"))
        )
    };
    let started = within(LIMIT, || {
        state.join("started").exists() || agent.0.try_wait().unwrap().is_some()
    });
    assert!(started && state.join("started").exists(), "{}", told());

    job.let_go("go");
    job.shell.wait().unwrap();
    let written = state.join("report/report.json");
    let report = || -> Option<Value> { serde_json::from_slice(&fs::read(&written).ok()?).ok() };
    assert!(within(LIMIT, || report().is_some()), "{}", told());
    fs::write(state.join("stop"), "").unwrap();
    agent.0.wait().unwrap();

    let said = job.said();
    for line in ["forbidden 1", "allowed 0", "answered"] {
        assert!(
            said.lines().any(|said| said == line),
            "{line}: {said}\n{}",
            told()
        );
    }
    assert_eq!(ground.packets(FORBIDDEN), 0);
    let report = report().unwrap();
    assert_eq!(report["effective_mode"], "block");
    assert!(
        report["blocked"].to_string().contains(FORBIDDEN),
        "{report}"
    );
    let note = format!(
        "pod with the UID {}, in the container {}; its environment calls the pod arc-runners/arc-x7gnd-runner-5kq2v.",
        group.uid, group.container
    );
    assert!(
        report["notes"].to_string().contains(&note),
        "{}",
        report["notes"]
    );

    // It had these rights, and the engine's list of system calls was in force.
    let rights = fs::read_to_string(state.join("rights")).unwrap();
    let bounding = rights
        .lines()
        .find_map(|line| line.strip_prefix("CapBnd: "))
        .unwrap();
    let count = u64::from_str_radix(bounding, 16).unwrap().count_ones();
    assert_eq!(count as usize, service::capabilities().count(), "{rights}");
    assert!(rights.contains("Seccomp: 2"), "{rights}");
}
