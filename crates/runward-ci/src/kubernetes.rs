//! Which pod of Kubernetes a process is in, from the path of its control group.
//!
//! The kubelet makes one group for each pod, below one named `kubepods`, and the container runtime makes one in it for
//! each container. Both stand in the path, spelled as the group's driver wants it:
//!
//! | driver | path |
//! |---|---|
//! | `cgroupfs` | `/kubepods/burstable/podUID/ID` |
//! | `systemd` | `/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podUID.slice/cri-containerd-ID.scope` |
//!
//! Guaranteed pods have neither `burstable` nor `besteffort`. In names of slices, the dashes of the UID are underscores,
//! because a dash there means a level of the tree. A kubelet that runs in a container itself, as kind's does, or that was
//! given a root of its own, puts more in front.
//!
//! **What is believed.** The outermost pod, and the group right below it. A job that has a tree of groups delegated to
//! it, or that runs docker or a whole cluster inside, makes groups below its own container's and names them as it likes,
//! `kubepods` included; above that it makes none. This is why ids are not looked for from the inner end here, as the
//! sensor does for [`ProcessExec::container`]: that tells containers of the job apart, this tells whose pod they are in.
//!
//! Who administers the machine can still make groups anywhere. So this labels, and authorises nothing.
//!
//! [`ProcessExec::container`]: runward_event::ProcessExec::container

use crate::clean::Environment;

/// The group of all pods, in both drivers' spelling.
const PODS: &str = "kubepods";
/// The classes of service that have a group of their own. Guaranteed pods have none.
const CLASSES: [&str; 2] = ["burstable", "besteffort"];
/// What leads out of the reader's own tree of groups, in paths that a reader in a namespace is given.
const ABOVE: &str = "..";
/// Digits of a container's id: docker, containerd and CRI-O all write a SHA-256 in hexadecimal digits.
const CONTAINER_DIGITS: usize = 64;
/// Where the dashes of a UID are (RFC 9562).
const DASHES: [usize; 4] = [8, 13, 18, 23];
/// The length of a UID with its dashes.
const UID_LEN: usize = 36;
/// The length of the hash that is the UID of a pod that the kubelet reads from a file.
const STATIC_UID_LEN: usize = 32;
/// The longest name of a pod (RFC 1123, as Kubernetes takes it).
const NAME_MAX: usize = 253;
/// The longest name of a namespace.
const NAMESPACE_MAX: usize = 63;

/// A pod, and the container in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Its UID, with dashes. That of a pod which the kubelet reads from a file is a hash without.
    pub uid: String,
    /// The container's id, unless the process is in none: what the runtime keeps beside its containers is in the pod
    /// and in no container.
    pub container: Option<String>,
}

impl Pod {
    /// The pod of a control group, by the group's path; `None` outside of pods. Paths of both versions of control groups
    /// look alike, and so do those that begin with `/..` because who read them is in a namespace.
    ///
    /// ```
    /// let id = "4f5a9c0e3b7d1286".repeat(4);
    /// let path = format!(
    ///     "/kubepods.slice/kubepods-podd8a5f1f0_3f4e_4c6b_9a43_0c1d2e3f4a5b.slice/crio-{id}.scope/docker/x"
    /// );
    /// let pod = runward_ci::Pod::of_group(&path).unwrap();
    /// assert_eq!(pod.uid, "d8a5f1f0-3f4e-4c6b-9a43-0c1d2e3f4a5b");
    /// assert_eq!(pod.container, Some(id));
    /// ```
    pub fn of_group(path: &str) -> Option<Pod> {
        let mut before = Before::default();
        let mut parts = path.split('/').filter(|part| !part.is_empty());
        while let Some(part) = parts.next() {
            if let Some((uid, container)) = joined(part) {
                let container = container_id(container);
                return Some(Pod { uid, container });
            }
            if let Some(uid) = slice(part).or_else(|| before.folder(part)) {
                let container = parts.next().and_then(container);
                return Some(Pod { uid, container });
            }
            before.take(part);
        }
        None
    }

    /// The pod of a process, by the text of its `/proc/PID/cgroup`. Where the process is in several hierarchies (version
    /// 1), all that name a pod have to name the same: one that was moved in some of them only is in none.
    pub fn of_process(groups: &str) -> Option<Pod> {
        let mut pods = groups.lines().filter_map(|line| {
            // The hierarchy's number, its controllers, and the path, in which more colons may stand.
            Pod::of_group(line.splitn(3, ':').nth(2)?)
        });
        let first = pods.next()?;
        pods.all(|pod| pod == first).then_some(first)
    }
}

/// What a pod's environment says of its name and namespace: a claim, as all of an environment is, and fit only to be
/// shown beside a [`Pod`].
///
/// The name is reliable as far as nobody set it to another: ARC passes it in its container modes `kubernetes` and
/// `kubernetes-novolume`, and everywhere else the runtime sets `HOSTNAME` to the pod's host name, which is the pod's
/// name, cut after 63 characters, unless its specification says otherwise. GitLab's Kubernetes executor sets nothing, so
/// that there, too, it is `HOSTNAME`. Neither tells a pod its namespace: that is known only where the pod's template
/// passes it in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodName {
    /// The pod's name.
    pub name: Option<String>,
    /// The namespace that it is in.
    pub namespace: Option<String>,
}

impl PodName {
    /// Reads them, where they are what Kubernetes takes for a name.
    pub fn claimed(env: &dyn Fn(&str) -> Option<String>) -> PodName {
        let env = Environment::new(env);
        let first = |names: &[&str], longest: usize| {
            let named = names.iter().filter_map(|name| env.text(name));
            named.into_iter().find(|text| is_name(text, longest))
        };
        PodName {
            name: first(
                &["ACTIONS_RUNNER_POD_NAME", "POD_NAME", "HOSTNAME"],
                NAME_MAX,
            ),
            namespace: first(
                &["ACTIONS_RUNNER_KUBERNETES_NAMESPACE", "POD_NAMESPACE"],
                NAMESPACE_MAX,
            )
            .filter(|namespace| !namespace.contains('.')),
        }
    }
}

/// The parts of a path in front of the one that is looked at, as far as they matter.
#[derive(Default)]
struct Before<'a> {
    last: Option<&'a str>,
    last_but_one: Option<&'a str>,
}

impl<'a> Before<'a> {
    fn take(&mut self, part: &'a str) {
        self.last_but_one = self.last.replace(part);
    }

    /// The UID of `podUID`, right below the group of all pods or of a class of them. Where that group is above the
    /// reader's own tree, there is `..` in its place; the kernel writes that at the start only.
    fn folder(&self, part: &str) -> Option<String> {
        let uid = part.strip_prefix("pod")?;
        let is_pods = |part: Option<&str>| part.is_some_and(|part| [PODS, ABOVE].contains(&part));
        let is_class = self.last.is_some_and(|part| CLASSES.contains(&part));
        let is_below = is_pods(self.last) || (is_class && is_pods(self.last_but_one));
        (is_below && is_uid(uid)).then(|| uid.to_owned())
    }
}

/// The UID of `kubepods-burstable-podUID.slice`.
fn slice(part: &str) -> Option<String> {
    let (above, uid) = part.strip_suffix(".slice")?.rsplit_once("-pod")?;
    let above = CLASSES
        .iter()
        .find_map(|class| above.strip_suffix(class)?.strip_suffix('-'))
        .unwrap_or(above);
    // `kubelet-kubepods`, where the kubelet's own root is `kubelet.slice`.
    let is_pods = above
        .strip_suffix(PODS)
        .is_some_and(|root| root.is_empty() || root.ends_with('-'));
    // One with dashes is in no name of a slice: these would be levels of the tree.
    let uid = (!uid.contains('-')).then(|| uid.replace('_', "-"))?;
    (is_pods && is_uid(&uid)).then_some(uid)
}

/// `SLICE:cri-containerd:ID`, which is one group when the kubelet uses systemd's driver and the runtime does not.
fn joined(part: &str) -> Option<(String, &str)> {
    let (pod, container) = part.split_once(':')?;
    let (_, id) = container.split_once(':')?;
    Some((slice(pod)?, id))
}

/// The id in the name of a container's group: `ID`, `crio-ID`, `cri-containerd-ID.scope`.
fn container(part: &str) -> Option<String> {
    let name = part.strip_suffix(".scope").unwrap_or(part);
    let (runtime, id) = name.rsplit_once('-').unwrap_or(("", name));
    // CRI-O keeps the program that watches over a container beside it, under the container's id.
    (!runtime.ends_with("conmon"))
        .then(|| container_id(id))
        .flatten()
}

fn container_id(text: &str) -> Option<String> {
    (text.len() == CONTAINER_DIGITS && text.bytes().all(is_digit)).then(|| text.to_owned())
}

fn is_uid(text: &str) -> bool {
    match text.len() {
        UID_LEN => text
            .bytes()
            .enumerate()
            .all(|(at, byte)| (byte == b'-') == DASHES.contains(&at) && is_digit_or_dash(byte)),
        STATIC_UID_LEN => text.bytes().all(is_digit),
        _ => false,
    }
}

fn is_digit_or_dash(byte: u8) -> bool {
    byte == b'-' || is_digit(byte)
}

/// A hexadecimal digit as all of them write it.
fn is_digit(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

/// Labels of small letters, digits and dashes between dots, none of which begins or ends with a dash.
fn is_name(text: &str, longest: usize) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'-'))
    };
    text.len() <= longest && text.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const UID: &str = "d8a5f1f0-3f4e-4c6b-9a43-0c1d2e3f4a5b";
    /// As systemd's names have it.
    const UID_: &str = "d8a5f1f0_3f4e_4c6b_9a43_0c1d2e3f4a5b";
    /// Of a pod that the kubelet reads from a file.
    const STATIC: &str = "3f1c2a9b8d7e6f50a1b2c3d4e5f60718";

    fn id() -> String {
        "4f5a9c0e3b7d1286".repeat(4)
    }

    fn pod(uid: &str, container: Option<String>) -> Option<Pod> {
        Some(Pod {
            uid: uid.to_owned(),
            container,
        })
    }

    #[test]
    fn every_driver_class_and_runtime_is_read() {
        let id = id();
        // As the documentation of Kubernetes, kind, containerd and CRI-O and reports of their users show them.
        let table = [
            format!("/kubepods/pod{UID}/{id}"),
            format!("/kubepods/burstable/pod{UID}/{id}"),
            format!("/kubepods/besteffort/pod{UID}/{id}"),
            format!("/kubepods/besteffort/pod{UID}/crio-{id}"),
            // kind, and any kubelet with a root of its own.
            format!("/kubelet/kubepods/burstable/pod{UID}/{id}"),
            format!(
                "/docker/{}/kubelet/kubepods/besteffort/pod{UID}/{id}",
                "0".repeat(64)
            ),
            format!("/kubepods.slice/kubepods-pod{UID_}.slice/docker-{id}.scope"),
            format!(
                "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UID_}.slice/cri-containerd-{id}.scope"
            ),
            format!(
                "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{UID_}.slice/crio-{id}.scope/container"
            ),
            format!(
                "/system.slice/docker-{}.scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/\
                 kubelet-kubepods-besteffort-pod{UID_}.slice/cri-containerd-{id}.scope",
                "0".repeat(64)
            ),
            // The kubelet uses systemd's driver, and containerd does not.
            format!(
                "/system.slice/containerd.service/kubepods-burstable-pod{UID_}.slice:cri-containerd:{id}"
            ),
            // Read by somebody in a namespace of control groups.
            format!("/../../pod{UID}/{id}"),
            format!("/../../../burstable/pod{UID}/{id}"),
            format!("/../../kubepods-besteffort-pod{UID_}.slice/cri-containerd-{id}.scope"),
            format!(
                "/../../../kubepods-burstable.slice/kubepods-burstable-pod{UID_}.slice/crio-{id}.scope"
            ),
        ];
        for path in table {
            assert_eq!(Pod::of_group(&path), pod(UID, Some(id.clone())), "{path}");
        }
    }

    #[test]
    fn a_pod_is_known_without_a_container() {
        let id = id();
        let slice = format!("/kubepods.slice/kubepods-pod{UID_}.slice");
        for (path, uid) in [
            (format!("/kubepods/burstable/pod{UID}"), UID),
            (slice.clone(), UID),
            (format!("{slice}/crio-conmon-{id}.scope"), UID),
            (format!("/kubepods/pod{UID}/crio-conmon-{id}"), UID),
            (format!("{slice}/cri-containerd-{id}0.scope"), UID),
            (format!("{slice}/made-by-hand"), UID),
            (format!("/kubepods/burstable/pod{STATIC}"), STATIC),
            (
                format!(
                    "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{STATIC}.slice"
                ),
                STATIC,
            ),
        ] {
            assert_eq!(Pod::of_group(&path), pod(uid, None), "{path}");
        }
    }

    #[test]
    fn what_is_in_no_pod_is_said_to_be_in_none() {
        let id = id();
        for path in [
            String::new(),
            "/".to_owned(),
            "/../..".to_owned(),
            "/user.slice/user-1000.slice/session-1.scope".to_owned(),
            format!("/system.slice/docker-{id}.scope"),
            format!("/machine.slice/libpod-{id}.scope/container"),
            "/kubepods.slice/kubepods-burstable.slice".to_owned(),
            "/system.slice/kubelet.service".to_owned(),
            // Close to it.
            format!("/pod{UID}/{id}"),
            format!("/libpod_parent/pod{UID}/{id}"),
            format!("/burstable/pod{UID}/{id}"),
            format!("/mykubepods/pod{UID}/{id}"),
            format!("/kubepods/other/pod{UID}/{id}"),
            format!("/kubepods/pod{UID_}/{id}"),
            format!("/kubepods/pod{}/{id}", UID.to_uppercase()),
            format!("/kubepods/pod{UID}0/{id}"),
            format!("/mykubepods-pod{UID_}.slice/docker-{id}.scope"),
            format!("/kubepods-pod{UID}.slice/docker-{id}.scope"),
            format!("/kubepods-other-pod{UID_}.slice/docker-{id}.scope"),
            format!("/kubepods-pod{UID_}/docker-{id}.scope"),
        ] {
            assert_eq!(Pod::of_group(&path), None, "{path}");
        }
    }

    #[test]
    fn groups_that_a_job_makes_below_its_own_change_nothing() {
        let (id, other) = (id(), "b".repeat(64));
        let own = format!("/kubepods.slice/kubepods-pod{UID_}.slice/cri-containerd-{id}.scope");
        for below in [
            format!("docker/{other}"),
            format!("kubepods/pod00000000-0000-0000-0000-000000000000/{other}"),
            format!(
                "kubepods.slice/kubepods-pod00000000_0000_0000_0000_000000000000.slice/crio-{other}.scope"
            ),
            format!("{}/x", ".." /* No group can have this name. */),
            "\u{202E}\n0::/kubepods".to_owned(),
        ] {
            let path = format!("{own}/{below}");
            assert_eq!(Pod::of_group(&path), pod(UID, Some(id.clone())), "{path}");
        }
    }

    #[test]
    fn a_process_is_in_the_pod_that_all_its_hierarchies_name() {
        let id = id();
        let one = format!("/kubepods/burstable/pod{UID}/{id}");
        let other = format!("/kubepods/burstable/pod{STATIC}/{id}");
        let found = pod(UID, Some(id.clone()));
        for (groups, expected) in [
            (format!("0::{one}\n"), found.clone()),
            // Version 1, with version 2 mounted beside it and not used.
            (
                format!(
                    "12:pids:{one}\n4:cpu,cpuacct:{one}\n1:name=systemd:{one}\n0::/system.slice/containerd.service\n"
                ),
                found.clone(),
            ),
            (
                format!(
                    "0::/system.slice/containerd.service/kubepods-pod{UID_}.slice:cri-containerd:{id}"
                ),
                found,
            ),
            (format!("12:pids:{one}\n4:cpu,cpuacct:{other}\n"), None),
            ("0::/\n".to_owned(), None),
            ("12:pids\n:::\n\n".to_owned(), None),
            (String::new(), None),
        ] {
            assert_eq!(Pod::of_process(&groups), expected, "{groups}");
        }
    }

    #[test]
    fn a_pod_says_its_name() {
        type Variables = &'static [(&'static str, &'static str)];
        let cases: [(Variables, Option<&str>, Option<&str>); 7] = [
            // ARC, container mode `kubernetes`; its namespace as its documentation says to set it.
            (
                &[
                    ("HOSTNAME", "arc-x7gnd-runner-5kq2v"),
                    ("ACTIONS_RUNNER_POD_NAME", "arc-x7gnd-runner-5kq2v"),
                    ("ACTIONS_RUNNER_KUBERNETES_NAMESPACE", "arc-runners"),
                ],
                Some("arc-x7gnd-runner-5kq2v"),
                Some("arc-runners"),
            ),
            // ARC, container mode `dind`.
            (
                &[("HOSTNAME", "arc-x7gnd-runner-5kq2v")],
                Some("arc-x7gnd-runner-5kq2v"),
                None,
            ),
            // GitLab's Kubernetes executor, whose variables name no pod.
            (
                &[
                    (
                        "HOSTNAME",
                        "runner-t1kzgw8p-project-7-concurrent-0-ab12cd34",
                    ),
                    ("KUBE_NAMESPACE", "where-it-deploys-to"),
                ],
                Some("runner-t1kzgw8p-project-7-concurrent-0-ab12cd34"),
                None,
            ),
            // By the downward API.
            (
                &[("POD_NAME", "build.7"), ("POD_NAMESPACE", "ci")],
                Some("build.7"),
                Some("ci"),
            ),
            (
                &[
                    ("ACTIONS_RUNNER_POD_NAME", "a\x1b[31mb"),
                    ("HOSTNAME", "Not A Name"),
                    ("POD_NAMESPACE", "a.b"),
                ],
                None,
                None,
            ),
            (&[("HOSTNAME", "-a"), ("POD_NAMESPACE", "a-")], None, None),
            (&[], None, None),
        ];
        for (variables, name, namespace) in cases {
            let said = PodName::claimed(&|wanted| {
                let found = variables.iter().find(|(name, _)| *name == wanted);
                found.map(|(_, value)| (*value).to_owned())
            });
            assert_eq!(said.name.as_deref(), name, "{variables:?}");
            assert_eq!(said.namespace.as_deref(), namespace, "{variables:?}");
        }
        let said = PodName::claimed(&|_| Some("a".repeat(64)));
        assert_eq!(said.name, Some("a".repeat(64)));
        assert_eq!(said.namespace, None);
        assert_eq!(
            PodName::claimed(&|_| Some("a".repeat(254))),
            PodName::default()
        );
    }

    /// A pod's group as the kubelet makes it.
    fn made(
        root: &str,
        class: Option<&str>,
        uid: &str,
        runtime: Option<&str>,
        id: &str,
        systemd: bool,
    ) -> String {
        if !systemd {
            let root = if root.is_empty() {
                String::new()
            } else {
                format!("/{root}")
            };
            let class = class.map(|class| format!("/{class}")).unwrap_or_default();
            let runtime = runtime.filter(|runtime| *runtime == "crio");
            let runtime = runtime.map(|name| format!("{name}-")).unwrap_or_default();
            return format!("{root}/kubepods{class}/pod{uid}/{runtime}{id}");
        }
        let (top, dash) = if root.is_empty() {
            (String::new(), "")
        } else {
            (format!("/{root}.slice"), "-")
        };
        let pods = format!("{root}{dash}kubepods");
        let (between, pods) = match class {
            Some(class) => (
                format!("/{pods}.slice/{pods}-{class}.slice"),
                format!("{pods}-{class}"),
            ),
            None => (format!("/{pods}.slice"), pods),
        };
        let uid = uid.replace('-', "_");
        let runtime = runtime.unwrap_or("docker");
        format!("{top}{between}/{pods}-pod{uid}.slice/{runtime}-{id}.scope")
    }

    proptest! {
        #[test]
        fn any_text_is_a_path_in_a_pod_or_in_none(text in any::<String>()) {
            for text in [&text, &format!("/kubepods/pod{text}"), &format!("/kubepods-pod{text}.slice:{text}:{text}")] {
                if let Some(pod) = Pod::of_group(text) {
                    prop_assert!(is_uid(&pod.uid));
                    prop_assert!(text.contains(&pod.uid) || text.contains(&pod.uid.replace('-', "_")));
                }
                Pod::of_process(text);
            }
            let said = PodName::claimed(&|_| Some(text.clone()));
            prop_assert!(said.name.is_none_or(|name| text == name));
        }

        #[test]
        fn what_the_kubelet_makes_is_read_back_whatever_the_job_makes_below(
            root in prop_oneof!["", "kubelet", "[a-z]{1,8}"],
            class in prop::option::of(prop_oneof![Just("burstable"), Just("besteffort")]),
            uid in prop_oneof!["[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "[0-9a-f]{32}"],
            runtime in prop::option::of(prop_oneof![Just("docker"), Just("cri-containerd"), Just("crio")]),
            id in "[0-9a-f]{64}",
            systemd in any::<bool>(),
            below in prop_oneof![
                any::<String>(),
                "(/kubepods(/burstable)?/pod[0-9a-f]{32}/[0-9a-f]{64})?",
                "(/kubepods-pod[0-9a-f]{32}.slice/crio-[0-9a-f]{64}.scope)?",
            ],
        ) {
            let path = made(&root, class, &uid, runtime, &id, systemd);
            let expected = Some(Pod { uid, container: Some(id) });
            prop_assert_eq!(Pod::of_group(&path), expected.clone());
            prop_assert_eq!(Pod::of_group(&format!("{path}/{below}")), expected);
        }
    }
}
