/// The id of the container that a process is in; `None` for one that is in none, or gone.
#[must_use]
pub fn container_of(pid: u32) -> Option<String> {
    let groups = std::fs::read(format!("/proc/{pid}/cgroup")).ok()?;
    container_id(&String::from_utf8_lossy(&groups)).map(str::to_owned)
}

/// The id of a container in a control group's path: 64 hexadecimal digits, as docker, podman, containerd and CRI-O
/// all write them, whatever stands around. The innermost one counts.
pub(crate) fn container_id(cgroup: &str) -> Option<&str> {
    const LENGTH: usize = 64;
    cgroup
        .rsplit(|c: char| !c.is_ascii_hexdigit())
        .find(|run| run.len() == LENGTH)
}

#[cfg(test)]
mod tests {
    use super::container_id;

    #[test]
    fn containers_are_found_in_the_paths_that_runtimes_make() {
        let id = "4f5a9c0e3b7d1286".repeat(4);
        let table = [
            (format!("/system.slice/docker-{id}.scope"), true),
            (format!("/docker/{id}"), true),
            (format!("/machine.slice/libpod-{id}.scope/container"), true),
            (
                format!("/kubepods.slice/kubepods-pod1.slice/cri-containerd-{id}.scope"),
                true,
            ),
            (format!("/docker/{id}0"), false),
            ("/user.slice/user-1000.slice".to_owned(), false),
            ("/".to_owned(), false),
            (String::new(), false),
        ];
        for (path, found) in table {
            assert_eq!(container_id(&path), found.then_some(id.as_str()), "{path}");
        }
    }
}
