//! Go modules: `<GOPATH>/pkg/mod/<module>@<version>`, with upper-case letters of the path written `!` and lower case.
//!
//! Building a Go module runs none of its code, but it runs compilers on it, and with cgo also what the module's
//! directives ask of the C compiler. The Go compiler works in the project's folder, the rest in the module's.
//! A module cache outside of a folder `pkg/mod` (GOMODCACHE) is not recognised.

use super::{Dependency, Ecosystem, Facts, after, own};

pub(super) fn dependency_of(facts: &Facts<'_>) -> Option<Dependency> {
    let (module, phase) = match Module::of(facts.cwd) {
        Some(module) => (module, phase_inside(facts.exe_name())),
        None => (Module::of_arguments(facts)?, phase_inside(facts.exe_name())),
    };
    Some(Dependency {
        ecosystem: Ecosystem::Go,
        name: unescape(module.path)?,
        version: unescape(module.version),
        phase: phase.and_then(own),
    })
}

struct Module<'a> {
    path: &'a str,
    version: &'a str,
}

impl<'a> Module<'a> {
    fn of(path: &'a str) -> Option<Module<'a>> {
        let inside = after(path, "pkg/mod")?;
        let (path, rest) = inside.split_once('@')?;
        let version = rest.split('/').next()?;
        // Downloaded toolchains lie in the module cache too, and with them the standard library.
        let is_dependency = !path.is_empty()
            && !version.is_empty()
            && path != "golang.org/toolchain"
            && path.split('/').next() != Some("cache");
        is_dependency.then_some(Module { path, version })
    }

    /// The module whose files are compiled, for tools that work outside of its folder.
    fn of_arguments(facts: &Facts<'a>) -> Option<Module<'a>> {
        match facts.exe_name() {
            // `compile … -pack <files of one package>`; none of its options holds a path of the module cache.
            "compile" | "asm" if facts.exe.contains("/pkg/tool/") => {
                facts.args.iter().rev().find_map(|arg| Module::of(arg))
            }
            // The go command runs the C compiler in its own work folder too, always with the package's folder first.
            _ if facts.cwd.contains("/go-build")
                && facts.args.get(1).is_some_and(|a| a == "-I") =>
            {
                Module::of(facts.args.get(2)?)
            }
            _ => None,
        }
    }
}

fn phase_inside(exe: &str) -> Option<&'static str> {
    match exe {
        "compile" | "asm" => Some("compile"),
        "cgo" | "gcc" | "g++" | "cc" | "c++" | "clang" | "clang++" => Some("cgo"),
        // `x86_64-linux-gnu-gcc-12`: what /usr/bin/gcc is with its links followed.
        _ if exe.contains("-gcc-") || exe.contains("-g++-") || exe.starts_with("clang-") => {
            Some("cgo")
        }
        _ => None,
    }
}

/// Undoes the module cache's escaping: `github.com/!burnt!sushi/toml` is `github.com/BurntSushi/toml`.
fn unescape(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '!' => plain.push(letters.next()?.to_ascii_uppercase()),
            other => plain.push(other),
        }
    }
    own(&plain)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Case, attribute};

    fn go(cwd: &str, exe: &str, args: &[&str]) -> String {
        attribute(Case {
            cwd,
            exe,
            args,
            ..Case::default()
        })
    }

    const COMPILE: &str = "/usr/local/go/pkg/tool/linux_amd64/compile";

    #[test]
    fn the_compiler_runs_in_the_projects_folder() {
        let package = |files: &[&str]| {
            let mut args = vec![
                COMPILE,
                "-o",
                "/tmp/go-build41/b063/_pkg_.a",
                "-trimpath",
                "/tmp/go-build41/b063=>",
            ];
            args.extend([
                "-p",
                "github.com/BurntSushi/toml",
                "-importcfg",
                "/tmp/go-build41/b063/importcfg",
                "-pack",
            ]);
            args.extend(files);
            go("/app", COMPILE, &args)
        };
        assert_eq!(
            package(&[
                "/root/go/pkg/mod/github.com/!burnt!sushi/toml@v1.6.0/decode.go",
                "/root/go/pkg/mod/github.com/!burnt!sushi/toml@v1.6.0/internal/tz.go",
            ]),
            "Go github.com/BurntSushi/toml v1.6.0 compile"
        );
        assert_eq!(package(&["./main.go", "./flags.go"]), "none");
        assert_eq!(package(&["/usr/local/go/src/fmt/print.go"]), "none");
        // A toolchain that go itself downloaded.
        assert_eq!(
            package(&[
                "/root/go/pkg/mod/golang.org/toolchain@v0.0.1-go1.26.8.linux-amd64/src/fmt/print.go"
            ]),
            "none"
        );
        // A cgo package's generated files come first or last; its own are still there.
        assert_eq!(
            package(&[
                "/tmp/go-build41/b073/_cgo_gotypes.go",
                "/root/go/pkg/mod/github.com/mattn/go-sqlite3@v1.14.53/doc.go",
                "/tmp/go-build41/b073/_cgo_import.go",
            ]),
            "Go github.com/mattn/go-sqlite3 v1.14.53 compile"
        );
    }

    #[test]
    fn cgo_runs_in_the_modules_folder() {
        let sqlite = "/root/go/pkg/mod/github.com/mattn/go-sqlite3@v1.14.53";
        let want = "Go github.com/mattn/go-sqlite3 v1.14.53 cgo";
        assert_eq!(
            go(sqlite, "/usr/local/go/pkg/tool/linux_amd64/cgo", &["cgo"]),
            want
        );
        assert_eq!(
            go(
                sqlite,
                "/usr/bin/x86_64-linux-gnu-gcc-12",
                &["/usr/bin/gcc", "-I", sqlite]
            ),
            want
        );
        assert_eq!(
            go(
                "/tmp/go-build41/b073",
                "/usr/bin/gcc",
                &["gcc", "-I", sqlite, "-fPIC"]
            ),
            want
        );
        // The project's own C code that includes a module's headers is the project's.
        assert_eq!(go("/app", "/usr/bin/gcc", &["gcc", "-I", sqlite]), "none");
        assert_eq!(
            go(
                "/tmp/go-build41/b001",
                "/usr/bin/gcc",
                &["gcc", "-I", "/app", "-I", sqlite]
            ),
            "none"
        );
    }

    #[test]
    fn major_versions_and_folders_inside_a_module() {
        assert_eq!(
            go(
                "/go/pkg/mod/example.com/lib/v2@v2.1.0/internal/x",
                "/tmp/go-build1/b001/x.test",
                &["x.test"]
            ),
            "Go example.com/lib/v2 v2.1.0 -"
        );
        assert_eq!(
            go("/go/pkg/mod/cache/download/a@v1", "/usr/bin/git", &["git"]),
            "none"
        );
        assert_eq!(go("/go/pkg/mod/@v1", "/usr/bin/ls", &["ls"]), "none");
        assert_eq!(go("/go/pkg/mod/a!@v1", "/usr/bin/ls", &["ls"]), "none");
    }

    #[test]
    fn go_itself_builds_nobody() {
        assert_eq!(
            go("/app", "/usr/local/go/bin/go", &["go", "build", "."]),
            "none"
        );
    }
}
