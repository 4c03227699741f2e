# A Rust program with build scripts and procedural macros, its tests, and a formatter that finds nothing to do.
needs="cargo rustfmt cc"
prepare() {
    mkdir -p src
    cat >Cargo.toml <<'END'
[package]
name = "benign"
version = "0.1.0"
edition = "2021"

[dependencies]
anyhow = "=1.0.98"
clap = { version = "=4.5.40", features = ["derive"] }
libz-sys = { version = "=1.1.22", features = ["static"] }
serde = { version = "=1.0.219", features = ["derive"] }
serde_json = "=1.0.140"
END
    cat >src/main.rs <<'END'
use clap::Parser;

#[derive(Parser, serde::Serialize)]
struct Options {
    #[arg(default_value = "world")]
    name: String,
}

fn main() -> anyhow::Result<()> {
    println!("{}", serde_json::to_string(&Options::parse())?);
    Ok(())
}

#[test]
fn it_is_made_of_what_it_says() {
    assert!(unsafe { libz_sys::zlibCompileFlags() } > 0);
}
END
    echo target >.gitignore
}
build() {
    export CARGO_TARGET_DIR=target
    cargo build --quiet
    cargo test --quiet
    cargo fmt --check
    cargo run --quiet -- build
}
