//! Patterns of aliases: `*`, `?` and `[...]`, over names in which `-` is `_`.

use alloc::string::String;

/// `text` with `_` for every `-` outside brackets.
pub(crate) fn normal(text: &str) -> String {
    let mut inside = false;
    text.chars()
        .map(|char| {
            match char {
                '[' => inside = true,
                ']' => inside = false,
                '-' if !inside => return '_',
                _ => {}
            }
            char
        })
        .collect()
}

/// What `pattern` begins with for certain, up to and including the first `:`.
pub(super) fn start(pattern: &str) -> &str {
    match pattern.find(['*', '?', '[', '\\', ':']) {
        Some(at) if pattern.as_bytes()[at] == b':' => &pattern[..=at],
        _ => "",
    }
}

/// Every start under which a pattern that matches `text` can be filed.
pub(super) fn starts(text: &str) -> impl Iterator<Item = &str> {
    let own = text.find(':').map(|at| &text[..=at]);
    own.into_iter().chain([""])
}

/// Whether all of `text` matches `pattern`. Takes time in proportion to the product of their lengths at most.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // Where to go on after the last `*` took one more character.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let next = match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p + 1, t));
                p += 1;
                continue;
            }
            None if t == text.len() => return true,
            None => None,
            Some(_) => text.get(t).and_then(|&byte| one(&pattern[p..], byte)),
        };
        match (next, retry) {
            (Some(len), _) => {
                p += len;
                t += 1;
            }
            (None, Some((after, taken))) if taken < text.len() => {
                retry = Some((after, taken + 1));
                p = after;
                t = taken + 1;
            }
            _ => return false,
        }
    }
}

/// Bytes of the element at the start of `pattern`, if it matches `byte`.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern {
        [b'?', ..] => Some(1),
        [b'\\', escaped, ..] => (*escaped == byte).then_some(2),
        [b'[', rest @ ..] => match set(rest, byte) {
            Some((len, found)) => found.then_some(len + 1),
            // Without its end it stands for itself.
            None => (byte == b'[').then_some(1),
        },
        [plain, ..] => (*plain == byte).then_some(1),
        [] => None,
    }
}

/// Bytes of a set up to and including `]`, and whether `byte` is in it.
fn set(rest: &[u8], byte: u8) -> Option<(usize, bool)> {
    let negated = matches!(rest, [b'!' | b'^', ..]);
    let mut at = usize::from(negated);
    let (first, mut found) = (at, false);
    loop {
        match rest.get(at..)? {
            [b']', ..] if at > first => return Some((at + 1, found != negated)),
            [low, b'-', high, ..] if *high != b']' => {
                found |= (*low..=*high).contains(&byte);
                at += 3;
            }
            [single, ..] => {
                found |= *single == byte;
                at += 1;
            }
            [] => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_real_aliases() {
        for (pattern, text, expected) in [
            ("pci:v00008086d0000100Esv*sd*bc*sc*i*", "pci:v00008086d0000100Esv00001234sd00005678bc02sc00i00", true),
            ("pci:v00008086d0000100Esv*sd*bc*sc*i*", "pci:v00008086d0000100Fsv00001234sd00005678bc02sc00i00", false),
            ("usb:v046DpC52Bd*dc*dsc*dp*ic*isc*ip*in*", "usb:v046DpC52Bd1201dc00dsc00dp00ic03isc01ip01in00", true),
            ("usb:v0403p[8-9A-F]*", "usb:v0403p9", true),
            ("usb:v0403p[8-9A-F]*", "usb:v0403p7", false),
            ("fs_ext4", "fs_ext4", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("a?c", "abc", true),
            ("[!a]", "b", true),
            ("[!a]", "a", false),
            ("[]a]x", "]x", true),
            ("[", "[", true),
            ("*", "", true),
            ("", "", true),
            ("", "x", false),
            ("\\*", "*", true),
            ("\\*", "x", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn many_stars_take_no_exponential_time() {
        let pattern = "*a".repeat(200) + "b";
        assert!(!matches(&pattern, &"a".repeat(2000)));
    }

    #[test]
    fn dashes_are_underscores_but_not_in_sets() {
        assert_eq!(normal("snd-usb-audio"), "snd_usb_audio");
        assert_eq!(normal("usb:v[8-9]-x"), "usb:v[8-9]_x");
    }

    #[test]
    fn starts_of_patterns_are_found_from_texts() {
        assert_eq!((start("pci:v*"), start("fs_ext4"), start("p*:x")), ("pci:", "", ""));
        assert_eq!(starts("pci:v00").collect::<std::vec::Vec<_>>(), ["pci:", ""]);
    }
}
