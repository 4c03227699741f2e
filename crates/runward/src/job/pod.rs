//! In which pod of Kubernetes a job runs, as a sentence for its record.

use std::fs::File;
use std::io::Read as _;

use runward_ci::{Pod, PodName};

use super::root;

/// Bytes of `/proc/PID/cgroup` that are read: a path for each hierarchy of version 1, or one.
const GROUPS_MAX: u64 = 64 << 10;

/// What the record says of the pod that a process is in; nothing outside of pods.
pub(crate) fn note(pid: u32) -> Option<String> {
    let mut groups = Vec::new();
    let file = File::open(format!("/proc/{pid}/cgroup")).ok()?;
    file.take(GROUPS_MAX).read_to_end(&mut groups).ok()?;
    let pod = Pod::of_process(&String::from_utf8_lossy(&groups))?;
    let variables = root::variables(pid);
    let said = PodName::claimed(&|name| variables.get(name).cloned());
    Some(sentence(&pod, &said))
}

/// The kernel's word first, and what is the job's own word as such.
fn sentence(pod: &Pod, said: &PodName) -> String {
    let container = pod.container.as_ref();
    let container = container.map(|id| format!(", in the container {id}"));
    let name = match said {
        PodName {
            name: Some(name),
            namespace: Some(namespace),
        } => Some(format!("{namespace}/{name}")),
        said => said.name.clone(),
    };
    let name = name.map(|name| format!("; its environment calls the pod {name}"));
    format!(
        "By its control group, the job runs in the Kubernetes pod with the UID {}{}{}.",
        pod.uid,
        container.unwrap_or_default(),
        name.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_tells_whose_word_each_part_is() {
        let uid = "d8a5f1f0-3f4e-4c6b-9a43-0c1d2e3f4a5b";
        let text = |text: &str| Some(text.to_owned());
        let told = |container: Option<&str>, name: Option<&str>, namespace: Option<&str>| {
            let pod = Pod {
                uid: uid.to_owned(),
                container: container.and_then(text),
            };
            let said = PodName {
                name: name.and_then(text),
                namespace: namespace.and_then(text),
            };
            sentence(&pod, &said)
        };
        let begin =
            format!("By its control group, the job runs in the Kubernetes pod with the UID {uid}");
        assert_eq!(told(None, None, Some("ci")), format!("{begin}."));
        assert_eq!(
            told(Some("ab12"), Some("build"), None),
            format!("{begin}, in the container ab12; its environment calls the pod build.")
        );
        assert_eq!(
            told(None, Some("build"), Some("ci")),
            format!("{begin}; its environment calls the pod ci/build.")
        );
    }
}
