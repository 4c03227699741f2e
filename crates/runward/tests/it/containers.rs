//! Containers that a job starts, and what they may.

use runward_lab::{requires, run};
use std::process::Command;

use crate::bed::{Bed, LIMIT};
use crate::image::Image;

#[test]
fn a_container_that_may_administer_the_machine_is_told_and_no_other() {
    requires!(Root, Program("podman"), Program("busybox"));
    let image = Image::new();
    let podman = run(Command::new("sh").args(["-c", "command -v podman"]), LIMIT).unwrap();
    // By another name, so that it is not its arguments that tell.
    let engine = image.place("engine");
    std::fs::copy(podman.stdout.trim(), &engine).unwrap();
    // What the runtime does before the container's first program depends on who comes first.
    let more = [
        None,
        None,
        None,
        Some("--privileged"),
        Some("--cap-add=SYS_ADMIN"),
    ];
    for more in more {
        let bed = Bed::new();
        let mut command = image.run(&bed, &engine);
        command.args(more);
        command.args(["--rootfs", &image.place("root")]);
        command.args(["/bin/sh", "-c", "/bin/sh -c :"]);
        let recorded = bed.finish(&mut command);
        assert!(recorded.ran.worked(), "{}", recorded.ran.stderr);
        let found: Vec<_> = recorded.report["detections"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|found| found["detection"] == "privileged-container")
            .map(|found| found["message"].as_str().unwrap().to_owned())
            .collect();
        match more {
            None => assert!(found.is_empty(), "{found:?}"),
            Some(option) => {
                assert_eq!(found.len(), 1, "{option}: {found:?}");
                assert!(found[0].starts_with("/bin/sh (pid "), "{option}: {found:?}");
            }
        }
    }
}
