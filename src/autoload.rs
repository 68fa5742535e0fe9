//! Autoload: an event asks for a module; its name is made here and policy is asked before any path is.

use crate::registry::{Class, Refusal};
use alloc::string::String;
use alloc::vec::Vec;

/// The event that asks for a module (netbsd: callers of `module_autoload`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trigger<'a> {
    /// A mount of a type that is not attached; `ufs` means `ffs`.
    Vfs(&'a str),
    /// An exec of a format, by the module's name: `exec_elf64`.
    Exec(&'a str),
    /// An open of a device whose driver is missing.
    Driver(&'a str),
    /// A network interface's base name: `tap` asks for `if_tap`.
    Interface(&'a str),
    /// An accept filter: `httpready` asks for `accf_httpready`.
    AcceptFilter(&'a str),
    /// A disk queue strategy, NetBSD 8.99 and later: `priocscan` asks for `bufq_priocscan`.
    BufferQueue(&'a str),
    /// A device-mapper target: `linear` asks for `dm_target_linear`.
    DeviceMapperTarget(&'a str),
    /// A PPP compressor, by the module's name.
    PppCompressor(&'a str),
    /// Any module by its name and class.
    Module {
        /// The name.
        name: &'a str,
        /// The class it must have.
        class: Class,
    },
}

impl Trigger<'_> {
    /// Name of the module asked for.
    #[must_use]
    pub fn module_name(&self) -> String {
        let (prefix, name) = match *self {
            Self::Vfs("ufs") => ("", "ffs"),
            Self::Vfs(name) | Self::Exec(name) | Self::Driver(name) | Self::PppCompressor(name) | Self::Module { name, .. } => {
                ("", name)
            }
            Self::Interface(name) => ("if_", name.trim_end_matches(|c: char| c.is_ascii_digit())),
            Self::AcceptFilter(name) => ("accf_", name),
            Self::BufferQueue(name) => ("bufq_", name),
            Self::DeviceMapperTarget(name) => ("dm_target_", name),
        };
        let mut full = String::from(prefix);
        full.push_str(name);
        full
    }

    /// Class the module must have.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Vfs(_) => Class::Vfs,
            Self::Exec(_) => Class::Exec,
            Self::Driver(_) | Self::Interface(_) => Class::Driver,
            Self::BufferQueue(_) => Class::BufferQueue,
            Self::DeviceMapperTarget(_) | Self::PppCompressor(_) => Class::Misc,
            Self::AcceptFilter(_) => Class::Any,
            Self::Module { class, .. } => *class,
        }
    }
}

/// Who may load what.
pub trait Policy: Send + Sync {
    /// Whether `trigger` may bring module `name` in.
    ///
    /// # Errors
    /// Why not.
    fn autoload(&self, trigger: &Trigger<'_>, name: &str) -> Result<(), Refusal>;

    /// Whether the server's own request may load or unload `name`.
    ///
    /// # Errors
    /// Why not.
    fn explicit(&self, name: &str) -> Result<(), Refusal> {
        let _ = name;
        Ok(())
    }

    /// Whether modules may be loaded at all, by autoload or explicitly: what `modctl(2)` answers to `MODCTL_EXISTS`.
    ///
    /// # Errors
    /// Why not.
    fn exists(&self, autoload: bool) -> Result<(), Refusal> {
        let _ = autoload;
        Ok(())
    }
}

/// Everything is allowed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Allow;

/// Nothing is loaded automatically.
#[derive(Clone, Copy, Debug, Default)]
pub struct Deny;

/// Only the modules listed are loaded automatically.
#[derive(Clone, Debug, Default)]
pub struct AllowList(pub Vec<String>);

impl Policy for Allow {
    fn autoload(&self, _trigger: &Trigger<'_>, _name: &str) -> Result<(), Refusal> {
        Ok(())
    }
}

impl Policy for Deny {
    fn autoload(&self, _trigger: &Trigger<'_>, _name: &str) -> Result<(), Refusal> {
        Err(Refusal::Policy)
    }

    fn exists(&self, autoload: bool) -> Result<(), Refusal> {
        if autoload { Err(Refusal::Policy) } else { Ok(()) }
    }
}

impl Policy for AllowList {
    fn autoload(&self, _trigger: &Trigger<'_>, name: &str) -> Result<(), Refusal> {
        if self.0.iter().any(|allowed| allowed == name) { Ok(()) } else { Err(Refusal::Policy) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statement_104_names_by_trigger() {
        assert_eq!(Trigger::Vfs("ufs").module_name(), "ffs");
        assert_eq!(Trigger::Vfs("cd9660").module_name(), "cd9660");
        assert_eq!(Trigger::Interface("tap0").module_name(), "if_tap");
        assert_eq!(Trigger::AcceptFilter("httpready").module_name(), "accf_httpready");
        assert_eq!(Trigger::Vfs("cd9660").class(), Class::Vfs);
    }
}
