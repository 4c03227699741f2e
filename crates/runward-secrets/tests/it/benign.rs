//! What builds print and what looks like chance, but is no secret.

use crate::*;

const LINES: &str = r#"
   Compiling proc-macro2 v1.0.107
    Checking runward-event v0.1.0 (/home/runner/work/app/app/crates/event)
Downloaded serde v1.0.229 (registry+https://github.com/rust-lang/crates.io-index)
checksum = "6303bc9732ae41b04cb554b844a762b4115a61bfaa81e3e83050991eeb56863f"
"integrity": "sha512-9cjUiILlIKQ1EdBkOLkEaaCsoxqNBcPSQyqmHaBDGbXVwMFyxkXQOqbCoXUkOK4jVAlTlVcPUIeJWnCzuLJsBg==",
added 212 packages, and audited 213 packages in 4s
npm http fetch GET 200 https://registry.npmjs.org/ansi-styles/-/ansi-styles-4.3.0.tgz 41ms (cache hit)
HEAD is now at 7d2a3bc Read half of the register that old kernels answer in
 * [new ref]         7d2a3bc6f2a1c8e0f4d5b6a79880716253445362 -> pull/12/merge
Successfully built 3f1b6c7d2e90
sha256:9834876dcfb05cb167a5c24953eba58c4ac89b1adf57f28f2f9d09af107ee8f0
--hash=sha256:e4d0e7fbb6b5f0bfa3e1e9bfb7e0bfbd1a3d4a6b4d8c2a1f3e5d7c9b8a7f6e5d
go: downloading github.com/klauspost/compress v1.17.11
github.com/klauspost/compress v1.17.11 h1:In6xLpyWOi1+C7tXUUWv2ot1QvBjxevKAaI6IXrJmUc=
[INFO] Downloaded from central: https://repo.maven.apache.org/maven2/org/slf4j/slf4j-api/2.0.16/slf4j-api-2.0.16.jar (69 kB at 1.2 MB/s)
request id 7c9e6679-7425-40de-944b-e07fc1f90ae7
##[group]Run actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683
env:
  GITHUB_TOKEN: ***
  token=$DEPLOY_TOKEN
  -----BEGIN CERTIFICATE-----
MIIDdzCCAl+gAwIBAgIEAgAAuTANBgkqhkiG9w0BAQUFADBaMQswCQYDVQQGEwJJ
RTESMBAGA1UEChMJQmFsdGltb3JlMRMwEQYDVQQLEwpDeWJlclRydXN0MSIwIAYD
-----END CERTIFICATE-----
test keys::ghp_token_prefix_is_known ... ok
test secrets::password_is_checked ... ok
data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==
//# sourceMappingURL=data:application/json;base64,eyJ2ZXJzaW9uIjozLCJzb3VyY2VzIjpbImEudHMiXSwibmFtZXMiOltdLCJtYXBwaW5ncyI6IkFBQUEifQ==
/usr/lib/x86_64-linux-gnu/libcrypto.so.3: undefined symbol: EVP_MD_CTX_set_update_fn
_ZN4core3ptr85drop_in_place$LT$std..rt..lang_start$LT$$LP$$RP$$GT$..$u7b$$u7b$closure$u7d$$u7d$$GT$17h0b3c8f2a9d1e5764E
"#;

#[test]
fn hashes_ids_and_packed_data_are_no_secrets() {
    assert_eq!(found_in(LINES), []);
}

#[test]
fn chance_is_no_secret() {
    let mut state = 99_u64;
    let bytes: Vec<u8> = (0..1 << 20)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005) + 1;
            (state >> 40).to_le_bytes()[0]
        })
        .collect();
    assert_eq!(found_in(&bytes), []);
    assert_eq!(found_in(base64(&bytes)), []);
    assert_eq!(found_in(wrapped(&bytes, 76)), []);
}
