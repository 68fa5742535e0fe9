//! Kernel versions: which modules fit, and what changed between releases (`__NetBSD_Version__`, `sys/param.h`).

use alloc::format;
use alloc::string::String;
use core::fmt;

/// A NetBSD version as `MMmmrrpp00`: 903000000 is 9.3, 799003400 is 7.99.34.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KernelVersion(pub u32);

/// The module system's rules as they changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Era {
    /// Up to 8.0: nine requirements, six levels.
    Netbsd7,
    /// From 8.99 on: explicit loads look for an active module of that name first.
    Netbsd8,
    /// From 9.99 on: no limits; classes are checked.
    Netbsd10,
}

impl KernelVersion {
    /// The rules of the version.
    #[must_use]
    pub fn era(self) -> Era {
        match self.0 {
            999_000_000.. => Era::Netbsd10,
            899_000_000.. => Era::Netbsd8,
            _ => Era::Netbsd7,
        }
    }

    /// Whether this is a development version.
    #[must_use]
    pub fn is_current(self) -> bool {
        self.0 / 1_000_000 % 100 == 99
    }

    /// Whether a module built for `module` fits: the very same version for a development kernel, a difference below 10000
    /// otherwise (`module(9)`, `module_compatible`).
    #[must_use]
    pub fn accepts(self, module: u32) -> bool {
        if self.is_current() { self.0 == module } else { self.0.abs_diff(module) < 10_000 }
    }

    /// The directory component of the version in the module path: `9.3`, `8.99.25`.
    #[must_use]
    pub fn directory(self) -> String {
        let (major, minor, patch) = (self.0 / 100_000_000, self.0 / 1_000_000 % 100, self.0 / 100 % 10_000);
        if self.is_current() { format!("{major}.{minor}.{patch}") } else { format!("{major}.{minor}") }
    }
}

impl Era {
    /// Most requirements a module may list.
    #[must_use]
    pub fn max_requirements(self) -> usize {
        if self >= Self::Netbsd10 { usize::MAX } else { 9 }
    }

    /// Most loads that may be nested.
    #[must_use]
    pub fn max_depth(self) -> usize {
        if self >= Self::Netbsd10 { usize::MAX } else { 6 }
    }
}

impl fmt::Display for KernelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.directory())
    }
}

#[cfg(test)]
mod tests {
    use super::KernelVersion;

    #[test]
    fn statement_029_030_031_which_versions_fit() {
        let release = KernelVersion(903_000_000);
        assert!(release.accepts(903_000_100) && release.accepts(903_009_900));
        assert!(!release.accepts(903_010_000) && !release.accepts(902_000_000));
        let current = KernelVersion(799_003_400);
        assert!(current.accepts(799_003_400));
        assert!(!current.accepts(799_003_500) && !current.accepts(799_003_401));
    }

    #[test]
    fn statement_091_directories() {
        assert_eq!(KernelVersion(903_000_000).directory(), "9.3");
        assert_eq!(KernelVersion(899_002_500).directory(), "8.99.25");
        assert_eq!(KernelVersion(799_003_400).directory(), "7.99.34");
        assert_eq!(KernelVersion(1_000_000_000).directory(), "10.0");
    }
}
