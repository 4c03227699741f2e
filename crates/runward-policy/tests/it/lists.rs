use runward_policy::{Action, parse_endpoints};

use crate::flag;

/// The canonical spelling of every rule, with line and column.
fn read(text: &str) -> Vec<String> {
    let endpoints = parse_endpoints(text, Action::Allow, &flag()).unwrap();
    let spelled = |rule: &runward_policy::Rule| {
        format!(
            "{}:{} {}",
            rule.origin.line,
            rule.origin.column,
            rule.spelled()
        )
    };
    endpoints.rules.iter().map(spelled).collect()
}

fn warnings(text: &str) -> Vec<String> {
    let endpoints = parse_endpoints(text, Action::Allow, &flag()).unwrap();
    endpoints.warnings.iter().map(ToString::to_string).collect()
}

fn errors(text: &str) -> Vec<String> {
    let errors = parse_endpoints(text, Action::Allow, &flag()).unwrap_err();
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn every_way_to_write_a_list_is_read() {
    for (text, rules) in [
        ("", &[][..]),
        (" \n\t, ,\n", &[]),
        (
            "a.example:80 b.example",
            &["1:1 a.example:80", "1:14 b.example:443"],
        ),
        (
            "a.example:80,b.example:81\nc.example:82",
            &["1:1 a.example:80", "1:14 b.example:81", "2:1 c.example:82"],
        ),
        ("a.example:80,443", &["1:1 a.example:80,443"]),
        (
            "a.example:80,443,8000-8010/udp,b.example",
            &["1:1 a.example:80,443,8000-8010/udp", "1:32 b.example:443"],
        ),
        (
            "a.example:443, 1.gravatar.com:443",
            &["1:1 a.example:443", "1:16 1.gravatar.com:443"],
        ),
        (
            "a.example:443,1.gravatar.com:443",
            &["1:1 a.example:443", "1:15 1.gravatar.com:443"],
        ),
        (
            "# first\na.example # and more.example:1\n#b.example:443\nc.example",
            &["2:1 a.example:443", "4:1 c.example:443"],
        ),
        (
            "\"a.example:80\" 'b.example' `c.example`",
            &[
                "1:2 a.example:80",
                "1:17 b.example:443",
                "1:29 c.example:443",
            ],
        ),
        (
            "- a.example:80\n- 'b.example:80,81'",
            &["1:3 a.example:80", "2:4 b.example:80-81"],
        ),
        (
            "[\"a.example:80\",\"b.example\"]",
            &["1:3 a.example:80", "1:18 b.example:443"],
        ),
        (
            "[a.example, b.example]",
            &["1:2 a.example:443", "1:13 b.example:443"],
        ),
        (
            "\u{feff}GitHub.com.:443\r\nBÜCHER.example\r\n",
            &["1:2 github.com:443", "2:1 xn--bcher-kva.example:443"],
        ),
        (
            "198.51.100.7:8443 203.0.113.0/26:9999 203.0.113.9",
            &[
                "1:1 198.51.100.7:8443",
                "1:19 203.0.113.0/26:9999",
                "1:39 203.0.113.9:443",
            ],
        ),
        (
            "[2001:db8::1]:443 2001:db8::2 [2001:db8::]/32:80 [2001:db8:1::/48]:80 2001:db8:2::/48:80",
            &[
                "1:1 [2001:db8::1]:443",
                "1:19 [2001:db8::2]:443",
                "1:31 [2001:db8::/32]:80",
                "1:50 [2001:db8:1::/48]:80",
                "1:71 [2001:db8:2::/48]:80",
            ],
        ),
        (
            "[::ffff:198.51.100.7]:80 ::ffff:203.0.113.0/120",
            &["1:1 198.51.100.7:80", "1:26 203.0.113.0/24:443"],
        ),
        (
            "dns.example:53/udp ntp.example:123/UDP x.example/any y.example:80/tcp",
            &[
                "1:1 dns.example:53/udp",
                "1:20 ntp.example:123/udp",
                "1:40 x.example:443/any",
                "1:54 y.example:80",
            ],
        ),
        (
            "203.0.113.0/26/udp 203.0.113.0/26:*/any",
            &["1:1 203.0.113.0/26:443/udp", "1:20 203.0.113.0/26:*/any"],
        ),
        (
            "*.example.com prefix*.example.com:80 a.*.example.com:*",
            &[
                "1:1 *.example.com:443",
                "1:15 prefix*.example.com:80",
                "1:38 a.*.example.com:*",
            ],
        ),
        ("*:6443 *", &["1:1 *:6443", "1:8 *:443"]),
        (
            "localhost:8080 registry:5000",
            &["1:1 localhost:8080", "1:16 registry:5000"],
        ),
        (
            "a.example:443 a.example A.EXAMPLE.:443",
            &["1:1 a.example:443"],
        ),
    ] {
        assert_eq!(read(text), rules, "{text}");
    }
}

#[test]
fn a_comment_in_a_folded_list_ends_where_an_endpoint_with_its_port_begins() {
    let text =
        "# XXX: After updating the flags in # `a/b.sh`, review these. a.example:443 b.example:80\n";
    assert_eq!(read(text), ["1:62 a.example:443", "1:76 b.example:80"]);
    insta::assert_snapshot!(warnings(text).join("\n"), @"--allowed-endpoints:1:1: `# XXX: After updating the flags in # `a/b.sh`, review these.`: this comment swallowed the line that it stood on, as in a folded scalar (`>`): the endpoints behind it are taken; use `|`");
    assert_eq!(
        read("a.example:443 # the last word\n"),
        ["1:1 a.example:443"]
    );
    assert_eq!(
        parse_endpoints(
            "a.example:1 #b.example:2 c.example:3",
            Action::Allow,
            &flag()
        )
        .unwrap_err()
        .len(),
        1,
        "b.example may be what was commented out"
    );
}

#[test]
fn real_faults_are_told_so_that_a_person_understands() {
    let text = "\
github.com:g443
github.com:443q
sigstore.example:
artifacts.example.com::433
${{ env.ALLOWED_ENDPOINTS }} $ENDPOINTS
https://github.com/actions
http://user@a.example:8080/x
github.com/actions:443
user@a.example:22
a.example:99999 a.example:0 a.example:90-80
a.example: 443
300.1.2.3:443
203.0.113.0/33
2001:db8::1::443
[2001:db8::1:443
a..example
a_b!.example:443
a.example:443/sctp
**.example *.*
@github-action
exa\u{202e}mple:443
";
    insta::assert_snapshot!(errors(text).join("\n"));
}

#[test]
fn what_is_odd_is_told_and_taken_all_the_same() {
    let text = "artifacts.example.com:433 domain *:6443 203.0.113.5/26 *.blob.core.windows.net:443 a.example a.example:443";
    insta::assert_snapshot!(warnings(text).join("\n"));
}

#[test]
fn a_list_with_one_error_allows_nothing() {
    assert!(parse_endpoints("a.example b.example:x", Action::Allow, &flag()).is_err());
}

#[test]
fn a_flood_of_errors_is_counted() {
    let text = "a:x ".repeat(1000);
    let errors = parse_endpoints(&text, Action::Allow, &flag()).unwrap_err();
    assert_eq!(errors.len(), 101);
    assert!(errors.last().unwrap().to_string().contains("more errors"));
}

#[test]
fn a_list_that_is_too_long_is_refused() {
    let many: String = (0..20_000).map(|n| format!("h{n}.example ")).collect();
    let kind = |text: &str| {
        let errors = parse_endpoints(text, Action::Allow, &flag()).unwrap_err();
        errors.first().unwrap().fault.kind()
    };
    assert_eq!(kind(&many), "too-many-rules");
    assert_eq!(kind(&" ".repeat(2 << 20)), "too-long");
}

#[test]
fn a_group_is_shown_expanded_and_keeps_its_name() {
    let endpoints = parse_endpoints("x.example @gitlab", Action::Allow, &flag()).unwrap();
    let rule = endpoints
        .rules
        .iter()
        .find(|rule| rule.spelled() == "gitlab.com:443")
        .unwrap();
    assert_eq!(rule.origin.group.as_ref().unwrap().name, "gitlab");
    assert_eq!(rule.origin.column, 11);
    assert!(endpoints.rules.len() > 3);
}
