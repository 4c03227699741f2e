//! Each tool, with each of its inputs.

use crate::check;

#[test]
fn harden_runner_changes_one_line_where_nothing_is_lost() {
    check(
        "harden_runner_plain",
        r"
name: CI
on: push
jobs:
  build:
    runs-on: ubuntu-latest
    steps:
      - name: Harden Runner
        uses: step-security/harden-runner@v2 # keeps an eye on it
        with:
          egress-policy: block
          disable-sudo: true
          allowed-endpoints: >
            api.github.com:443
            *.actions.githubusercontent.com:443   # swallowed
            github.com:443

      - uses: actions/checkout@v4
        with: { persist-credentials: false }
",
    );
}

#[test]
fn harden_runner_says_what_it_could_not_carry_over() {
    check(
        "harden_runner_inputs",
        r"
jobs:
  one:
    steps:
      - uses: step-security/harden-runner@0123456789abcdef0123456789abcdef01234567 # v2.10.1
        with:
          # the list of the team
          denied-endpoints: evil.example
          allowed-endpoints: |
            a.example:443q
            b-*.example.com:443
            *:6443
            ${{ env.MORE }}
          egress-policy: audti
          token: ${{ secrets.TOKEN }}
          deploy-on-self-hosted-vm: true
          alowed-endpoints: c.example
  two:
    steps:
      - uses: step-security/harden-runner@v2
        with:
          use-policy-store: true
          api-key: ${{ secrets.STEP_SECURITY_API_KEY }}
  three:
    steps:
      - uses: step-security/harden-runner@v2.1 # v2.1, see our wiki
        with:
          policy: release
          disable-telemetry: ${{ inputs.quiet }}
          disable-file-monitoring: true
          disable-sudo-and-containers: true
",
    );
}

#[test]
fn a_step_without_a_mode_keeps_the_one_that_its_tool_had() {
    check(
        "modes",
        r"
jobs:
  one:
    steps:
      - uses: step-security/harden-runner@v2
      - uses: bullfrogsec/bullfrog@v1 # v1
        if: always()
      - uses: cycodelabs/cimon-action@v0
        with:
      - uses: Step-Security/Harden-Runner@v2
        with:
          # what it needs
          allowed-endpoints: a.example
      - { uses: step-security/harden-runner@v2 }
      - { uses: step-security/harden-runner@v2, with: {} }
      - { uses: step-security/harden-runner@v2, with: { disable-sudo: true } }
      - { uses: step-security/harden-runner@v2, with: }
",
    );
}

#[test]
fn bullfrog_lists_become_one_list_of_endpoints() {
    check(
        "bullfrog",
        r"
jobs:
  build:
    steps:
      - uses: bullfrogsec/bullfrog@78a54a1a4c3d3325fe01846f60b630b6ee7bcf06 # v0.8.4
        with:
          egress-policy: block
          allowed-domains: |
            *.archive.ubuntu.com
            *docker.io
            glb-*.github.com

            github.com
            *
          # our mirror
          allowed-ips: |
            192.0.2.1
            198.51.100.0/24
            mirror.example
          dns-policy: any
          enable-sudo: false
          collect-process-info: false
          api-token: ${{ secrets.BULLFROG }}
          _agent-version: v0.8.4
          something-else: 1
      - run: make
",
    );
    check(
        "bullfrog_one_line",
        r"
jobs:
  build:
    steps:
      - uses: bullfrogsec/bullfrog@v1
        with:
          allowed-ips: 192.0.2.1
          allowed-domains: a.example
          enable-sudo: ${{ inputs.sudo }}
      - uses: bullfrogsec/bullfrog@v1
        with: { egress-policy: '${{ inputs.mode }}', dns-policy: allowed-domains-only, allowed-domains: '${{ inputs.domains }}', enable-sudo: true }
      - uses: bullfrogsec/bullfrog@v1
        with:
          allowed-domains: |
            *
          allowed-ips: |
            192.0.2.1
          enable-sudo: perhaps
",
    );
}

#[test]
fn cimon_lists_and_modes_become_those_of_runward() {
    check(
        "cimon",
        r#"
jobs:
  build:
    steps:
      - uses: cycodelabs/cimon-action@v0
        with:
          client-id: ${{ secrets.CIMON_CLIENT_ID }}
          secret: ${{ secrets.CIMON_SECRET }}
          prevent: true
          allowed-hosts: >
            objects.githubusercontent.com
            *.golang.org
            a.*.example
          allowed-ips: "34.121.123.45, 2001:db8::1"
          ignored-ip-nets: 10.0.0.0/8
          fail-on-error: false
          report-process-tree: true
          report-job-summary: false
          slack-webhook-endpoint: ${{ secrets.SLACK }}
          hardening: true
      - uses: CycodeLabs/cimon-action@v0
        with:
          prevent: ${{ github.event_name == 'pull_request' }}
          allowed-hosts: a.example,b.example
      - uses: cycodelabs/cimon-action@v0
        with:
          prevent: sometimes
          fail-on-error: "true"
      - uses: cycodelabs/cimon-action/attest@v1
        with:
          subjects: dist/program
"#,
    );
}

#[test]
fn what_is_no_step_of_a_tool_is_left_alone() {
    check(
        "others",
        r"
jobs:
  call:
    uses: ./.github/workflows/build.yml
    with: { egress-policy: block }
  firewalled:
    runs-on: [ubuntu-24.04-firewall]
    steps:
      - uses: step-security/harden-runner-fork@v2
      - run: |
          echo 'uses: step-security/harden-runner@v2'
  matrix:
    strategy:
      matrix:
        include:
          - uses: step-security/harden-runner@v2
",
    );
}
