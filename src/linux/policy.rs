//! Which modules may come by themselves: a deny-list, and an allow-list if there is one.

use super::index::Indexed;
use super::pattern;
use alloc::collections::BTreeSet;
use alloc::string::String;

/// Names of modules that may or may not be loaded because an alias asked for them. What is asked for by its own name, or
/// needed by such a module, is not affected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AliasPolicy {
    denied: BTreeSet<String>,
    allowed: Option<BTreeSet<String>>,
}

impl AliasPolicy {
    /// Everything may.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// `name` may not.
    pub fn deny(&mut self, name: &str) {
        self.denied.insert(pattern::normal(name));
    }

    /// `name` may; once this was called, nothing else may.
    pub fn allow(&mut self, name: &str) {
        self.allowed.get_or_insert_default().insert(pattern::normal(name));
    }

    /// Denies what the `blacklist` lines of `text`, a file of `modprobe.d`, name. Other lines mean nothing here.
    pub fn read(&mut self, text: &str) {
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            if let (Some("blacklist"), Some(name)) = (words.next(), words.next()) {
                self.deny(name);
            }
        }
    }

    /// Whether `module` may.
    #[must_use]
    pub fn permits(&self, module: &Indexed) -> bool {
        !self.denied.contains(&module.name) && self.allowed.as_ref().is_none_or(|allowed| allowed.contains(&module.name))
    }
}
