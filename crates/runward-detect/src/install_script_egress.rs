use runward_event::{Body, Connect, Event, Status};
use runward_tree::{Ecosystem, Tree};

use crate::once::Once;
use crate::refusal::destination;
use crate::sentence::{actor, quote};
use crate::{About, Confidence, Detection, Finding, Severity};

pub(crate) static ABOUT: About = About {
    id: "install-script-egress",
    title: "A dependency's install or build script called out",
    severity: Severity::Medium,
    confidence: Confidence::Medium,
    needs: "connections; the dependency, which its environment and folder name",
    next: "Read the script. Packages that fetch a program for this machine do so here, and so do stealers. Build without \
           it (npm ci --ignore-scripts), or allow the one destination in the policy.",
};

/// A connection made below an install or build script, to anything but the ecosystem's own registry.
#[derive(Default)]
pub(crate) struct InstallScriptEgress {
    told: Once<(String, String)>,
}

impl Detection for InstallScriptEgress {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn observe(&mut self, event: &Event, tree: &Tree, findings: &mut Vec<Finding>) {
        let Body::Connect(connect) = &event.body else {
            return;
        };
        let Some(package) = package(connect, tree) else {
            return;
        };
        let label = destination(
            connect.name.as_deref(),
            connect.ip,
            connect.port,
            connect.protocol,
        );
        let label = label[..label.floor_char_boundary(MAX_LABEL)].to_owned();
        if !self.told.is_new((label.clone(), package)) {
            return;
        }
        let who = actor(tree, Some(connect.process), connect.pid);
        let message = format!("{who} called {}", quote(&label));
        let mut finding = ABOUT.finding(event, Some(connect.process), message);
        finding.destination = Some(label);
        findings.push(finding);
    }
}

/// Bytes of a destination, as elsewhere.
const MAX_LABEL: usize = 1_024;

/// The package whose script this connection belongs to, unless there is nothing to tell of it.
fn package(connect: &Connect, tree: &Tree) -> Option<String> {
    if connect.status == Status::Blocked || connect.ip.is_loopback() {
        return None;
    }
    // Its own lookups are how it finds the destination, and that is told.
    if connect.port == 53 {
        return None;
    }
    let dependency = tree.process(connect.process)?.dependency.as_ref()?;
    let own = connect
        .name
        .as_deref()
        .is_some_and(|name| is_registry(dependency.ecosystem, name));
    (!own).then(|| dependency.name.clone())
}

/// Where an ecosystem's packages come from: fetching those is what its tools are for.
fn is_registry(ecosystem: Ecosystem, name: &str) -> bool {
    let registries: &[&str] = match ecosystem {
        Ecosystem::Npm => &["registry.npmjs.org", "registry.yarnpkg.com", "npm.jsr.io"],
        Ecosystem::Pip => &["pypi.org", "files.pythonhosted.org"],
        Ecosystem::Cargo => &["index.crates.io", "static.crates.io", "crates.io"],
        Ecosystem::Go => &["proxy.golang.org", "sum.golang.org"],
        Ecosystem::Maven => &["repo.maven.apache.org", "repo1.maven.org"],
    };
    let name = name.trim_end_matches('.');
    registries.iter().any(|own| own.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_its_own_ecosystem_s() {
        assert!(is_registry(Ecosystem::Npm, "Registry.npmjs.org."));
        assert!(!is_registry(Ecosystem::Pip, "registry.npmjs.org"));
        assert!(!is_registry(
            Ecosystem::Npm,
            "registry.npmjs.org.evil.example"
        ));
    }
}
