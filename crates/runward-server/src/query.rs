//! Text as a part of an address's query, or of a form.

/// Text in the place of a parameter's value.
pub(crate) fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
        encoded
    })
}

/// Parameters with their values.
pub(crate) fn pairs(pairs: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{name}={}", encoded(value)))
        .collect();
    pairs.join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_can_stand_in_another_one() {
        assert_eq!(
            pairs(&[("next", "/o/main/runs?q=a b&x=\"\r\n"), ("a", "b")]),
            "next=/o/main/runs%3Fq%3Da%20b%26x%3D%22%0D%0A&a=b"
        );
    }
}
