//! cargo: build scripts and compilers run with `CARGO_PKG_NAME`, `CARGO_PKG_VERSION` and `CARGO_MANIFEST_DIR`, and
//! hand them to whatever they start.
//!
//! The project's own packages get the same variables; a dependency shows by where its manifest lies. Procedural
//! macros run inside the compiler of the crate that *uses* them, so that what they do is attributed to that crate.

use runward_event::AttributionVar;

use super::{Dependency, Ecosystem, Facts, after, file_name, own};

pub(super) fn dependency_of(facts: &Facts<'_>) -> Option<Dependency> {
    let name = facts.var(AttributionVar::CargoPkgName)?;
    let folder = facts.var(AttributionVar::CargoManifestDir)?;
    let version = facts.var(AttributionVar::CargoPkgVersion);
    if !is_fetched(folder, name, version) {
        return None;
    }
    Some(Dependency {
        ecosystem: Ecosystem::Cargo,
        name: name.to_owned(),
        version: version.and_then(own),
        phase: phase(facts).and_then(own),
    })
}

/// Whether a manifest's folder is one that cargo filled: the registry's sources, checkouts of git dependencies, or the
/// folder of `cargo vendor`.
fn is_fetched(folder: &str, name: &str, version: Option<&str>) -> bool {
    after(folder, "registry/src").is_some()
        || after(folder, "git/checkouts").is_some()
        || after(folder, "vendor").is_some_and(|rest| {
            // `vendor/ring`, or `vendor/ring-0.17.14` with `--versioned-dirs` and for a second version.
            let tail = rest.strip_prefix(name);
            tail == Some("")
                || tail
                    .and_then(|tail| tail.strip_prefix('-'))
                    .is_some_and(|tail| Some(tail) == version)
        })
}

/// What of the package runs. Programs that compilers and build scripts start say nothing of their own; they inherit.
fn phase(facts: &Facts<'_>) -> Option<&'static str> {
    let exe = facts.exe_name();
    // `target/debug/build/<package>-<hash>/build-script-build`; the last part is the name of the script's file.
    if exe.starts_with("build-script-") && facts.exe.contains("/build/") {
        return Some("build-script");
    }
    let first = facts.args.first().map_or("", |arg| file_name(arg));
    let is_compiler = |name: &str| matches!(name, "rustc" | "rustdoc" | "clippy-driver");
    (is_compiler(exe) || is_compiler(first)).then_some("compile")
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Case, attribute};

    fn cargo(folder: &str, name: &str, version: &str, exe: &str) -> String {
        attribute(Case {
            env: &[
                ("CARGO_MANIFEST_DIR", folder),
                ("CARGO_PKG_NAME", name),
                ("CARGO_PKG_VERSION", version),
            ],
            cwd: folder,
            exe,
            args: &[exe],
        })
    }

    const RUSTC: &str = "/root/.rustup/toolchains/stable-x86_64-unknown-linux-gnu/bin/rustc";
    const SCRIPT: &str = "/app/target/debug/build/ring-878518f6d95a2f6c/build-script-build";

    #[test]
    fn crates_of_a_registry() {
        let ring = "/root/.cargo/registry/src/registry.example-1949cf8c6b5b557f/ring-0.17.14";
        assert_eq!(
            cargo(ring, "ring", "0.17.14", RUSTC),
            "Cargo ring 0.17.14 compile"
        );
        assert_eq!(
            cargo(ring, "ring", "0.17.14", SCRIPT),
            "Cargo ring 0.17.14 build-script"
        );
        // A compiler that a build script started, seen without its parent: the phase is not known.
        assert_eq!(
            cargo(ring, "ring", "0.17.14", "/usr/bin/cc"),
            "Cargo ring 0.17.14 -"
        );
    }

    #[test]
    fn crates_from_git_and_vendored_ones() {
        let git = "/root/.cargo/git/checkouts/serde-1949cf8c6b5b557f/3a1b2c3/serde_derive";
        assert_eq!(
            cargo(git, "serde_derive", "1.0.0", RUSTC),
            "Cargo serde_derive 1.0.0 compile"
        );
        assert_eq!(
            cargo("/app/vendor/ring", "ring", "0.17.14", RUSTC),
            "Cargo ring 0.17.14 compile"
        );
        assert_eq!(
            cargo("/app/vendor/ring-0.17.14", "ring", "0.17.14", RUSTC),
            "Cargo ring 0.17.14 compile"
        );
        assert_eq!(
            cargo("/app/vendor/ring-tools", "ring", "0.17.14", RUSTC),
            "none"
        );
    }

    #[test]
    fn the_projects_own_crates_are_no_dependency() {
        assert_eq!(cargo("/app", "app", "0.1.0", RUSTC), "none");
        assert_eq!(cargo("/app/crates/core", "core", "0.1.0", SCRIPT), "none");
        assert_eq!(
            cargo("/app/my-registry/src/core", "core", "0.1.0", RUSTC),
            "none"
        );
    }

    #[test]
    fn cargo_itself_builds_nobody() {
        assert_eq!(
            attribute(Case {
                cwd: "/app",
                exe: "/root/.cargo/bin/cargo",
                args: &["cargo", "build"],
                ..Case::default()
            }),
            "none"
        );
    }
}
