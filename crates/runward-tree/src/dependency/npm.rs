//! npm, and what sets npm's variables: pnpm, yarn, bun.
//!
//! A lifecycle script runs as `sh -c "…"` in its package's folder, with `npm_package_name`, `npm_package_version`,
//! `npm_lifecycle_event` and (since npm 7) `npm_package_json`. Scripts of the project itself (`npm run build`) get
//! the same variables. The difference is where the package lies: a dependency lies directly below a `node_modules`
//! folder, or in npm's cache while npm prepares a package that it cloned with git.

use runward_event::AttributionVar;

use super::{Dependency, Ecosystem, Facts, own};

pub(super) fn dependency_of(facts: &Facts<'_>) -> Option<Dependency> {
    let name = facts.var(AttributionVar::NpmPackageName)?;
    let event = facts.var(AttributionVar::NpmLifecycleEvent);

    let version_in_path = match facts.var(AttributionVar::NpmPackageJson) {
        Some(package_json) => {
            let folder = package_json.strip_suffix("/package.json")?;
            let place = Place::of(folder)?;
            // A script of the project that happens to lie deeper inside of somebody's package is not that package's.
            if !place.rest.is_empty() {
                return None;
            }
            place.version
        }
        None => {
            let place = Place::of(facts.cwd)?;
            // Without `npm_package_json`, the working directory is all there is. A script of the project that went
            // into a dependency's folder shows by its name, unless npm itself put it there to install. (The names
            // differ for a dependency that was installed under an alias.)
            if place.name != Some(name) && !event.is_some_and(is_install_event) {
                return None;
            }
            place.version
        }
    };

    Some(Dependency {
        ecosystem: Ecosystem::Npm,
        name: name.to_owned(),
        version: facts
            .var(AttributionVar::NpmPackageVersion)
            .or(version_in_path)
            .and_then(own),
        phase: event.and_then(own),
    })
}

/// The scripts that installing a package runs.
fn is_install_event(event: &str) -> bool {
    matches!(
        event,
        "preinstall"
            | "install"
            | "postinstall"
            | "preprepare"
            | "prepare"
            | "postprepare"
            | "prepublish"
            | "prepack"
    )
}

/// Where an installed package lies.
struct Place<'a> {
    /// Its name by its folder; `None` for a package that npm has cloned and not yet named.
    name: Option<&'a str>,
    /// Its version by its folder, which only pnpm writes there.
    version: Option<&'a str>,
    /// What follows the package's folder.
    rest: &'a str,
}

impl<'a> Place<'a> {
    fn of(path: &'a str) -> Option<Place<'a>> {
        // The innermost `node_modules` counts: `…/node_modules/d/node_modules/es5-ext` is es5-ext.
        match path.rsplit_once("/node_modules/") {
            Some((before, inside)) => Place::in_node_modules(before, inside),
            None => {
                let (_, inside) = path.rsplit_once("/_cacache/tmp/git-clone")?;
                let rest = inside.split_once('/').map_or("", |(_, rest)| rest);
                Some(Place {
                    name: None,
                    version: None,
                    rest,
                })
            }
        }
    }

    fn in_node_modules(before: &'a str, inside: &'a str) -> Option<Place<'a>> {
        let slashes = if inside.starts_with('@') { 2 } else { 1 };
        let end = inside
            .match_indices('/')
            .nth(slashes - 1)
            .map_or(inside.len(), |(at, _)| at);
        let name = &inside[..end];
        let is_name = !name.is_empty()
            && !name.starts_with('.')
            && (slashes == 1 || name.split_once('/').is_some_and(|(_, n)| !n.is_empty()));
        is_name.then(|| Place {
            name: Some(name),
            version: pnpm_version(before),
            rest: inside[end..].trim_matches('/'),
        })
    }
}

/// The version in pnpm's layout: `node_modules/.pnpm/<name>@<version>[_peers]/node_modules/<name>`.
fn pnpm_version(before: &str) -> Option<&str> {
    let (store, folder) = before.rsplit_once('/')?;
    if !store.ends_with("/.pnpm") {
        return None;
    }
    // A scope is written `@scope+name`, so the version starts at the first `@` that is not at the beginning.
    let at = folder.get(1..)?.find('@')? + 1;
    let version = &folder[at + 1..];
    let end = version.find(['_', '(']).unwrap_or(version.len());
    Some(&version[..end])
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Case, attribute};

    /// The variables that npm 11 sets for a lifecycle script.
    fn script(folder: &str, name: &str, version: &str, event: &str, cwd: &str) -> String {
        attribute(Case {
            env: &[
                ("npm_package_json", &format!("{folder}/package.json")),
                ("npm_package_name", name),
                ("npm_package_version", version),
                ("npm_lifecycle_event", event),
            ],
            cwd,
            exe: "/usr/bin/dash",
            args: &["sh", "-c", "node-gyp-build"],
        })
    }

    #[test]
    fn npm_11() {
        let modules = "/home/runner/work/app/app/node_modules";
        for (folder, name, want) in [
            ("bufferutil", "bufferutil", "Npm bufferutil 1.0.0 install"),
            (
                "@nestjs/core",
                "@nestjs/core",
                "Npm @nestjs/core 1.0.0 install",
            ),
            (
                "d/node_modules/es5-ext",
                "es5-ext",
                "Npm es5-ext 1.0.0 install",
            ),
            // Installed under an alias: the package's own name is the better one.
            ("my-alias", "left-pad", "Npm left-pad 1.0.0 install"),
        ] {
            let folder = format!("{modules}/{folder}");
            assert_eq!(script(&folder, name, "1.0.0", "install", &folder), want);
            // A script that goes elsewhere stays its package's.
            assert_eq!(script(&folder, name, "1.0.0", "install", "/tmp"), want);
        }
    }

    #[test]
    fn the_projects_own_scripts_are_no_dependency() {
        let root = "/home/runner/work/app/app";
        assert_eq!(script(root, "root-app", "1.0.0", "build", root), "none");
        assert_eq!(
            script(root, "root-app", "1.0.0", "postinstall", root),
            "none"
        );
        // Not even when the script goes into a dependency's folder.
        let inside = format!("{root}/node_modules/foo");
        assert_eq!(script(root, "root-app", "1.0.0", "build", &inside), "none");
        // A workspace's package is linked into node_modules, and runs where it really lies.
        let member = format!("{root}/packages/ui");
        assert_eq!(
            script(&member, "@app/ui", "1.0.0", "postinstall", &member),
            "none"
        );
    }

    #[test]
    fn a_package_that_npm_cloned_with_git() {
        let folder = "/root/.npm/_cacache/tmp/git-clone7fFq22";
        assert_eq!(
            script(folder, "gitdep", "2.0.0", "prepare", folder),
            "Npm gitdep 2.0.0 prepare"
        );
    }

    #[test]
    fn npx_installs_into_a_cache_of_its_own() {
        let folder = "/root/.npm/_npx/0d4fe1d4b9/node_modules/esbuild";
        assert_eq!(
            script(folder, "esbuild", "0.21.5", "postinstall", folder),
            "Npm esbuild 0.21.5 postinstall"
        );
    }

    #[test]
    fn without_npm_package_json_the_working_directory_tells() {
        let by_cwd = |cwd: &str, name: &str, event: &str| {
            attribute(Case {
                env: &[
                    ("npm_package_name", name),
                    ("npm_package_version", "1.2.3"),
                    ("npm_lifecycle_event", event),
                ],
                cwd,
                ..Case::default()
            })
        };
        assert_eq!(
            by_cwd("/app/node_modules/foo", "foo", "postinstall"),
            "Npm foo 1.2.3 postinstall"
        );
        assert_eq!(
            by_cwd("/app/node_modules/@s/foo/lib", "@s/foo", "x"),
            "Npm @s/foo 1.2.3 x"
        );
        assert_eq!(
            by_cwd(
                "/app/.yarn/unplugged/foo-npm-1.2.3-ab12/node_modules/foo",
                "foo",
                "postinstall"
            ),
            "Npm foo 1.2.3 postinstall"
        );
        assert_eq!(
            by_cwd("/app/node_modules/alias", "foo", "install"),
            "Npm foo 1.2.3 install"
        );
        assert_eq!(by_cwd("/app", "app", "build"), "none");
        assert_eq!(by_cwd("/app/node_modules/foo", "app", "build"), "none");
        assert_eq!(
            by_cwd("/app/node_modules/.bin", "app", "postinstall"),
            "none"
        );
        assert_eq!(by_cwd("/app/node_modules", "app", "postinstall"), "none");
        assert_eq!(
            by_cwd("/app/node_modules/@s", "@s/foo", "postinstall"),
            "none"
        );
        assert_eq!(
            by_cwd("/app/node_modules/@s/", "@s/foo", "postinstall"),
            "none"
        );
        assert_eq!(
            by_cwd("/app/my_node_modules/foo", "foo", "postinstall"),
            "none"
        );
    }

    #[test]
    fn pnpm_writes_the_version_into_the_path() {
        let pnpm = |folder: &str, name: &str| {
            attribute(Case {
                env: &[
                    ("npm_package_name", name),
                    ("npm_lifecycle_event", "postinstall"),
                ],
                cwd: &format!("/app/node_modules/.pnpm/{folder}/node_modules/{name}"),
                ..Case::default()
            })
        };
        assert_eq!(
            pnpm("esbuild@0.21.5", "esbuild"),
            "Npm esbuild 0.21.5 postinstall"
        );
        assert_eq!(
            pnpm("@swc+core@1.4.0_@swc+helpers@0.5.2", "@swc/core"),
            "Npm @swc/core 1.4.0 postinstall"
        );
        assert_eq!(
            pnpm("nest@8.0.0(react@18.2.0)", "nest"),
            "Npm nest 8.0.0 postinstall"
        );
        assert_eq!(pnpm("odd", "odd"), "Npm odd - postinstall");
    }

    #[test]
    fn a_process_without_npms_variables_is_no_dependencys() {
        assert_eq!(
            attribute(Case {
                cwd: "/app/node_modules/foo",
                ..Case::default()
            }),
            "none"
        );
    }
}
