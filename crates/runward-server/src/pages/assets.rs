//! The files that pages load, compiled in.

/// A file below `/assets/`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asset {
    /// Its name there.
    pub(crate) name: &'static str,
    /// The header `content-type`.
    pub(crate) content_type: &'static str,
    pub(crate) body: &'static str,
}

/// Every file that a page loads. They change with the version of the server only.
pub(crate) const ASSETS: &[Asset] = &[
    Asset {
        name: "style.css",
        content_type: "text/css; charset=utf-8",
        body: include_str!("../../assets/style.css"),
    },
    Asset {
        name: "icon.svg",
        content_type: "image/svg+xml",
        body: include_str!("../../assets/icon.svg"),
    },
    script("live.js", include_str!("../../assets/live.js")),
    script("copy.js", include_str!("../../assets/copy.js")),
    script("editor.js", include_str!("../../assets/editor.js")),
    script("processes.js", include_str!("../../assets/processes.js")),
];

const fn script(name: &'static str, body: &'static str) -> Asset {
    Asset {
        name,
        content_type: "text/javascript; charset=utf-8",
        body,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_them_loads_from_elsewhere_or_makes_markup_of_text() {
        for asset in ASSETS {
            let text = asset.body.replace("http://www.w3.org/2000/svg", "");
            for banned in [
                "http://",
                "https://",
                "@import",
                "url(",
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "Function(",
                "import(",
            ] {
                assert!(!text.contains(banned), "{}: {banned}", asset.name);
            }
        }
    }
}
