//! GitHub's `egress-firewall.yaml`.

use runward_migrate::migrate_firewall;

use crate::seen;

fn check(name: &str, text: &str) {
    insta::with_settings!({prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_snapshot!(name, seen(text, migrate_firewall(text)));
    });
}

#[test]
fn a_firewall_becomes_a_policy_with_its_comments() {
    check(
        "firewall",
        r"# Hosts that jobs may reach
mode: enforce
allow:
  # GitHub API
  - api.github.com   # every job
  - 'release-assets.githubusercontent.com'
  - '*.example.com'
",
    );
    check("firewall_mode_alone", "mode: enforce\n");
    check("firewall_log", "mode: log");
    check(
        "firewall_without_defaults",
        "mode: enforce\r\nno-default-urls: true # all of them are below\r\nallow:\r\n- github.com\r\n- https://a.example/x\r\n- 192.0.2.1\r\n- '2001:db8::1'\r\n- b.example:8443\r\n",
    );
    check(
        "firewall_flow",
        "{mode: enforce, no-default-urls: false, allow: [a.example, 'b.*.example', \"c.example\"], audit: x}\n",
    );
    check(
        "firewall_list_without_hosts",
        "allow:\nno-default-urls: yes\n",
    );
    check(
        "firewall_nothing_stays",
        "no-default-urls: true\nmode: enforced\nallow:\n  - a.example/x\n",
    );
    check("firewall_empty", "# nothing yet\n");
}

#[test]
fn a_firewall_that_no_policy_can_be_made_of_is_refused() {
    for (name, text) in [
        ("firewall_anchor", "mode: &m enforce\n"),
        ("firewall_documents", "mode: log\n---\nmode: enforce\n"),
        ("firewall_twice", "mode: log\nmode: enforce\n"),
        ("firewall_form", "mode: log\nallow: a.example\n"),
        ("firewall_maps", "mode: log\nallow: [{host: a.example}]\n"),
        ("firewall_list", "- a.example\n"),
        ("firewall_yaml", "mode: [\n"),
    ] {
        check(name, text);
        assert!(migrate_firewall(text).is_err(), "{name}");
    }
}
