//! What is linked into the binary.
//!
//! Cargo's tree says which crates, with the features of this very build: build scripts, procedural macros and tests are
//! not in it. `cargo metadata` would tell the features of the whole workspace together, the server's among them. What is
//! linked beside crates is C: each archive is named here, with the Debian package that it came from.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, ensure};
use cargo_metadata::MetadataCommand;

use super::TARGET;
use crate::shell::{self, workspace};

/// A library in the binary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Component {
    pub(super) name: String,
    pub(super) version: String,
    /// An expression of SPDX.
    pub(super) licence: String,
    /// Its package URL; `None` for the crates of this workspace.
    pub(super) purl: Option<String>,
    /// What the registry's index says that the crate has.
    pub(super) sha256: Option<String>,
    /// The names and versions of what it is linked with by itself.
    pub(super) needs: BTreeSet<(String, String)>,
    /// Where its licence may be read.
    pub(super) texts: Texts,
}

/// Where a component's licences are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Texts {
    /// In files of a crate's folder, by their usual names.
    Folder(PathBuf),
    File(PathBuf),
}

/// C that a crate brings and compiles itself: its crate, its own name, its licence, and where its text is in the crate.
const BROUGHT: [(&str, &str, &str, &str); 2] = [
    (
        "libbpf-sys",
        "libbpf",
        "LGPL-2.1-only OR BSD-2-Clause",
        "libbpf",
    ),
    ("zstd-sys", "zstd", "BSD-3-Clause OR GPL-2.0-only", "zstd"),
];

/// Archives of the system: which crate or program asks for them, and their licence.
const ARCHIVES: [(&str, &str, &str); 4] = [
    (
        "libelf.a",
        "libbpf-sys",
        "LGPL-3.0-or-later OR GPL-2.0-or-later",
    ),
    ("libz.a", "libbpf-sys", "Zlib"),
    ("libc.a", "runward", "LGPL-2.1-or-later"),
    (
        "libgcc_eh.a",
        "runward",
        "GPL-3.0-or-later WITH GCC-exception-3.1",
    ),
];

/// All of it, by name and version. The first is the binary's own crate.
pub(super) fn linked() -> anyhow::Result<Vec<Component>> {
    let arguments = [
        "tree",
        "--locked",
        "--package",
        "runward",
        "--target",
        TARGET,
        "--edges",
        "normal,no-proc-macro",
        "--prefix",
        "depth",
        "--format",
        "\t{p}\t{l}",
    ];
    let tree = shell::output(shell::cargo().args(arguments))?;
    let lock = fs::read_to_string(workspace().join("Cargo.lock"))?;
    let checksums = checksums(&lock);
    let folders = folders()?;
    let mut components = BTreeMap::new();
    for (key, licence, needs) in crates(&tree)? {
        let folder = folders.get(&key).context("cargo metadata lacks a crate")?;
        let sha256 = checksums.get(&key).cloned();
        let (name, version) = key.clone();
        let purl = sha256
            .as_ref()
            .map(|_| format!("pkg:cargo/{name}@{version}"));
        components.insert(
            key,
            Component {
                name,
                version,
                licence,
                purl,
                sha256,
                needs,
                texts: Texts::Folder(folder.clone()),
            },
        );
    }
    add_c(&mut components)?;
    add_standard_library(&mut components)?;
    let (mut own, rest): (Vec<_>, Vec<_>) = components
        .into_values()
        .partition(|component| component.name == "runward");
    own.extend(rest);
    Ok(own)
}

type Key = (String, String);

/// The crates of a tree: each with its licence and what it needs. What was told once is marked later, and told no more.
fn crates(tree: &str) -> anyhow::Result<Vec<(Key, String, BTreeSet<Key>)>> {
    let mut found: BTreeMap<Key, (String, BTreeSet<Key>)> = BTreeMap::new();
    let mut above: Vec<Key> = Vec::new();
    for line in tree.lines().filter(|line| !line.is_empty()) {
        let mut fields = line.split('\t');
        let (Some(depth), Some(package), Some(licence)) =
            (fields.next(), fields.next(), fields.next())
        else {
            anyhow::bail!("cargo tree said {line}");
        };
        let depth: usize = depth.parse().context("cargo tree has another format")?;
        let mut words = package.split(' ');
        let name = words.next().unwrap_or_default().to_owned();
        let version = words.next().and_then(|word| word.strip_prefix('v'));
        let version = version.with_context(|| format!("no version in {package}"))?;
        let key = (name, version.to_owned());
        // Some old crates write a slash for "or".
        let licence = licence.trim_end_matches(" (*)").replace('/', " OR ");
        ensure!(!licence.is_empty(), "{package} has no licence");
        above.truncate(depth);
        if let Some(user) = above.last()
            && let Some((_, needs)) = found.get_mut(user)
        {
            needs.insert(key.clone());
        }
        found
            .entry(key.clone())
            .or_insert((licence, BTreeSet::new()));
        above.push(key);
    }
    let listed = found.into_iter();
    Ok(listed
        .map(|(key, (licence, needs))| (key, licence, needs))
        .collect())
}

/// The checksums in `Cargo.lock`. Crates of the workspace have none.
fn checksums(lock: &str) -> BTreeMap<Key, String> {
    let field = |block: &str, name: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(name));
        let value = line.and_then(|rest| rest.strip_prefix(" = "));
        value.map(|value| value.trim_matches('"').to_owned())
    };
    let blocks = lock.split("[[package]]").skip(1);
    let entries = blocks.filter_map(|block| {
        let key = (field(block, "name")?, field(block, "version")?);
        Some((key, field(block, "checksum")?))
    });
    entries.collect()
}

/// Where the sources of each crate are.
fn folders() -> anyhow::Result<BTreeMap<Key, PathBuf>> {
    let metadata = MetadataCommand::new()
        .manifest_path(workspace().join("Cargo.toml"))
        .other_options(["--locked".to_owned()])
        .exec()?;
    let packages = metadata.packages.into_iter();
    let folders = packages.filter_map(|package| {
        let folder = package.manifest_path.parent()?.as_std_path().to_path_buf();
        Some((
            (package.name.to_string(), package.version.to_string()),
            folder,
        ))
    });
    Ok(folders.collect())
}

fn add_c(components: &mut BTreeMap<Key, Component>) -> anyhow::Result<()> {
    for (by, name, licence, folder) in BROUGHT {
        let (key, user) = user_of(components, by)?;
        // The version of the crate ends with that of the library: `1.7.0+v1.7.0`.
        let version = key.1.split_once('+').map(|(_, version)| version);
        let version = version.with_context(|| format!("{by} does not say its {name}"))?;
        let version = version
            .trim_start_matches(name)
            .trim_start_matches(['.', 'v']);
        let Texts::Folder(sources) = &user.texts else {
            continue;
        };
        let component = Component {
            name: name.to_owned(),
            version: version.to_owned(),
            licence: licence.to_owned(),
            purl: Some(match name {
                "zstd" => format!("pkg:github/facebook/zstd@v{version}"),
                _ => format!("pkg:github/libbpf/libbpf@v{version}"),
            }),
            sha256: None,
            needs: BTreeSet::new(),
            texts: Texts::Folder(sources.join(folder)),
        };
        add(components, &key, component);
    }
    for (archive, by, licence) in ARCHIVES {
        let asked = format!("-print-file-name={archive}");
        let path = shell::output(Command::new("gcc").arg(asked))?;
        let path = PathBuf::from(path.trim()).canonicalize();
        let path = path.with_context(|| format!("gcc does not find {archive}"))?;
        let owner = shell::output(Command::new("dpkg").arg("--search").arg(&path))
            .with_context(|| format!("no package of Debian brings {}", path.display()))?;
        let package = owner
            .split([':', ','])
            .next()
            .unwrap_or_default()
            .to_owned();
        let query = [
            "--show",
            "--showformat=${Version}\t${source:Package}",
            &package,
        ];
        let shown = shell::output(Command::new("dpkg-query").args(query))?;
        let (version, source) = shown.split_once('\t').context("dpkg-query said nothing")?;
        let component = Component {
            name: source.to_owned(),
            version: version.to_owned(),
            licence: licence.to_owned(),
            purl: Some(format!(
                "pkg:deb/debian/{package}@{}?arch=amd64",
                escaped(version)
            )),
            sha256: None,
            needs: BTreeSet::new(),
            texts: Texts::File(format!("/usr/share/doc/{package}/copyright").into()),
        };
        let (user, _) = user_of(components, by)?;
        add(components, &user, component);
    }
    Ok(())
}

fn add_standard_library(components: &mut BTreeMap<Key, Component>) -> anyhow::Result<()> {
    let said = shell::output(
        Command::new("rustc")
            .arg("--version")
            .current_dir(workspace()),
    )?;
    let version = said
        .split_whitespace()
        .nth(1)
        .context("rustc says no version")?;
    let root = ["--print", "sysroot"];
    let root = shell::output(Command::new("rustc").args(root).current_dir(workspace()))?;
    let component = Component {
        name: "rust-std".to_owned(),
        version: version.to_owned(),
        licence: "MIT OR Apache-2.0".to_owned(),
        purl: Some(format!("pkg:github/rust-lang/rust@{version}")),
        sha256: None,
        needs: BTreeSet::new(),
        texts: Texts::File(
            PathBuf::from(root.trim()).join("share/doc/rust/COPYRIGHT-library.html"),
        ),
    };
    let (user, _) = user_of(components, "runward")?;
    add(components, &user, component);
    Ok(())
}

fn user_of(components: &BTreeMap<Key, Component>, name: &str) -> anyhow::Result<(Key, Component)> {
    let found = components.iter().find(|(key, _)| key.0 == name);
    let (key, component) =
        found.with_context(|| format!("{name} is not in the binary any more"))?;
    Ok((key.clone(), component.clone()))
}

fn add(components: &mut BTreeMap<Key, Component>, user: &Key, component: Component) {
    let key = (component.name.clone(), component.version.clone());
    if let Some(user) = components.get_mut(user) {
        user.needs.insert(key.clone());
    }
    components.insert(key, component);
}

/// As versions stand in package URLs.
fn escaped(version: &str) -> String {
    version
        .replace('%', "%25")
        .replace('+', "%2B")
        .replace(':', "%3A")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_of_cargo_is_read() {
        let tree = "0\trunward v0.1.0 (/place/runward)\tApache-2.0\n\
                    1\ta v1.0.0\tMIT/Apache-2.0\n\
                    2\tb v2.0.0+c.3\tZlib\n\
                    1\tb v2.0.0+c.3\tZlib (*)\n";
        let key = |name: &str, version: &str| (name.to_owned(), version.to_owned());
        let (a, b) = (key("a", "1.0.0"), key("b", "2.0.0+c.3"));
        let expected = vec![
            (
                a.clone(),
                "MIT OR Apache-2.0".to_owned(),
                [b.clone()].into(),
            ),
            (b.clone(), "Zlib".to_owned(), BTreeSet::new()),
            (
                key("runward", "0.1.0"),
                "Apache-2.0".to_owned(),
                [a, b].into(),
            ),
        ];
        assert_eq!(crates(tree).unwrap(), expected);
        assert!(crates("0\tx v1.0.0\t\n").is_err(), "without a licence");
    }

    #[test]
    fn checksums_are_read_and_missing_ones_are_missing() {
        let lock = "[[package]]\nname = \"a\"\nversion = \"1\"\nchecksum = \"ff\"\n\n[[package]]\nname = \"b\"\nversion = \"2\"\n";
        let found = checksums(lock);
        assert_eq!(found.get(&("a".into(), "1".into())), Some(&"ff".into()));
        assert_eq!(found.len(), 1);
    }
}
