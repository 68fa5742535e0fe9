//! Stage 2, rename: which symbols live in the namespace.
//!
//! A symbol is a pair (in the namespace, base name). String tables are never rewritten: the flag is folded into the hash and
//! into comparisons, and full names are made only for people.

use crate::image::Binding;
use alloc::string::String;

/// Names that begin with one of these are never moved (rump kernels' `kobj_rename`, revision 1.2).
const EXEMPT: [&str; 4] = ["RUMP", "rump", "__", "_GLOBAL_OFFSET_TABLE"];
/// Exempt from revision 1.3 (February 2020) on.
const EXEMPT_SINCE_2020: &str = ".TOC.";

/// Which names are exempt from renaming.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExemptRules {
    /// As up to NetBSD 9: `.TOC.` is renamed.
    Before2020,
    /// As from NetBSD 10 on: `.TOC.` stays.
    Since2020,
}

/// A prefix and the rule of which names get it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace {
    prefix: String,
    rules: ExemptRules,
}

/// A symbol's name after renaming, as a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name<'a> {
    /// Whether the full name begins with the namespace's prefix.
    pub in_namespace: bool,
    /// The name without that prefix.
    pub base: &'a str,
}

impl Namespace {
    /// The namespace of `prefix`; an empty prefix renames nothing.
    #[must_use]
    pub fn new(prefix: &str, rules: ExemptRules) -> Self {
        Self { prefix: prefix.into(), rules }
    }

    /// The namespace that leaves all names alone.
    #[must_use]
    pub fn none() -> Self {
        Self::new("", ExemptRules::Since2020)
    }

    /// The prefix.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether a global called `raw` keeps its name.
    #[must_use]
    pub fn exempts(&self, raw: &str) -> bool {
        EXEMPT.iter().any(|exempt| raw.starts_with(exempt))
            || (self.rules == ExemptRules::Since2020 && raw.starts_with(EXEMPT_SINCE_2020))
    }

    /// What the symbol `raw` of the given binding is called: only globals move. A name that is exempt and begins with the
    /// prefix itself means the same symbol as its base name moved.
    #[inline]
    #[must_use]
    pub fn name<'a>(&self, binding: Binding, raw: &'a str) -> Name<'a> {
        if self.prefix.is_empty() {
            return Name { in_namespace: false, base: raw };
        }
        if binding == Binding::Global && !self.exempts(raw) {
            return Name { in_namespace: true, base: raw };
        }
        match raw.strip_prefix(self.prefix.as_str()) {
            Some(base) => Name { in_namespace: true, base },
            None => Name { in_namespace: false, base: raw },
        }
    }

    /// The full name.
    #[must_use]
    pub fn full(&self, name: Name<'_>) -> String {
        let mut full = String::new();
        if name.in_namespace {
            full.push_str(&self.prefix);
        }
        full.push_str(name.base);
        full
    }
}

impl Name<'_> {
    /// A hash for export tables: one pass over the base name, the flag folded in.
    #[inline]
    #[must_use]
    pub fn hash(&self) -> u64 {
        const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut state = if self.in_namespace { FACTOR } else { 0 };
        let mut mix = |word: u64| state = (state.rotate_left(5) ^ word).wrapping_mul(FACTOR);
        let (words, rest) = self.base.as_bytes().as_chunks::<8>();
        for word in words {
            mix(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        mix(u64::from_le_bytes(last) ^ (self.base.len() as u64) << 56);
        state ^ state >> 32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full(raw: &str, binding: Binding) -> String {
        let namespace = Namespace::new("rumpns_", ExemptRules::Before2020);
        namespace.full(namespace.name(binding, raw))
    }

    #[test]
    fn statement_077_globals_move() {
        assert_eq!(full("foo", Binding::Global), "rumpns_foo");
    }

    #[test]
    fn statement_078_exempt_names_stay() {
        for raw in ["__foo", "rump_foo", "rumpuser_foo", "rumpns_foo", "RUMP_foo", "_GLOBAL_OFFSET_TABLE_"] {
            assert_eq!(full(raw, Binding::Global), raw);
        }
    }

    #[test]
    fn statement_079_single_underscore_moves() {
        assert_eq!(full("_foo", Binding::Global), "rumpns__foo");
        assert_eq!(full("Rump", Binding::Global), "rumpns_Rump");
    }

    #[test]
    fn statement_080_rump_is_a_plain_prefix() {
        assert_eq!(full("rumpfs_x", Binding::Global), "rumpfs_x");
    }

    #[test]
    fn statement_081_toc_by_version() {
        assert_eq!(full(".TOC.", Binding::Global), "rumpns_.TOC.");
        let since = Namespace::new("rumpns_", ExemptRules::Since2020);
        assert_eq!(since.full(since.name(Binding::Global, ".TOC.")), ".TOC.");
    }

    #[test]
    fn statement_082_local_and_weak_stay() {
        assert_eq!(full("foo", Binding::Local), "foo");
        assert_eq!(full("foo", Binding::Weak), "foo");
    }

    #[test]
    fn a_prefixed_name_means_the_moved_symbol() {
        let namespace = Namespace::new("rumpns_", ExemptRules::Before2020);
        let moved = namespace.name(Binding::Global, "foo");
        let named = namespace.name(Binding::Global, "rumpns_foo");
        assert_eq!(moved, named);
        assert_eq!(moved.hash(), named.hash());
        assert_ne!(moved.hash(), namespace.name(Binding::Local, "foo").hash());
    }
}
