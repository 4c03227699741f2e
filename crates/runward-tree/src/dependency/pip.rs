//! pip and uv, while they build a package from source.
//!
//! Installing a wheel runs none of its code. A source package runs its build backend, in a folder that the installer
//! unpacked it into: `pip-install-<random>/<name>_<hash>` for pip, `sdists-v<n>/<index>/<name>/<version>/…` for uv.
//! `pip-req-build-<random>` holds a requirement that was given as an address; pip does not put its name there.
//! A project that is installed from its own folder (`pip install .`) is built in place and is no dependency.

use super::{Dependency, Ecosystem, Facts, file_name, own};

pub(super) fn dependency_of(facts: &Facts<'_>) -> Option<Dependency> {
    let source = Source::of(facts.cwd).or_else(|| Source::of_setup_script(facts.args))?;
    Some(Dependency {
        ecosystem: Ecosystem::Pip,
        name: source.name.to_owned(),
        version: source.version.and_then(own),
        phase: phase(facts.args),
    })
}

/// What an unpacked source package's folder tells about it.
struct Source<'a> {
    name: &'a str,
    version: Option<&'a str>,
}

/// Stands for the name of a requirement whose folder does not tell it.
const UNNAMED: &str = "(given by address)";

impl<'a> Source<'a> {
    fn of(path: &'a str) -> Option<Source<'a>> {
        let mut parts = path.split('/');
        while let Some(part) = parts.next() {
            if part.starts_with("pip-install-") {
                let name = without_hash(parts.next()?);
                return (!name.is_empty()).then_some(Source {
                    name,
                    version: None,
                });
            }
            if part.starts_with("pip-req-build-") {
                return Some(Source {
                    name: UNNAMED,
                    version: None,
                });
            }
            if part.starts_with("sdists-v") {
                return Source::in_uv_cache(parts);
            }
        }
        None
    }

    /// `pypi/<name>/<version>/<id>/src`, or `index/<digest>/<name>/<version>/<id>/src` for other indexes.
    fn in_uv_cache(mut parts: impl Iterator<Item = &'a str>) -> Option<Source<'a>> {
        match parts.next()? {
            "pypi" => {}
            "index" => drop(parts.next()?),
            // `url`, `path`, `git`, `editable`: the folder is named after a digest.
            "url" | "git" => {
                return Some(Source {
                    name: UNNAMED,
                    version: None,
                });
            }
            _ => return None,
        }
        let name = parts.next().filter(|name| !name.is_empty())?;
        let version = parts.next();
        Some(Source { name, version })
    }

    /// pip before 23.1 starts `setup.py` through `python -c "… __file__='/tmp/pip-install-x/name/setup.py' …"`.
    fn of_setup_script(args: &'a [String]) -> Option<Source<'a>> {
        let (flag, script) = (args.get(1)?, args.get(2)?);
        if flag != "-c" || !script.contains("setup.py") {
            return None;
        }
        let at = script
            .find("/pip-install-")
            .or_else(|| script.find("/pip-req-build-"))?;
        let path = script[at..].split(['\'', '"']).next()?;
        Source::of(path)
    }
}

/// pip appends `_` and 32 hexadecimal digits to the name, and older versions nothing.
fn without_hash(folder: &str) -> &str {
    match folder.rsplit_once('_') {
        Some((name, hash)) if hash.len() == 32 && hash.bytes().all(|b| b.is_ascii_hexdigit()) => {
            name
        }
        _ => folder,
    }
}

/// The hooks that a build frontend calls, longer names before those that they contain.
const HOOKS: [&str; 9] = [
    "get_requires_for_build_wheel",
    "get_requires_for_build_sdist",
    "get_requires_for_build_editable",
    "prepare_metadata_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "build_editable",
    "build_wheel",
    "build_sdist",
    "bdist_wheel",
];

fn phase(args: &[String]) -> Option<String> {
    let first = file_name(args.get(1)?);
    // pip: `python …/_in_process.py <hook> <folder>`.
    if first == "_in_process.py" {
        let hook = args.get(2)?;
        return HOOKS.contains(&hook.as_str()).then(|| hook.clone());
    }
    if first != "-c" {
        return None;
    }
    let script = args.get(2)?;
    // Old pip: `python -c "… setup.py …" <command> …`. uv: `python -c "… backend.<hook>( …"`.
    if script.contains("setup.py") {
        let command = args.get(3..)?.iter().find(|arg| !arg.starts_with('-'))?;
        return Some(format!("setup.py {command}"));
    }
    HOOKS
        .iter()
        .find(|hook| script.contains(**hook))
        .map(|hook| (*hook).to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Case, attribute};

    const HOOK: &str =
        "/venv/lib/python3.11/site-packages/pip/_vendor/pyproject_hooks/_in_process/_in_process.py";

    fn pip(cwd: &str, args: &[&str]) -> String {
        attribute(Case {
            env: &[("PIP_BUILD_TRACKER", "/tmp/pip-build-tracker-9_6ejv52")],
            cwd,
            exe: "/usr/bin/python3.11",
            args,
        })
    }

    #[test]
    fn pip_builds_a_wheel() {
        let cwd = "/tmp/pip-install-ic_ocz2x/markupsafe_f0d5442f8e994744a8f56d228c545793";
        assert_eq!(
            pip(
                cwd,
                &[
                    "/venv/bin/python3",
                    HOOK,
                    "get_requires_for_build_wheel",
                    "/tmp/tmph7bktbqf"
                ]
            ),
            "Pip markupsafe - get_requires_for_build_wheel"
        );
        assert_eq!(
            pip(
                cwd,
                &["/venv/bin/python3", HOOK, "build_wheel", "/tmp/tmpxn1q0sj7"]
            ),
            "Pip markupsafe - build_wheel"
        );
        // Programs that the backend starts say no phase of their own.
        assert_eq!(
            pip(cwd, &["gcc", "-c", "src/markupsafe/_speedups.c"]),
            "Pip markupsafe - -"
        );
        let inside = format!("{cwd}/build/temp");
        assert_eq!(pip(&inside, &["gcc", "-O3"]), "Pip markupsafe - -");
    }

    #[test]
    fn old_pip_runs_setup_py() {
        let script = "import sys, setuptools, tokenize; sys.argv[0] = '\"'\"'/tmp/pip-install-k9_1x/docopt/setup.py'\"'\"'";
        assert_eq!(
            pip(
                "/tmp/pip-install-k9_1x/docopt",
                &[
                    "python",
                    "-c",
                    script,
                    "--no-user-cfg",
                    "bdist_wheel",
                    "-d",
                    "/tmp/w"
                ]
            ),
            "Pip docopt - setup.py bdist_wheel"
        );
        assert_eq!(
            pip("/", &["python", "-c", script, "egg_info"]),
            "Pip docopt - setup.py egg_info"
        );
    }

    #[test]
    fn a_requirement_given_by_address_has_no_name() {
        assert_eq!(
            pip(
                "/tmp/pip-req-build-zxqpx1jb",
                &["/venv/bin/python3", HOOK, "build_wheel", "/tmp/tmpdo4lx7rp"]
            ),
            "Pip (given by address) - build_wheel"
        );
    }

    #[test]
    fn uv_builds_inside_its_cache() {
        let cwd = "/root/.cache/uv/sdists-v11/pypi/docopt/0.6.2/C1WhMELZN7qJNWom/src";
        let python = "/root/.cache/uv/builds-v0/.tmp1IqxL6/bin/python";
        let script = |call: &str| {
            format!(
                "import sys\n\nfrom setuptools.build_meta import __legacy__ as backend\n\n{call}"
            )
        };
        let get = script(
            "get_requires_for_build = getattr(backend, \"get_requires_for_build_wheel\", None)",
        );
        assert_eq!(
            pip(cwd, &[python, "-c", &get]),
            "Pip docopt 0.6.2 get_requires_for_build_wheel"
        );
        let build = script("wheel_filename = backend.build_wheel(\"/root/.cache/uv/x\", {}, None)");
        assert_eq!(
            pip(cwd, &[python, "-c", &build]),
            "Pip docopt 0.6.2 build_wheel"
        );
        assert_eq!(
            pip(
                "/root/.cache/uv/sdists-v9/index/5f3b/flask/3.0.0/Ab/src",
                &[python, "-c", &build]
            ),
            "Pip flask 3.0.0 build_wheel"
        );
        assert_eq!(
            pip(
                "/root/.cache/uv/sdists-v9/git/5f3b/9c1d/src",
                &[python, "-c", &build]
            ),
            "Pip (given by address) - build_wheel"
        );
    }

    #[test]
    fn pip_itself_and_projects_built_in_place_are_no_dependency() {
        assert_eq!(
            pip("/app", &["/venv/bin/pip", "install", "markupsafe"]),
            "none"
        );
        assert_eq!(
            pip(
                "/app",
                &["/venv/bin/python3", HOOK, "build_wheel", "/tmp/tmpa"]
            ),
            "none"
        );
        assert_eq!(
            pip("/app", &["python", "-c", "print('pip-install-')"]),
            "none"
        );
        assert_eq!(pip("/tmp/pip-install-x", &["ls"]), "none");
    }
}
