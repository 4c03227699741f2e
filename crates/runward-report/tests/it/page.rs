//! `report.html`: one file that loads nothing and runs nothing but its own script.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use runward_report::{Report, html};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::sample;

#[test]
fn the_policy_names_the_blocks_by_their_hashes() {
    let page = html(&sample());
    let policy = between(&page, "Content-Security-Policy\" content=\"", "\">");
    let policy = policy.replace("&#39;", "'");
    for (directive, block) in [
        (
            "script-src",
            between(&page, "<script type=\"module\">", "</script>"),
        ),
        ("style-src", between(&page, "<style>", "</style>")),
    ] {
        assert!(!block.is_empty());
        let hash = STANDARD.encode(Sha256::digest(block.as_bytes()));
        assert!(
            policy.contains(&format!("{directive} 'sha256-{hash}'")),
            "{policy}"
        );
    }
    assert!(policy.starts_with("default-src 'none';"));
    assert!(!policy.contains("unsafe"));
}

/// What stands between `<` and `>`.
fn tags(page: &str) -> String {
    let tags = page.split('<').filter_map(|part| part.split_once('>'));
    tags.map(|(tag, _)| tag).collect::<Vec<_>>().join("\n")
}

#[test]
fn nothing_is_loaded_from_anywhere() {
    // All that is not from the job: tags, styles, script. What a job writes is text, which no browser follows.
    let empty = html(&Report::default());
    let shell = empty.replace(data(&empty), "") + &tags(&html(&sample()));
    for reference in [
        "http:", "https:", "src=", "url(", "@import", "import(", "fetch(", "<link", "<iframe",
    ] {
        assert!(!shell.contains(reference), "{reference}");
    }
    for handler in [
        " onclick=",
        " onload=",
        " style=\"",
        "innerHTML",
        "eval(",
        "document.write",
    ] {
        assert!(!shell.contains(handler), "{handler}");
    }
}

#[test]
fn the_data_is_whole() {
    let report = sample();
    let page = html(&report);
    let data: Value = serde_json::from_str(data(&page)).unwrap();
    assert_eq!(
        data["processes"]["pid"].as_array().unwrap().len(),
        report.processes.len()
    );
    assert_eq!(
        data["network"]["time"].as_array().unwrap().len(),
        report.network_events.len()
    );
    assert_eq!(
        data["files"]["time"].as_array().unwrap().len(),
        report.file_events.len()
    );
    assert_eq!(data["strings"][0], "");

    // Parents stand before their children, as the script relies on.
    for (row, parent) in data["processes"]["parent"]
        .as_array()
        .unwrap()
        .iter()
        .enumerate()
    {
        assert!(parent.as_i64().unwrap() < row as i64);
    }
    let texts: Vec<&str> = data["strings"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert!(texts.contains(&"X-Note: </script><img src=x onerror=alert(1)>"));
    assert!(texts.contains(&"zero\u{200b}width"));
}

#[test]
fn the_page_tells_the_main_things_without_scripts() {
    let page = html(&sample());
    let page = page.split("<script").next().unwrap();
    for text in [
        "57 processes, 8 destinations",
        "<noscript>",
        "registry.npmjs.example:443",
        "Events were lost.",
    ] {
        assert!(page.contains(text), "{text}");
    }
}

fn data(page: &str) -> &str {
    between(page, "id=\"data\">", "</script>")
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let from = text.find(start).unwrap() + start.len();
    let length = text[from..].find(end).unwrap();
    &text[from..from + length]
}
