//! Compiles the kernel side with clang and generates the types that both sides share.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::{env, fs};

use libbpf_cargo::SkeletonBuilder;

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let arch = env::var("CARGO_CFG_TARGET_ARCH").expect("cargo sets CARGO_CFG_TARGET_ARCH");
    compile("runward", &out, &arch);
    pack("runward", &out);
    compile("probe", &out, &arch);
    compile("arrivals", &out, &arch);
    // For tests only; nothing else embeds it.
    compile("first_bytes_test", &out, &arch);
    println!("cargo:rerun-if-changed=bpf");
}

fn compile(name: &str, out: &Path, arch: &str) {
    // The names that the tracing headers of libbpf use.
    let libbpf_arch = match arch {
        "x86_64" => "x86",
        "aarch64" => "arm64",
        other => other,
    };
    let here = env::current_dir().expect("a build script has a working directory");
    let arguments: Vec<OsString> = [
        format!("-D__TARGET_ARCH_{libbpf_arch}"),
        // Debian and Ubuntu keep asm/ below the architecture's folder, which `-target bpf` does not search.
        format!("-I/usr/include/{arch}-linux-gnu"),
        "-mcpu=v3".to_owned(),
        "-Wall".to_owned(),
        "-Werror".to_owned(),
        // The same object from every folder.
        format!("-ffile-prefix-map={}=.", here.display()),
    ]
    .into_iter()
    .map(OsString::from)
    .collect();
    SkeletonBuilder::new()
        .source(format!("bpf/{name}.bpf.c"))
        .obj(out.join(format!("{name}.bpf.o")))
        .clang_args(arguments)
        .build_and_generate(out.join(format!("{name}.skel.rs")))
        .unwrap_or_else(|error| {
            panic!("cannot compile bpf/{name}.bpf.c (are clang and libbpf-dev installed? `make setup` does it): {error:#}")
        });
}

/// An object is mostly names and zeros: a fifth of its bytes is what the binary carries.
fn pack(name: &str, out: &Path) {
    let object = fs::read(out.join(format!("{name}.bpf.o"))).expect("it was just compiled");
    let packed = zstd::bulk::compress(&object, 19).expect("memory is enough for half a megabyte");
    fs::write(out.join(format!("{name}.bpf.o.zst")), packed).expect("OUT_DIR is writable");
}
