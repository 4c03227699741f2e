//! Lists that people really use, put back into workflows and taken over. The collection is not part of this repository;
//! without it these tests skip.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use runward_migrate::Weight;
use runward_policy::{Action, Endpoint};
use serde_json::Value;

use crate::steps::{Inputs, endpoints, input, of_action};
use crate::{changes, migrate};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// The rows of one file of the collection: in the folder that `RUNWARD_CORPUS` names, or beside the workspace. Says the
/// test's name where it is missing, as `runward_lab::skip` does.
fn rows(test: &str, file: &str) -> Option<Vec<Value>> {
    let folder = std::env::var_os("RUNWARD_CORPUS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus"),
        PathBuf::from,
    );
    let Ok(text) = std::fs::read_to_string(folder.join(file)) else {
        // Nothing can be done about a closed stderr.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED it::corpus::{test}: needs {file} in $RUNWARD_CORPUS or in ../shared/corpus beside the workspace"
        );
        return None;
    };
    let row = |line| serde_json::from_str(line).unwrap();
    Some(text.lines().map(row).collect())
}

/// What stands around the step of every file, and must stay as it is.
const BEFORE: &str = "# Builds it\nname: CI # gr\u{fc}n\non: {push: , schedule: [{cron: '0 0 * * *'}]}\njobs:\n a:\n  runs-on: ubuntu-latest\n  env: &env {A: \"1\"}\n  steps:\n";

/// A workflow whose one step has these inputs, with their keys in column `indent`.
struct Workflow {
    before: String,
    step: String,
    after: String,
}

impl Workflow {
    fn new(action: &str, indent: usize, inputs: &str, environment: &str) -> Workflow {
        let dash = " ".repeat(indent - 4);
        Workflow {
            before: format!("{BEFORE}{dash}- run: first\n{dash}  env: *env\n"),
            step: format!(
                "{dash}- name: Harden the runner # always\n{dash}  uses: {action}\n{dash}  with:\n{inputs}{dash}  if: always()\n"
            ),
            after: format!(
                "\n# and then\n{dash}- run: |\n{dash}    make   \n{dash}    # done\n{dash}- {{uses: actions/checkout@v4}}\n b: {{runs-on: x, steps: []}}\n{environment}"
            ),
        }
    }

    fn text(&self) -> String {
        format!("{}{}{}", self.before, self.step, self.after)
    }
}

/// What a row came to: the step of Runward's, and whether something of it could not be carried over.
struct Taken {
    old: Inputs,
    new: Inputs,
    changed: usize,
    lost: Vec<String>,
}

/// Takes a workflow over, and holds it to what every result has to hold.
fn take(workflow: &Workflow, action: &str) -> Taken {
    let text = workflow.text();
    let migration = migrate(&text).unwrap_or_else(|refusal| panic!("{refusal:?}\n{text}"));
    let new = migration.text.unwrap();
    assert!(
        new.starts_with(&workflow.before),
        "{}",
        changes(&text, &new)
    );
    assert!(new.ends_with(&workflow.after), "{}", changes(&text, &new));
    assert_eq!(migrate(&new).unwrap().text, None, "{new}");
    let [old] = of_action(&text, action).try_into().unwrap();
    let [now] = of_action(&new, "runward/").try_into().unwrap();
    let changed = text.lines().zip(new.lines()).filter(|(a, b)| a != b);
    let lost = migration.remarks.into_iter();
    Taken {
        old,
        new: now,
        changed: changed.count(),
        lost: lost
            .filter(|remark| remark.weight == Weight::Lost)
            .map(|remark| remark.text)
            .collect(),
    }
}

/// Without a port there, every port here: the meaning of bullfrog and Cimon, told apart from the code that is tested.
fn on_every_port(hosts: &[&str]) -> std::collections::BTreeSet<Endpoint> {
    let endpoint = |host: &&str| Endpoint::parse(&format!("{host}:*/any"), Action::Allow).unwrap();
    hosts.iter().map(endpoint).collect()
}

#[test]
fn every_real_input_means_the_same_once_it_is_taken_over() {
    let Some(rows) = rows(
        "every_real_input_means_the_same_once_it_is_taken_over",
        "raw_inputs.jsonl",
    ) else {
        return;
    };
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for row in &rows {
        let raw = row["raw"].as_str().unwrap();
        let source = row["yaml_source"].as_str();
        if row["tool"] == "bullfrog" {
            let indent = source.unwrap().len() - source.unwrap().trim_start().len();
            let source = format!(
                "{}egress-policy: block\n{}\n",
                " ".repeat(indent),
                source.unwrap().trim_end()
            );
            let workflow = Workflow::new("bullfrogsec/bullfrog@v1", indent, &source, "");
            let taken = take(&workflow, "bullfrogsec/");
            assert_eq!(input(&taken.old, "allowed-domains"), Some(raw));
            let hosts: Vec<&str> = raw.split_whitespace().collect();
            let list = input(&taken.new, "allowed-endpoints").unwrap();
            assert_eq!(endpoints(list), Some(on_every_port(&hosts)), "{raw}");
            assert_eq!(taken.lost, [""; 0]);
            *counts.entry("bullfrog: the same").or_default() += 1;
            continue;
        }
        let (inputs, indent, environment) = match source {
            Some(source) => {
                let indent = source.len() - source.trim_start().len();
                let ending = if source.ends_with('\n') { "" } else { "\n" };
                (format!("{source}{ending}"), indent, String::new())
            }
            None => {
                let words: Vec<&str> = raw.split_whitespace().collect();
                let list = words.join("\n    ");
                (
                    "          allowed-endpoints: ${{ env.LIST }}\n".to_owned(),
                    10,
                    format!("env:\n  LIST: >\n    {list}\n"),
                )
            }
        };
        let pad = " ".repeat(indent);
        let inputs =
            format!("{pad}egress-policy: block # at once\n{inputs}{pad}disable-sudo: true\n");
        let action = format!("step-security/harden-runner@{COMMIT} # v2.10.1");
        let workflow = Workflow::new(&action, indent, &inputs, &environment);
        let taken = take(&workflow, "step-security/");
        // One line is another, and every input says what it said.
        assert_eq!(taken.changed, 1, "{inputs}");
        assert_eq!(taken.old, taken.new);
        let list = input(&taken.new, "allowed-endpoints").unwrap();
        if source.is_some() {
            // An action gets it without the white space around it.
            assert_eq!(list.trim(), raw.trim());
        }
        let is_expression = source.is_none() || raw.contains("${{");
        let outcome = match (endpoints(raw), is_expression) {
            (Some(_), false) if taken.lost.is_empty() => "Harden-Runner: the same",
            (Some(_), false) => "Harden-Runner: the same, with what a word means told",
            (_, true) => "Harden-Runner: an expression, as it was",
            (None, false) => {
                assert!(!taken.lost.is_empty(), "{raw}");
                "Harden-Runner: not read by Runward, and told so"
            }
        };
        *counts.entry(outcome).or_default() += 1;
    }
    eprintln!("{} inputs: {counts:#?}", rows.len());
    // What an expression gives can't be known; all but a few of the others mean the same, and the few are told.
    let expressions = counts["Harden-Runner: an expression, as it was"];
    let same = counts["Harden-Runner: the same"] + counts["bullfrog: the same"];
    assert!((same + expressions) * 100 >= rows.len() * 99, "{counts:?}");
}

#[test]
fn every_real_list_means_the_same_in_the_words_of_each_tool() {
    let Some(rows) = rows(
        "every_real_list_means_the_same_in_the_words_of_each_tool",
        "allowlists.jsonl",
    ) else {
        return;
    };
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for row in &rows {
        let list = row["allowed_endpoints"].as_array().unwrap();
        let list: Vec<&str> = list.iter().filter_map(Value::as_str).collect();
        for tool in [
            "step-security/harden-runner",
            "bullfrogsec/bullfrog",
            "cycodelabs/cimon-action",
        ] {
            let outcome = as_tool(row, tool, &list);
            *counts.entry(format!("{tool}: {outcome}")).or_default() += 1;
        }
    }
    eprintln!("{} lists: {counts:#?}", rows.len());
    for tool in [
        "step-security/harden-runner",
        "bullfrogsec/bullfrog",
        "cycodelabs/cimon-action",
    ] {
        let same = counts[&format!("{tool}: the same")];
        assert!(same * 100 >= rows.len() * 90, "{counts:?}");
    }
}

/// One row as a step of a tool, with the row's own inputs; says what came of it.
fn as_tool(row: &Value, tool: &str, list: &[&str]) -> &'static str {
    let uses = match row["uses"].as_str() {
        Some(uses) if uses.starts_with(tool) => uses.to_owned(),
        _ => format!("{tool}@v1"),
    };
    let pad = " ".repeat(10);
    let mut inputs = String::new();
    if tool.starts_with("step-security") {
        for (name, value) in row["inputs"].as_object().unwrap() {
            inputs.push_str(&format!("{pad}{name}: {}\n", value.as_str().unwrap()));
        }
        inputs.push_str(&format!("{pad}allowed-endpoints: >\n"));
        for word in list {
            inputs.push_str(&format!("{pad}  {word}\n"));
        }
        let taken = take(&Workflow::new(&uses, 10, &inputs, ""), tool);
        let text = list.join(" ");
        let now = input(&taken.new, "allowed-endpoints").unwrap();
        assert_eq!(endpoints(now), endpoints(&text), "{text}");
        let had_mode = !row["inputs"]["egress-policy"].is_null();
        let added = taken.new.len() - taken.old.len();
        assert_eq!(added, usize::from(!had_mode), "{inputs}");
        return match (endpoints(&text), taken.lost.is_empty()) {
            (Some(_), true) => "the same",
            (Some(_), false) => "the same, with what a word means told",
            (None, _) if text.contains("${{") => "an expression, as it was",
            (None, lost_nothing) => {
                assert!(!lost_nothing, "{text}");
                "not read by Runward, and told so"
            }
        };
    }
    // These two know hosts without ports, and addresses apart.
    let hosts: Vec<&str> = list
        .iter()
        .filter(|word| !word.contains("${{"))
        .copied()
        .collect();
    let hosts: Vec<&str> = hosts
        .iter()
        .map(|word| word.split_once(':').map_or(*word, |(host, _)| host))
        .collect();
    let is_address = |host: &&&str| {
        host.starts_with(|c: char| c.is_ascii_digit()) && host.parse::<std::net::Ipv4Addr>().is_ok()
    };
    let addresses: Vec<&str> = hosts.iter().filter(is_address).copied().collect();
    let names: Vec<&str> = hosts
        .iter()
        .filter(|host| !is_address(host))
        .copied()
        .collect();
    if tool.starts_with("bullfrogsec") {
        inputs.push_str(&format!(
            "{pad}egress-policy: block\n{pad}allowed-domains: |\n"
        ));
        for name in &names {
            inputs.push_str(&format!("{pad}  {name}\n"));
        }
        if !addresses.is_empty() {
            inputs.push_str(&format!(
                "{pad}allowed-ips: |\n{pad}  {}\n",
                addresses.join(&format!("\n{pad}  "))
            ));
        }
    } else {
        inputs.push_str(&format!(
            "{pad}prevent: true\n{pad}allowed-hosts: \"{}\" # ours\n",
            names.join(", ")
        ));
        if !addresses.is_empty() {
            inputs.push_str(&format!(
                "{pad}allowed-ips: >-\n{pad}  {}\n",
                addresses.join(" ")
            ));
        }
    }
    let taken = take(&Workflow::new(&uses, 10, &inputs, ""), tool);
    assert_eq!(input(&taken.new, "egress-policy"), Some("block"));
    let now = endpoints(input(&taken.new, "allowed-endpoints").unwrap()).unwrap();
    let mut expected = on_every_port(&addresses);
    let mut narrower = false;
    for name in &names {
        let has_inner_star = name.trim_start_matches("*.").contains('*');
        narrower |= has_inner_star;
        if Endpoint::parse(&format!("{name}:*/any"), Action::Allow).is_ok() && *name != "*" {
            expected.extend(on_every_port(&[name]));
            if has_inner_star && name.starts_with('*') && tool.starts_with("bullfrogsec") {
                expected.extend(on_every_port(&[&format!("*.{name}")]));
            }
        }
    }
    assert_eq!(now, expected, "{list:?}");
    if taken.lost.is_empty() {
        return "the same";
    }
    assert!(narrower, "{:?}", taken.lost);
    "a pattern that means less, and told so"
}
