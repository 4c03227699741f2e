//! Maven's local repository: `.m2/repository/<group>/<artifact>/<version>/<artifact>-<version>.jar`.
//!
//! Plugins run inside Maven's own process, where nothing outside can tell one from another. What shows is a program or
//! an archive that is started out of the repository. `MAVEN_PROJECTBASEDIR` says that Maven runs, not for whom.

use super::{Dependency, Ecosystem, Facts, after};

pub(super) fn dependency_of(facts: &Facts<'_>) -> Option<Dependency> {
    let started = [Some(facts.exe), archive(facts.args)];
    let artifact = started.into_iter().flatten().find_map(Artifact::of)?;
    Some(Dependency {
        ecosystem: Ecosystem::Maven,
        name: format!("{}:{}", artifact.group.replace('/', "."), artifact.name),
        version: Some(artifact.version.to_owned()),
        phase: None,
    })
}

/// The archive that `java -jar` starts. A class path names a whole set of artifacts, so that it tells nothing.
fn archive(args: &[String]) -> Option<&str> {
    let at = args
        .iter()
        .take(MAX_JAVA_OPTIONS)
        .position(|arg| arg == "-jar")?;
    args.get(at + 1).map(String::as_str)
}

/// Where to stop looking for `-jar` among the arguments of an arbitrary program.
const MAX_JAVA_OPTIONS: usize = 64;

struct Artifact<'a> {
    group: &'a str,
    name: &'a str,
    version: &'a str,
}

impl<'a> Artifact<'a> {
    fn of(path: &'a str) -> Option<Artifact<'a>> {
        let (folder, file) = after(path, ".m2/repository")?.rsplit_once('/')?;
        let (folder, version) = folder.rsplit_once('/')?;
        let (group, name) = folder.rsplit_once('/')?;
        // The file's name repeats both, which tells a repository from a folder that merely looks like one.
        let is_artifact = file
            .strip_prefix(name)
            .and_then(|rest| rest.strip_prefix('-'))
            .is_some_and(|rest| rest.starts_with(version));
        let complete = !group.is_empty() && !name.is_empty() && !version.is_empty();
        (is_artifact && complete).then_some(Artifact {
            group,
            name,
            version,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Case, attribute};

    fn maven(exe: &str, args: &[&str]) -> String {
        attribute(Case {
            env: &[("MAVEN_PROJECTBASEDIR", "/app")],
            cwd: "/app",
            exe,
            args,
        })
    }

    const JAVA: &str = "/usr/lib/jvm/java-17-openjdk-amd64/bin/java";

    #[test]
    fn what_is_started_out_of_the_repository() {
        assert_eq!(
            maven(
                JAVA,
                &[
                    "java",
                    "-Xmx1g",
                    "-jar",
                    "/root/.m2/repository/org/example/tools/gen/1.4.0/gen-1.4.0-all.jar",
                    "-x"
                ]
            ),
            "Maven org.example.tools:gen 1.4.0 -"
        );
        assert_eq!(
            maven(
                "/root/.m2/repository/com/example/protoc/3.25.1/protoc-3.25.1-linux-x86_64.exe",
                &["protoc"]
            ),
            "Maven com.example:protoc 3.25.1 -"
        );
    }

    #[test]
    fn maven_and_the_tests_that_it_forks_are_nobodys() {
        let launcher = "org.codehaus.plexus.classworlds.launcher.Launcher";
        assert_eq!(
            maven(
                JAVA,
                &[
                    "java",
                    "-classpath",
                    "/usr/share/maven/boot/plexus-classworlds-2.x.jar",
                    launcher,
                    "package"
                ]
            ),
            "none"
        );
        assert_eq!(
            maven(
                JAVA,
                &["java", "-jar", "/app/target/surefire/surefirebooter12.jar"]
            ),
            "none"
        );
        let path = "/root/.m2/repository/junit/junit/4.13.2/junit-4.13.2.jar:/app/target/classes";
        assert_eq!(maven(JAVA, &["java", "-cp", path, "Main"]), "none");
        assert_eq!(maven(JAVA, &["java", "-jar"]), "none");
        assert_eq!(
            maven(JAVA, &["java", "-jar", "/x/.m2/repository/a/b/c.jar"]),
            "none"
        );
    }
}
