//! Symbols move into a namespace without a string table ever being rewritten.
//!
//! A symbol is a pair (in the namespace, base name). The prefix takes part in comparison and hash as that one bit; the full
//! name is only built for listings.

use alloc::string::String;

/// Which global names keep their spelling, by the age of the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExemptRules {
    /// `RUMP`, `rump`, `__` and `_GLOBAL_OFFSET_TABLE` at the start of a name.
    Before2020,
    /// These and `.TOC.`.
    Since2020,
}

/// A prefix that global symbols get, and the rule which of them are exempt. A value: two may live side by side.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Namespace {
    prefix: String,
    rules: ExemptRules,
}

/// A symbol's name in normal form: equal full names are equal values, whatever their spelling in the file.
///
/// An exempt name that starts with the prefix itself is in the namespace, under the rest of the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name<'a> {
    /// True if the full name starts with the prefix of the namespace.
    pub in_namespace: bool,
    /// What follows the prefix, or the whole name.
    pub base: &'a str,
}

impl Namespace {
    /// The namespace with `prefix`; an empty one renames nothing.
    pub fn new(prefix: &str, rules: ExemptRules) -> Self {
        Self { prefix: prefix.into(), rules }
    }

    /// Every name as it is.
    pub const fn none() -> Self {
        Self { prefix: String::new(), rules: ExemptRules::Since2020 }
    }

    /// The prefix.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The rules.
    pub fn rules(&self) -> ExemptRules {
        self.rules
    }

    /// The name a symbol called `raw` in a file has here. Only symbols of global binding are renamed.
    #[inline]
    pub fn name<'a>(&self, binding_is_global: bool, raw: &'a str) -> Name<'a> {
        if self.prefix.is_empty() {
            return Name { in_namespace: false, base: raw };
        }
        if binding_is_global && !self.exempt(raw) {
            return Name { in_namespace: true, base: raw };
        }
        self.spelled(raw)
    }

    /// The name whose full spelling is `full`.
    #[inline]
    pub fn spelled<'a>(&self, full: &'a str) -> Name<'a> {
        match full.strip_prefix(self.prefix.as_str()) {
            Some(base) if !self.prefix.is_empty() => Name { in_namespace: true, base },
            _ => Name { in_namespace: false, base: full },
        }
    }

    /// The full spelling, for people and debuggers.
    pub fn full(&self, name: Name<'_>) -> String {
        let mut full = String::with_capacity(self.prefix.len() + name.base.len());
        if name.in_namespace {
            full.push_str(&self.prefix);
        }
        full.push_str(name.base);
        full
    }

    #[inline]
    fn exempt(&self, raw: &str) -> bool {
        // One byte decides for nearly every name.
        match raw.as_bytes().first() {
            Some(b'_') => raw.starts_with("__") || raw.starts_with("_GLOBAL_OFFSET_TABLE"),
            Some(b'r') => raw.starts_with("rump"),
            Some(b'R') => raw.starts_with("RUMP"),
            Some(b'.') => self.rules == ExemptRules::Since2020 && raw.starts_with(".TOC."),
            _ => false,
        }
    }
}

impl Name<'_> {
    /// A hash for tables of exports: one pass over the base name, eight bytes at a time.
    #[inline]
    pub fn hash(&self) -> u64 {
        const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
        let fold = |state: u64, word: u64| {
            let product = u128::from(state ^ word) * u128::from(MULTIPLIER);
            product as u64 ^ (product >> 64) as u64
        };
        let bytes = self.base.as_bytes();
        let mut state = fold(bytes.len() as u64 ^ 0x517c_c1b7_2722_0a95, u64::from(self.in_namespace));
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            state = fold(state, u64::from_le_bytes(*word));
        }
        let mut last = 0u64;
        for &byte in rest {
            last = last << 8 | u64::from(byte);
        }
        fold(state, last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    fn rump() -> Namespace {
        Namespace::new("rumpns_", ExemptRules::Before2020)
    }

    fn full(namespace: &Namespace, global: bool, raw: &str) -> String {
        namespace.full(namespace.name(global, raw))
    }

    #[test]
    fn statement_077_global_names_get_the_prefix() {
        assert_eq!(full(&rump(), true, "foo"), "rumpns_foo");
    }

    #[test]
    fn statement_078_exempt_names_stay() {
        for name in ["__foo", "rump_foo", "rumpuser_foo", "rumpns_foo", "RUMP_foo", "_GLOBAL_OFFSET_TABLE_"] {
            assert_eq!(full(&rump(), true, name), name);
        }
    }

    #[test]
    fn statement_079_near_misses_are_renamed() {
        assert_eq!(full(&rump(), true, "_foo"), "rumpns__foo");
        assert_eq!(full(&rump(), true, "Rump"), "rumpns_Rump");
        assert_eq!(full(&rump(), true, "_GLOBAL_OFFSET"), "rumpns__GLOBAL_OFFSET");
        assert_eq!(full(&rump(), true, "_end"), "rumpns__end");
    }

    #[test]
    fn statement_080_exemption_is_by_prefix() {
        assert_eq!(full(&rump(), true, "rumpfs_x"), "rumpfs_x");
    }

    #[test]
    fn statement_081_toc_depends_on_the_rules() {
        assert_eq!(full(&rump(), true, ".TOC."), "rumpns_.TOC.");
        assert_eq!(full(&Namespace::new("rumpns_", ExemptRules::Since2020), true, ".TOC."), ".TOC.");
    }

    #[test]
    fn statement_082_local_and_weak_names_stay() {
        assert_eq!(full(&rump(), false, "foo"), "foo");
    }

    #[test]
    fn normal_form_makes_equal_spellings_equal() {
        let namespace = rump();
        assert_eq!(namespace.name(true, "foo"), namespace.name(true, "rumpns_foo"));
        assert_eq!(namespace.name(true, "foo"), namespace.spelled("rumpns_foo"));
        assert_eq!(namespace.name(true, "foo").hash(), namespace.name(false, "rumpns_foo").hash());
        assert_ne!(namespace.name(true, "foo"), namespace.name(false, "foo"));
        assert_ne!(namespace.name(true, "foo").hash(), namespace.name(false, "foo").hash());
    }

    #[test]
    fn other_prefixes_and_none() {
        let other = Namespace::new("netbsd10_", ExemptRules::Since2020);
        assert_eq!(full(&other, true, "printf"), "netbsd10_printf");
        assert_eq!(full(&other, true, "rumpns_x"), "rumpns_x");
        assert_eq!(full(&Namespace::none(), true, "printf"), "printf");
        assert_eq!(Namespace::none().name(true, "x"), Namespace::none().spelled("x"));
    }

    #[test]
    fn hashes_differ_for_near_names() {
        let mut seen = std::collections::BTreeSet::new();
        for index in 0..20_000u32 {
            let name = index.to_string();
            assert!(seen.insert(Name { in_namespace: false, base: &name }.hash()));
            assert!(seen.insert(Name { in_namespace: true, base: &name }.hash()));
        }
    }
}
