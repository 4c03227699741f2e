//! Who may import whom, as data. `ARCHITECTURE.md` explains the shape; this is what holds it.

use cargo_metadata::{DependencyKind, MetadataCommand, Package};

use crate::shell::workspace;

/// One crate's place in the workspace.
#[derive(Debug)]
struct Layer {
    name: &'static str,
    /// Decides, and does nothing else: no I/O, no runtime, no clock.
    pure: bool,
    /// The crates of this workspace that it may import, outside of its tests.
    may_import: &'static [&'static str],
}

const fn layer(name: &'static str, pure: bool, may_import: &'static [&'static str]) -> Layer {
    Layer {
        name,
        pure,
        may_import,
    }
}

/// Inner layers first. A crate that is not in this table may not be in the workspace.
const LAYERS: &[Layer] = &[
    layer("runward-event", true, &[]),
    layer("runward-yaml", true, &[]),
    layer("runward-policy", true, &["runward-event", "runward-yaml"]),
    layer("runward-migrate", true, &["runward-policy", "runward-yaml"]),
    layer("runward-tree", true, &["runward-event"]),
    layer("runward-detect", true, &["runward-event", "runward-tree"]),
    layer(
        "runward-rules",
        true,
        &[
            "runward-event",
            "runward-tree",
            "runward-detect",
            "runward-yaml",
        ],
    ),
    layer(
        "runward-report",
        true,
        &[
            "runward-event",
            "runward-policy",
            "runward-tree",
            "runward-detect",
        ],
    ),
    layer(
        "runward-baseline",
        true,
        &["runward-event", "runward-policy", "runward-detect"],
    ),
    layer("runward-ci", true, &["runward-event"]),
    layer("runward-secrets", true, &["runward-event"]),
    layer("runward-sensor", false, &["runward-event"]),
    layer("runward-resolver", false, &["runward-event"]),
    layer(
        "runward-agent",
        false,
        &[
            "runward-event",
            "runward-tree",
            "runward-detect",
            "runward-report",
            "runward-ci",
            "runward-policy",
            "runward-resolver",
            "runward-secrets",
            "runward-sensor",
            "runward-yaml",
        ],
    ),
    layer(
        "runward",
        false,
        &[
            "runward-event",
            "runward-tree",
            "runward-detect",
            "runward-report",
            "runward-ci",
            "runward-sensor",
            "runward-agent",
            "runward-migrate",
            "runward-policy",
            "runward-rules",
            "runward-tree",
        ],
    ),
    layer("runward-api", true, &["runward-event"]),
    layer("runward-store", true, &["runward-event"]),
    layer(
        "runward-store-sql",
        false,
        &["runward-event", "runward-store"],
    ),
    layer(
        "runward-notify",
        true,
        &["runward-event", "runward-report", "runward-store"],
    ),
    layer(
        "runward-server",
        false,
        &[
            "runward-api",
            "runward-baseline",
            "runward-event",
            "runward-detect",
            "runward-notify",
            "runward-policy",
            "runward-report",
            "runward-store",
            "runward-store-sql",
        ],
    ),
    layer("runward-lab", false, &[]),
    layer("xtask", false, &[]),
];

/// Crates that only tests may import.
const FOR_TESTS: &[&str] = &["runward-lab"];

/// Crates that tests of one other crate may import: agents have to get along with the server as they are.
const IN_TESTS: &[(&str, &str)] = &[("runward-server", "runward-agent")];

/// Libraries that do I/O, keep a runtime or read a clock: not for pure crates.
const NOT_PURE: &[&str] = &[
    "axum",
    "gix-index",
    "hickory-server",
    "ignore",
    "libbpf-rs",
    "libc",
    "nix",
    "reqwest",
    "rustix",
    "rustls",
    "signal-hook",
    "sqlx",
    "tempfile",
    "tokio",
];

#[test]
fn every_crate_imports_only_what_its_layer_may() {
    let packages = packages();
    let ours = |name: &str| packages.iter().any(|p| p.name.as_str() == name);
    let mut wrong = Vec::new();
    for package in &packages {
        let name = package.name.as_str();
        let Some(layer) = LAYERS.iter().find(|layer| layer.name == name) else {
            wrong.push(format!("{name} has no place in the table of layers"));
            continue;
        };
        for dependency in &package.dependencies {
            let on = dependency.name.as_str();
            let in_tests = dependency.kind == DependencyKind::Development;
            if ours(on) {
                let for_tests = FOR_TESTS.contains(&on) || IN_TESTS.contains(&(name, on));
                let allowed = layer.may_import.contains(&on) || (in_tests && for_tests);
                if !allowed {
                    wrong.push(format!("{name} may not import {on}"));
                }
            } else if layer.pure && !in_tests && NOT_PURE.contains(&on) {
                wrong.push(format!("{name} is pure and may not import {on}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_row_of_the_table_names_crates_of_an_inner_layer() {
    for (place, layer) in LAYERS.iter().enumerate() {
        let inner: Vec<&str> = LAYERS[..place].iter().map(|inner| inner.name).collect();
        for name in layer.may_import {
            assert!(inner.contains(name), "{} stands before {name}", layer.name);
        }
    }
}

#[test]
fn every_row_of_the_table_is_a_crate_in_a_folder_of_its_name() {
    let packages = packages();
    for layer in LAYERS {
        let package = packages.iter().find(|p| p.name.as_str() == layer.name);
        let package = package.unwrap_or_else(|| panic!("there is no crate {}", layer.name));
        let folder = package
            .manifest_path
            .parent()
            .and_then(|dir| dir.file_name());
        assert_eq!(folder, Some(layer.name));
    }
}

fn packages() -> Vec<Package> {
    let metadata = MetadataCommand::new()
        .manifest_path(workspace().join("Cargo.toml"))
        .no_deps()
        .exec()
        .unwrap();
    metadata.packages
}
