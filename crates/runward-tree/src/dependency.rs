//! Which package a process installs or builds, one file for each ecosystem.

mod cargo;
mod go;
mod maven;
mod npm;
mod pip;

use std::collections::BTreeMap;

use runward_event::{AttributionVar, ProcessExec};

/// A package whose install or build scripts run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dependency {
    /// Whose package it is.
    pub ecosystem: Ecosystem,
    /// The package's name, as its ecosystem writes it.
    pub name: String,
    /// Its version, when the process's surroundings tell.
    pub version: Option<String>,
    /// What of it runs: npm's lifecycle event (`postinstall`), `build-script` or `compile` for cargo, the name of the
    /// build hook for pip (`build_wheel`), `compile` or `cgo` for go.
    pub phase: Option<String>,
}

/// A package manager's world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ecosystem {
    /// JavaScript: npm, and pnpm, yarn and bun, which set the same variables.
    Npm,
    /// Python: pip and uv.
    Pip,
    /// Rust.
    Cargo,
    /// Go modules.
    Go,
    /// Java. Maven runs its plugins inside its own process, so that very little of what a dependency does can be seen
    /// from outside: only programs and archives that are started out of the local repository are attributed.
    Maven,
}

/// What an attribution is drawn from: how a process looked when its program began.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The kept variables of its environment.
    pub env: &'a BTreeMap<AttributionVar, String>,
    /// Its working directory.
    pub cwd: &'a str,
    /// Its program.
    pub exe: &'a str,
    /// Its arguments.
    pub args: &'a [String],
}

/// The package that a process with these facts installs or builds, if any.
///
/// Looks at this one program alone; what it inherits from its parent is for [`crate::Tree`] to add.
pub fn dependency_of(facts: &Facts<'_>) -> Option<Dependency> {
    dependencies_of(facts).next()
}

/// Every package that these facts speak of. There are several where package managers nest, because variables of the
/// outer one are still there inside.
pub(crate) fn dependencies_of(facts: &Facts<'_>) -> impl Iterator<Item = Dependency> {
    [
        cargo::dependency_of,
        npm::dependency_of,
        go::dependency_of,
        pip::dependency_of,
        maven::dependency_of,
    ]
    .into_iter()
    .filter_map(move |of| of(facts))
    .map(|mut dependency| {
        clip(&mut dependency.name);
        dependency.version.as_mut().map(clip);
        dependency.phase.as_mut().map(clip);
        dependency
    })
}

impl Dependency {
    /// Adds what the parent's attribution knows, when this is the same package.
    ///
    /// A build script runs compilers, and a `postinstall` may run further scripts of its package. What counts for a
    /// reader is which of the package's scripts started it all, so the phase of the outermost process stands.
    pub(crate) fn within(mut self, outer: &Dependency) -> Dependency {
        if !self.is_same_package(outer) {
            return self;
        }
        if outer.phase.is_some() {
            self.phase.clone_from(&outer.phase);
        }
        if self.version.is_none() {
            self.version.clone_from(&outer.version);
        }
        self
    }

    /// Whether both name one package; versions that are not known count as equal.
    pub(crate) fn is_same_package(&self, other: &Dependency) -> bool {
        self.ecosystem == other.ecosystem
            && self.name == other.name
            && (self.version == other.version || self.version.is_none() || other.version.is_none())
    }
}

impl<'a> Facts<'a> {
    pub(crate) fn of(exec: &'a ProcessExec) -> Facts<'a> {
        Facts {
            env: &exec.env,
            cwd: &exec.cwd,
            exe: &exec.exe,
            args: &exec.args,
        }
    }

    /// A variable of the environment; an empty one counts as missing.
    fn var(&self, var: AttributionVar) -> Option<&'a str> {
        self.env
            .get(&var)
            .map(String::as_str)
            .filter(|text| !text.is_empty())
    }

    /// The last part of the program's path.
    fn exe_name(&self) -> &'a str {
        file_name(self.exe)
    }
}

/// The longest name, version or phase kept, in bytes; npm's limit of 214 for names is the longest official one.
const MAX_TEXT: usize = 256;

fn clip(text: &mut String) {
    text.truncate(text.floor_char_boundary(MAX_TEXT));
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// What follows `middle` in `path`, where `middle` stands for whole parts of the path: `("/a/b/c", "b")` is `c`.
/// With several, the last one counts.
fn after<'a>(path: &'a str, middle: &str) -> Option<&'a str> {
    path.rmatch_indices(middle).find_map(|(at, _)| {
        let starts = at == 0 || path[..at].ends_with('/');
        let rest = path[at + middle.len()..].strip_prefix('/')?;
        starts.then_some(rest)
    })
}

fn own(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod testing {
    use super::*;

    /// How a process looked when its program began, as a test writes it.
    #[derive(Default)]
    pub(super) struct Case<'a> {
        pub(super) env: &'a [(&'a str, &'a str)],
        pub(super) cwd: &'a str,
        pub(super) exe: &'a str,
        pub(super) args: &'a [&'a str],
    }

    /// Tells the attribution as `ecosystem name version phase`, with `-` for what is not known.
    pub(super) fn attribute(case: Case<'_>) -> String {
        let env = case
            .env
            .iter()
            .map(|(name, value)| {
                let var = AttributionVar::from_name(name.as_bytes()).unwrap();
                (var, (*value).to_owned())
            })
            .collect();
        let args: Vec<String> = case.args.iter().map(|arg| (*arg).to_owned()).collect();
        let found = dependency_of(&Facts {
            env: &env,
            cwd: case.cwd,
            exe: case.exe,
            args: &args,
        });
        found.map_or_else(
            || "none".to_owned(),
            |d| {
                format!(
                    "{:?} {} {} {}",
                    d.ecosystem,
                    d.name,
                    d.version.as_deref().unwrap_or("-"),
                    d.phase.as_deref().unwrap_or("-"),
                )
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parts_of_a_path_match_whole() {
        assert_eq!(after("/a/pkg/mod/x@v1", "pkg/mod"), Some("x@v1"));
        assert_eq!(after("pkg/mod/x", "pkg/mod"), Some("x"));
        assert_eq!(after("/a/mypkg/mod/x", "pkg/mod"), None);
        assert_eq!(after("/a/pkg/model/x", "pkg/mod"), None);
        assert_eq!(after("/a/pkg/mod", "pkg/mod"), None);
        assert_eq!(after("/pkg/mod/a/pkg/mod/b", "pkg/mod"), Some("b"));
    }

    #[test]
    fn the_outermost_phase_of_one_package_stands() {
        let of = |name: &str, version: Option<&str>, phase: Option<&str>| Dependency {
            ecosystem: Ecosystem::Cargo,
            name: name.to_owned(),
            version: version.map(str::to_owned),
            phase: phase.map(str::to_owned),
        };
        let script = of("ring", Some("0.17.14"), Some("build-script"));
        assert_eq!(
            of("ring", Some("0.17.14"), Some("compile")).within(&script),
            script
        );
        assert_eq!(of("ring", None, None).within(&script), script);
        let other = of("ring", Some("0.16.20"), Some("compile"));
        assert_eq!(other.clone().within(&script), other);
        let other = of("cc", Some("1.2.0"), Some("compile"));
        assert_eq!(other.clone().within(&script), other);
    }

    /// Text made of the pieces that the rules look for, so that random input reaches their depths.
    fn path() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just("node_modules".to_owned()),
            Just(".pnpm".to_owned()),
            Just("@s".to_owned()),
            Just("a@1.0.0_b".to_owned()),
            Just("registry".to_owned()),
            Just("src".to_owned()),
            Just("git".to_owned()),
            Just("checkouts".to_owned()),
            Just("vendor".to_owned()),
            Just("pkg".to_owned()),
            Just("mod".to_owned()),
            Just("!a!é@v1".to_owned()),
            Just("pip-install-x".to_owned()),
            Just("a_0123456789abcdef0123456789abcdef".to_owned()),
            Just("pip-req-build-".to_owned()),
            Just("sdists-v9".to_owned()),
            Just("pypi".to_owned()),
            Just("git-v0".to_owned()),
            Just(".m2".to_owned()),
            Just("repository".to_owned()),
            Just("1.0".to_owned()),
            Just("1.0-1.0.jar".to_owned()),
            Just("build-script-build".to_owned()),
            Just("tool".to_owned()),
            Just("compile".to_owned()),
            Just("-jar".to_owned()),
            Just("java".to_owned()),
            Just("_in_process.py".to_owned()),
            ".{0,4}",
        ];
        proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.join("/"))
    }

    proptest! {
        #[test]
        fn nothing_that_a_job_writes_makes_attribution_panic(
            values in proptest::collection::vec((0..AttributionVar::NAMES.len(), path()), 0..8),
            cwd in path(),
            exe in path(),
            args in proptest::collection::vec(path(), 0..5),
        ) {
            let env = values
                .into_iter()
                .map(|(at, value)| (AttributionVar::NAMES[at].1, value))
                .collect();
            let found = dependency_of(&Facts { env: &env, cwd: &cwd, exe: &exe, args: &args });
            if let Some(found) = found {
                prop_assert!(!found.name.is_empty());
                prop_assert!(found.name.len() <= MAX_TEXT);
            }
        }
    }
}
