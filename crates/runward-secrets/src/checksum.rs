//! Tokens that end in a checksum of themselves: a text that only looks like one is told apart.

/// Prefixes of GitHub and npm whose last six characters are a CRC-32 in base 62 of those before, without the prefix.
const WITH_CRC32: [&[u8]; 6] = [b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_", b"npm_"];
/// Letters and digits after the prefix.
const BODY: usize = 30;
const CHECKSUM: usize = 6;

/// Whether a token carries a checksum, and it is right.
pub(crate) fn is_right(token: &[u8]) -> bool {
    WITH_CRC32.iter().any(|prefix| {
        let Some(rest) = token.strip_prefix(*prefix) else {
            return false;
        };
        let Some((body, checksum)) = rest.split_at_checked(BODY) else {
            return false;
        };
        checksum == base62(crc32(body))
    })
}

/// CRC-32 as in IEEE 802.3. For thirty bytes, seldom: a table would be larger than the time it saves.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            let low = crc & 1;
            crc = (crc >> 1) ^ (0xEDB8_8320 * low);
        }
    }
    !crc
}

fn base62(mut number: u32) -> [u8; CHECKSUM] {
    let mut text = [b'0'; CHECKSUM];
    for place in text.iter_mut().rev() {
        let digit = u8::try_from(number % 62).unwrap_or(0);
        *place = match digit {
            0..=9 => b'0' + digit,
            10..=35 => b'A' + (digit - 10),
            _ => b'a' + (digit - 36),
        };
        number /= 62;
    }
    text
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A token with a right checksum that nobody gave out, made here so that it stands in no file.
    pub(crate) fn token(prefix: &str, body: &str) -> String {
        assert_eq!(body.len(), BODY);
        let checksum = base62(crc32(body.as_bytes()));
        format!("{prefix}{body}{}", str::from_utf8(&checksum).unwrap())
    }

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        // The check value of CRC-32/ISO-HDLC.
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(&base62(61 + 62 * 10), b"0000Az");
    }

    #[test]
    fn a_token_with_another_checksum_is_told_apart() {
        let right = token("ghp_", "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9b1c");
        assert!(is_right(right.as_bytes()));
        let mut wrong = right.into_bytes();
        wrong[8] ^= 1;
        assert!(!is_right(&wrong));
        assert!(!is_right(b"ghp_"));
        assert!(!is_right(b""));
    }
}
