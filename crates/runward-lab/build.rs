//! Compiles the actors: static C programs, so that they also run in a virtual machine that holds nothing else.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

/// One program for each file of this name in `actors/`.
const ACTORS: [&str; 15] = [
    "borrowed", "enter", "escape", "evade", "files", "flood", "names", "net", "packets", "procs",
    "puppet", "refuse", "speak", "tamper", "wire",
];

fn main() {
    println!("cargo:rerun-if-changed=actors");
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    let folder = Path::new(&out).join("actors");
    fs::create_dir_all(&folder).expect("OUT_DIR is writable");
    println!(
        "cargo:rustc-env=RUNWARD_LAB_BUILT_ACTORS={}",
        folder.display()
    );

    let compiler = cc::Build::new().cargo_metadata(false).get_compiler();
    for actor in ACTORS {
        // Only the compiler's path is taken from `cc`: its flags are for objects that are linked into Rust.
        let mut command = Command::new(compiler.path());
        command
            .args([
                "-std=gnu11",
                "-O1",
                "-g0",
                "-Wall",
                "-Wextra",
                "-Werror",
                "-static",
                "-pthread",
            ])
            .arg("-o")
            .arg(folder.join(actor))
            .arg(format!("actors/{actor}.c"));
        let status = command.status().unwrap_or_else(|error| {
            panic!(
                "no C compiler ({error}): install clang or gcc, and libc6-dev for static linking"
            )
        });
        assert!(status.success(), "{command:?} failed: the reason is above");
    }
}
