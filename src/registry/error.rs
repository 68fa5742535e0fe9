//! Why a request about modules failed.

use crate::errno;
use crate::error::LinkError;
use crate::properties::PropertiesError;
use crate::resource::{EtfsError, HostError, host_errno};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// Why policy said no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// Autoload is switched off.
    AutoloadOff,
    /// The name holds `/`, `@` or `.`.
    BadCharacter,
    /// The policy denies this module.
    Policy,
    /// The module's property list says `noautoload`.
    NoAutoload,
    /// The built-in was unloaded by a user and must be forced.
    MustForce,
    /// Built-in security models stay.
    SecurityModel,
}

/// Why a request about modules failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The module file could not be found or read.
    File {
        /// The module asked for.
        module: String,
        /// The path inside the instance that was tried.
        path: String,
        /// What went wrong.
        error: EtfsError,
    },
    /// The file is not a module that can be linked here.
    Link {
        /// The module asked for.
        module: String,
        /// Its path inside the instance.
        path: String,
        /// What is wrong, and where.
        error: LinkError,
    },
    /// The object is for another machine.
    Machine {
        /// The module asked for.
        module: String,
        /// The machine it is for.
        found: crate::arch::Machine,
    },
    /// A requirement could not be loaded.
    Requirement {
        /// The module that requires it.
        module: String,
        /// The requirement.
        required: String,
        /// Why not.
        cause: Box<Error>,
    },
    /// The module was built for another kernel version.
    Version {
        /// The module.
        module: String,
        /// The version it was built for.
        built_for: u32,
        /// The instance's version.
        kernel: u32,
    },
    /// The module is of another class than the one asked for.
    Class {
        /// The module.
        module: String,
        /// Its class.
        found: u32,
        /// The class asked for.
        wanted: u32,
    },
    /// A class the version does not know.
    BadClass {
        /// The module.
        module: String,
        /// Its class.
        found: u32,
    },
    /// A requirement's file holds a module of another name.
    WrongName {
        /// The name asked for.
        wanted: String,
        /// The name in the module.
        found: String,
    },
    /// A name is too long or otherwise no module name.
    BadName {
        /// The name.
        name: String,
        /// `EINVAL` or `ENAMETOOLONG`.
        errno: i32,
    },
    /// More requirements than the version allows.
    TooManyRequirements {
        /// The module.
        module: String,
    },
    /// Loads nested deeper than the version allows.
    TooDeep {
        /// The module whose load would be too deep.
        module: String,
    },
    /// A module requires itself, through the modules listed.
    Cycle {
        /// From the module asked for to the one that closes the cycle.
        path: Vec<String>,
    },
    /// The property list cannot be used.
    Properties {
        /// The module.
        module: String,
        /// Path of the list inside the instance.
        path: String,
        /// What is wrong.
        error: PropertiesError,
    },
    /// The property list is too large.
    PropertiesTooLarge {
        /// The module.
        module: String,
        /// Path of the list inside the instance.
        path: String,
    },
    /// Not allowed.
    Refused {
        /// The module.
        module: String,
        /// Why not.
        why: Refusal,
    },
    /// A module of that name is active.
    Exists {
        /// The module.
        module: String,
    },
    /// The module defines globals that exist already.
    Redefined {
        /// The module.
        module: String,
        /// The symbols, after renaming.
        symbols: Vec<String>,
    },
    /// No active module of that name.
    NotActive {
        /// The name.
        module: String,
    },
    /// The module is in use.
    Busy {
        /// The module.
        module: String,
        /// How many references it has.
        references: u32,
    },
    /// The module's init refused.
    Init {
        /// The module.
        module: String,
        /// What it returned.
        errno: i32,
    },
    /// The module's fini refused.
    Fini {
        /// The module.
        module: String,
        /// What it returned.
        errno: i32,
    },
    /// A failed load could not take back a requirement it had brought in: the requirement refused to finish.
    NotRolledBack {
        /// The requirements that stayed.
        modules: Vec<String>,
        /// Why the load failed.
        cause: Box<Error>,
    },
    /// An argument outside what is documented.
    Invalid {
        /// What is wrong.
        why: &'static str,
        /// The errno of the case.
        errno: i32,
    },
    /// An etfs mapping failed.
    Etfs {
        /// The key.
        key: String,
        /// Why.
        error: EtfsError,
    },
    /// The host refused something the instance needs.
    Host {
        /// What was to be done.
        what: &'static str,
        /// The host's error.
        error: HostError,
    },
    /// The instance has ended and can only be dropped.
    Ended {
        /// Why: the module's panic message, the trap, the fault.
        reason: String,
    },
}

impl Error {
    /// The errno that NetBSD documents for the case.
    #[must_use]
    pub fn errno(&self) -> i32 {
        match self {
            Self::File { error, .. } | Self::Etfs { error, .. } => error.errno(),
            Self::Link { error, .. } => error.errno(),
            Self::Requirement { cause, .. } | Self::NotRolledBack { cause, .. } => cause.errno(),
            Self::Version { .. } => errno::EPROGMISMATCH,
            Self::Class { .. } | Self::WrongName { .. } | Self::NotActive { .. } => errno::ENOENT,
            Self::BadClass { .. } | Self::TooManyRequirements { .. } | Self::Properties { .. } => errno::EINVAL,
            Self::BadName { errno, .. } | Self::Invalid { errno, .. } => *errno,
            Self::Machine { .. } | Self::Redefined { .. } => errno::ENOEXEC,
            Self::TooDeep { .. } => errno::EMLINK,
            Self::Cycle { .. } => errno::EDEADLK,
            Self::PropertiesTooLarge { .. } => errno::EFBIG,
            Self::Refused { .. } => errno::EPERM,
            Self::Exists { .. } => errno::EEXIST,
            Self::Busy { .. } => errno::EBUSY,
            Self::Init { errno, .. } | Self::Fini { errno, .. } => *errno,
            Self::Host { error, .. } => host_errno(error.kind()),
            Self::Ended { .. } => errno::EIO,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AutoloadOff => "autoload is switched off",
            Self::BadCharacter => "the name holds a character that autoload refuses",
            Self::Policy => "the policy denies it",
            Self::NoAutoload => "its property list says noautoload",
            Self::MustForce => "it was unloaded by a user and must be forced",
            Self::SecurityModel => "built-in security models stay",
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { module, path, error } => write!(f, "module {module}: looked for {path}: {error}"),
            Self::Link { module, path, error } => write!(f, "module {module} ({path}): {error}"),
            Self::Machine { module, found } => write!(f, "module {module} is for {found}"),
            Self::Requirement { module, required, cause } => write!(f, "module {module} requires {required}: {cause}"),
            Self::Version { module, built_for, kernel } => {
                write!(f, "module {module} was built for kernel version {built_for}, this is {kernel}")
            }
            Self::Class { module, found, wanted } => {
                write!(f, "module {module} is of class {found}, class {wanted} was asked for")
            }
            Self::BadClass { module, found } => write!(f, "module {module} has unknown class {found}"),
            Self::WrongName { wanted, found } => write!(f, "the file of module {wanted} holds module {found}"),
            Self::BadName { name, .. } => write!(f, "bad module name {name:?}"),
            Self::TooManyRequirements { module } => write!(f, "module {module} has too many requirements"),
            Self::TooDeep { module } => write!(f, "module {module} would be nested too deeply"),
            Self::Cycle { path } => {
                f.write_str("modules require each other: ")?;
                for (index, module) in path.iter().enumerate() {
                    write!(f, "{}{module}", if index == 0 { "" } else { " -> " })?;
                }
                Ok(())
            }
            Self::Properties { module, path, error } => write!(f, "module {module}: property list {path}: {error}"),
            Self::PropertiesTooLarge { module, path } => write!(f, "module {module}: property list {path} is too large"),
            Self::Refused { module, why } => write!(f, "module {module} was refused: {why}"),
            Self::Exists { module } => write!(f, "module {module} is active"),
            Self::Redefined { module, symbols } => {
                write!(f, "module {module} redefines")?;
                symbols.iter().try_for_each(|symbol| write!(f, " {symbol}"))
            }
            Self::NotActive { module } => write!(f, "no active module {module}"),
            Self::Busy { module, references } => write!(f, "module {module} is in use ({references} references)"),
            Self::Init { module, errno } => write!(f, "module {module}: init failed with errno {errno}"),
            Self::Fini { module, errno } => write!(f, "module {module}: fini refused with errno {errno}"),
            Self::NotRolledBack { modules, cause } => {
                write!(f, "{cause}; these requirements refused to finish and stay:")?;
                modules.iter().try_for_each(|module| write!(f, " {module}"))
            }
            Self::Invalid { why, .. } => f.write_str(why),
            Self::Etfs { key, error } => write!(f, "etfs key {key}: {error}"),
            Self::Host { what, error } => write!(f, "{what}: {error}"),
            Self::Ended { reason } => write!(f, "the instance has ended: {reason}"),
        }
    }
}

impl core::error::Error for Error {}
