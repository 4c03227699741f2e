//! What YAML allows and people write.

use runward_migrate::{Action, RefusalReason, TEXT_BYTES, migrate_workflow};

use crate::{check, migrate};

#[test]
fn composite_actions_have_steps_too() {
    check(
        "composite",
        r"
name: Set up
runs:
  using: composite
  steps:
  - uses: 'step-security/harden-runner@v2'
    with:
      egress-policy: ${{ inputs.egress-policy }}
      allowed-endpoints: ${{ inputs.allowed-endpoints }}
  - run: make
    shell: bash
",
    );
}

#[test]
fn quotes_and_blocks_stay() {
    check(
        "quotes",
        r#"
"jobs":
  a:
    'steps':
    -   "uses": "bullfrogsec/bullfrog@v1" # 0.8
        "with":
            'allowed-domains': "a.example\nb.example"
            "enable-sudo": 'false'
            "egress-policy": "audit"
    -   uses: >-
          bullfrogsec/bullfrog@v1
        with:
            allowed-domains: 'a.example
              b.example'
            enable-sudo: |
              true
    -   uses: "bullfrogsec\u002fbullfrog@v1"
        with:
            allowed-domains: |2-
                  a.example
                b.example
            allowed-ips: >+

              192.0.2.1

            egress-policy: block
"#,
    );
}

#[test]
fn flow_maps_stay_flow_maps() {
    check(
        "flow",
        r#"
jobs: {a: {steps: [
  {uses: bullfrogsec/bullfrog@v1, with: {dns-policy: any, allowed-domains: a.example, api-token: x}},
  {"uses":"bullfrogsec/bullfrog@v1","with":{"allowed-domains":"a.example","dns-policy":"any"}},
  { uses: bullfrogsec/bullfrog@v1, with: {
    allowed-domains: "a.example", # ours
    allowed-ips: 192.0.2.1, # theirs
    api-token: x,
  } },
]}}
"#,
    );
}

#[test]
fn line_endings_byte_order_mark_and_a_missing_last_newline_stay() {
    check(
        "crlf",
        "jobs:\r\n  a:\r\n    steps:\r\n    - uses: bullfrogsec/bullfrog@v1 # v1\r\n      with:\r\n        allowed-domains: |\r\n          a.example\r\n          *\r\n        allowed-ips: 192.0.2.1\r\n    - run: x\r\n",
    );
    check(
        "bom",
        "\u{feff}jobs: {a: {steps: [{uses: step-security/harden-runner@v2}]}}\n# gr\u{fc}n",
    );
    check(
        "no_last_newline",
        "jobs:\n  a:\n    steps:\n    - uses: step-security/harden-runner@v2",
    );
    check(
        "no_last_newline_in_a_list",
        "jobs:\n  a:\n    steps:\n    - uses: bullfrogsec/bullfrog@v1\n      with:\n        allowed-ips: 192.0.2.1\n        allowed-domains: |\n          a.example",
    );
    check(
        "tabs",
        "jobs:\t\n  a:\t# x\n    steps:\n    - uses: step-security/harden-runner@v2\t# v2\t\n    - run: |\n        \tmake\n",
    );
}

#[test]
fn every_document_is_taken_over() {
    check(
        "documents",
        "---\njobs: {a: {steps: [{uses: step-security/harden-runner@v2, with: {egress-policy: audit}}]}}\n...\n---\nruns:\n  steps:\n  - uses: bullfrogsec/bullfrog@v1\n    with: {egress-policy: audit}\n",
    );
}

#[test]
fn anchors_are_followed_where_the_result_means_the_same() {
    check(
        "anchors",
        r"
jobs:
  a:
    steps: &steps
      - &harden
        uses: &action step-security/harden-runner@v2 # v2
        with: &with
          egress-policy: block
          allowed-endpoints: &list >
            a.example
  b:
    steps: *steps
  c:
    steps:
      - *harden
      - uses: *action
        with: *with
      - uses: bullfrogsec/bullfrog@v1
        with:
          egress-policy: block
          allowed-domains: *list
          allowed-ips: &ips |
            192.0.2.1
      - uses: cycodelabs/cimon-action@v0
        with:
          prevent: &yes true
          allowed-ips: *ips
",
    );
}

#[test]
fn an_anchor_that_something_else_uses_is_refused() {
    check(
        "anchor_elsewhere",
        r"
jobs:
  a:
    steps:
      - uses: step-security/harden-runner@v2
        with:
          egress-policy: block
      - uses: bullfrogsec/bullfrog@v1
        with:
          egress-policy: block
          allowed-domains: &domains |
            a.example
      - run: echo $DOMAINS
        env:
          DOMAINS: *domains
",
    );
}

#[test]
fn what_github_does_not_read_is_refused_with_its_line() {
    for (name, text) in [
        (
            "refused_merge_key",
            "jobs:\n  a:\n    steps:\n    - &one\n      uses: step-security/harden-runner@v2\n    - <<: *one\n      with: {egress-policy: audit}\n",
        ),
        (
            "refused_merge_key_in_inputs",
            "x: &x {dns-policy: any}\njobs:\n  a:\n    steps:\n    - uses: bullfrogsec/bullfrog@v1\n      with:\n        <<: *x\n",
        ),
        (
            "refused_twice",
            "jobs:\n  a:\n    steps:\n    - uses: step-security/harden-runner@v2\n      with: {egress-policy: audit}\n      with: {egress-policy: block}\n",
        ),
        (
            "refused_input_twice",
            "jobs:\n  a:\n    steps:\n    - uses: step-security/harden-runner@v2\n      with:\n        egress-policy: audit\n        Egress-Policy: block\n",
        ),
        (
            "refused_form",
            "jobs:\n  a:\n    steps:\n    - uses: step-security/harden-runner@v2\n      with: ${{ fromJSON(inputs.with) }}\n",
        ),
        (
            "refused_list",
            "jobs:\n  a:\n    steps:\n    - uses: bullfrogsec/bullfrog@v1\n      with:\n        allowed-domains:\n        - a.example\n",
        ),
        (
            "refused_yaml",
            "jobs:\n  a:\n  steps: [\n    - uses: step-security/harden-runner@v2\n",
        ),
        ("refused_alias", "jobs: *nowhere\n"),
    ] {
        check(name, text);
        assert!(migrate(text).is_err(), "{name}");
    }
}

#[test]
fn a_file_that_is_too_large_or_multiplies_is_refused_soon() {
    let step = "jobs:\n  a:\n    steps:\n    - uses: step-security/harden-runner@v2\n";
    let large = step.to_owned() + &"#".repeat(TEXT_BYTES);
    assert_eq!(migrate(&large).unwrap_err().reason, RefusalReason::TooLarge);
    let deep = "[".repeat(200);
    assert_eq!(migrate(&deep).unwrap_err().reason, RefusalReason::TooDeep);
    let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (outer, inner) in "bcdefghi".chars().zip("abcdefgh".chars()) {
        let aliases = vec![format!("*{inner}"); 10].join(", ");
        bomb.push_str(&format!("{outer}: &{outer} [{aliases}]\n"));
    }
    bomb.push_str(step);
    assert_eq!(
        migrate(&bomb).unwrap_err().reason,
        RefusalReason::NotTheSame
    );
    let knot = format!("a: &a [*a]\n{step}");
    assert_eq!(
        migrate(&knot).unwrap_err().reason,
        RefusalReason::NotTheSame
    );
}

#[test]
fn a_large_workflow_is_taken_over() {
    let mut text = "jobs:\n  a:\n    steps:\n".to_owned();
    for number in 0..4000 {
        text.push_str(&format!(
            "    - uses: step-security/harden-runner@v2\n      with:\n        egress-policy: audit\n    - run: echo {number}\n"
        ));
    }
    let new = migrate(&text).unwrap().text.unwrap();
    assert_eq!(new.matches("uses: runward/").count(), 4000);
    assert!(!new.contains("step-security"));
}

#[test]
fn the_action_is_what_it_is_told_to_be() {
    let text = "jobs: {a: {steps: [{uses: step-security/harden-runner@0123456789abcdef0123456789abcdef01234567, with: {egress-policy: audit}}]}}\n";
    let action = Action::parse("./tools/runward").unwrap();
    let migration = migrate_workflow(text, &action).unwrap();
    assert_eq!(
        migration.text.unwrap(),
        "jobs: {a: {steps: [{uses: ./tools/runward, with: {egress-policy: audit}}]}}\n"
    );
    assert_eq!(migration.remarks, []);
}
