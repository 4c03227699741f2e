//! Which incidents there are, and what must be seen of each.

/// An incident that can be re-enacted.
#[derive(Clone, Copy, Debug)]
pub struct Replay {
    /// Its name, on command lines and in tables.
    pub name: &'static str,
    /// What the job does: a script for `sh`.
    pub(super) script: &'static str,
    /// The detections that must name it.
    pub named: &'static [&'static str],
    /// The step that it must be attributed to.
    pub step: Option<&'static str>,
    /// The dependency, likewise.
    pub dependency: Option<&'static str>,
    /// Whether it needs a fenced job to be seen.
    pub(super) block: bool,
    /// Whether it is no attack: then nothing may be found but what is known to be harmless.
    pub benign: bool,
    /// Whether it needs a workspace that git tracks.
    pub(super) git: bool,
}

const RUN: Option<&str> = Some("__run_1");

/// What most of them have in common.
const USUAL: Replay = Replay {
    name: "",
    script: "",
    named: &[],
    step: RUN,
    dependency: None,
    block: false,
    benign: false,
    git: false,
};

macro_rules! replay {
    ($name:literal, $($field:ident: $value:expr),+ $(,)?) => {
        Replay {
            name: $name,
            script: include_str!(concat!("../../replays/", $name, ".sh")),
            $($field: $value,)+
            ..USUAL
        }
    };
}

/// All of them; a script in `replays/` says what each is.
pub const REPLAYS: [Replay; 20] = [
    replay!("tj-actions",
        named: &["runner-memory-read", "secret-in-output", "suspicious-destination"],
        step: Some("__tj-actions_changed-files")),
    replay!("reviewdog",
        named: &["runner-memory-read", "secret-in-output"],
        step: Some("__reviewdog_action-setup")),
    replay!("trivy",
        named: &["runner-memory-read", "credential-access", "suspicious-destination"],
        step: Some("__aquasecurity_trivy-action")),
    replay!("axios",
        named: &["install-script-egress", "dropped-executable", "process-outlives-step"],
        dependency: Some("plain-crypto-js")),
    replay!("shai-hulud-2",
        named: &["install-script-egress", "dropped-executable", "credential-access"],
        dependency: Some("posthog-node")),
    replay!("nx-s1ngularity",
        named: &["install-script-egress", "credential-access", "persistence"],
        dependency: Some("nx")),
    replay!("pth-backdoor", named: &["persistence", "process-outlives-step"]),
    replay!("persistence", named: &["persistence"]),
    replay!("codecov", named: &["suspicious-destination"], step: Some("__codecov")),
    replay!("solarwinds", named: &["source-code-overwritten"], git: true),
    replay!("xz", named: &["source-code-overwritten"], git: true),
    replay!("dns-exfiltration", named: &["dns-tunnel"]),
    replay!("reverse-shell", named: &["reverse-shell"]),
    replay!("reverse-shell-terminal", named: &["reverse-shell"]),
    replay!("reverse-shell-pipe", named: &["reverse-shell"]),
    replay!("privileged-container", named: &["privileged-container"]),
    replay!("docker-group", named: &["privileged-container"]),
    replay!("agent-tampering", named: &["agent-tampered"], block: true),
    replay!("fileless", named: &["fileless-execution"]),
    replay!("provjobd", named: &["suspicious-destination"], step: None, benign: true),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_script_is_in_the_table_and_says_what_it_is() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/replays");
        let files: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        let known = REPLAYS.iter().map(|replay| format!("{}.sh", replay.name));
        assert_eq!(known.collect::<BTreeSet<_>>(), files);
        for replay in REPLAYS {
            assert!(replay.script.starts_with("# "), "{}", replay.name);
            assert!(!replay.named.is_empty(), "{}", replay.name);
        }
    }
}
