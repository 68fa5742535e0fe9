use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use rumpload::error::LinkError;
use rumpload::linux::Refused;
use rumpload::registry::Refusal;
use rumpload::resource::HostError;

/// Why a request failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The store holds no module, so there is nothing to be a kernel for.
    NoModules,
    /// Modules were built for a kernel whose layouts are not known here.
    Release {
        /// What they were built for.
        vermagic: String,
    },
    /// No module of that name is in the store.
    NotFound {
        /// The name.
        module: String,
    },
    /// No module offers what was asked for.
    NoProvider {
        /// The symbol, algorithm or character set.
        wanted: String,
    },
    /// A module's file could not be read.
    File {
        /// Its path in the store.
        path: String,
        /// Why not.
        error: HostError,
    },
    /// A module's file is larger than any module.
    TooLarge {
        /// Its path in the store.
        path: String,
        /// Its length in bytes.
        size: u64,
    },
    /// The file is not a module that can be linked here.
    Link {
        /// The module.
        module: String,
        /// What is wrong, and where.
        error: LinkError,
    },
    /// The module may not be linked here.
    Refused(Refused),
    /// The server's policy says no.
    Policy {
        /// The module.
        module: String,
        /// Why.
        why: Refusal,
    },
    /// A module that this one depends on could not be loaded.
    Dependency {
        /// The module.
        module: String,
        /// What it depends on.
        required: String,
        /// Why not.
        cause: Box<Error>,
    },
    /// Modules depend on each other, or a module's init asked for what waits for it.
    Cycle {
        /// The module that is on its way already.
        module: String,
    },
    /// The file's module has another name than the file.
    WrongName {
        /// The name asked for.
        wanted: String,
        /// The name in the module.
        found: String,
    },
    /// The module exports what is exported already.
    Redefined {
        /// The module.
        module: String,
        /// The symbols.
        symbols: Vec<String>,
    },
    /// The module has no such parameter, or its value is none.
    Parameter {
        /// The module.
        module: String,
        /// The parameter.
        parameter: String,
        /// Linux's error number.
        errno: i32,
    },
    /// The module's init failed.
    Init {
        /// The module.
        module: String,
        /// Linux's error number.
        errno: i32,
    },
    /// The module is active already.
    Exists {
        /// The module.
        module: String,
    },
    /// No such module is active.
    NotActive {
        /// The module.
        module: String,
    },
    /// The module is in use, or on its way in or out.
    Busy {
        /// The module.
        module: String,
        /// How often it is used.
        references: u32,
    },
    /// The module has an init and no exit: it stays.
    Permanent {
        /// The module.
        module: String,
    },
    /// No algorithm or character set of that name is registered.
    NotRegistered {
        /// The name.
        name: String,
    },
    /// A function of a module answered with an error.
    Failed {
        /// The algorithm.
        name: String,
        /// Linux's error number.
        errno: i32,
    },
    /// The algorithm wants a key first.
    NoKey {
        /// The algorithm.
        name: String,
    },
    /// An argument is outside what the method documents.
    Invalid(&'static str),
    /// The host did not do its part.
    Host {
        /// What was wanted.
        what: &'static str,
        /// Why not.
        error: HostError,
    },
    /// Module code has ended the instance.
    Ended {
        /// Why.
        reason: String,
    },
    /// The instance could not be made.
    Instance(rumpload::Error),
}

impl From<rumpload::Error> for Error {
    fn from(error: rumpload::Error) -> Self {
        match error {
            rumpload::Error::Ended { reason } => Self::Ended { reason },
            other => Self::Instance(other),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoModules => write!(f, "the module directory holds no module (*.ko)"),
            Self::Release { vermagic } => {
                write!(f, "the modules were built for \"{vermagic}\", a kernel whose layouts are not known here")
            }
            Self::NotFound { module } => write!(f, "there is no module {module} in the module directory"),
            Self::NoProvider { wanted } => write!(f, "no module in the module directory offers {wanted}"),
            Self::File { path, error } => write!(f, "{path}: {error}"),
            Self::TooLarge { path, size } => write!(f, "{path} has {size} bytes, more than any module"),
            Self::Link { module, error } => write!(f, "{module}: {error}"),
            Self::Refused(why) => why.fmt(f),
            Self::Policy { module, why } => write!(f, "loading {module} was refused: {why}"),
            Self::Dependency { module, required, cause } => write!(f, "{module} depends on {required}: {cause}"),
            Self::Cycle { module } => write!(f, "{module} is wanted by something that it waits for"),
            Self::WrongName { wanted, found } => write!(f, "the file of {wanted} holds a module called {found}"),
            Self::Redefined { module, symbols } => write!(f, "{module} exports what is exported already: {}", symbols.join(" ")),
            Self::Parameter { module, parameter, errno } => {
                write!(f, "{module} does not take the parameter {parameter} (error {errno})")
            }
            Self::Init { module, errno } => write!(f, "the init of {module} failed with error {errno}"),
            Self::Exists { module } => write!(f, "{module} is active already"),
            Self::NotActive { module } => write!(f, "{module} is not active"),
            Self::Busy { module, references } => write!(f, "{module} is in use ({references} references)"),
            Self::Permanent { module } => write!(f, "{module} has no exit and cannot be unloaded"),
            Self::NotRegistered { name } => write!(f, "{name} is not registered"),
            Self::Failed { name, errno } => write!(f, "{name} answered with error {errno}"),
            Self::NoKey { name } => write!(f, "{name} wants a key first"),
            Self::Invalid(why) => f.write_str(why),
            Self::Host { what, error } => write!(f, "{what}: {error}"),
            Self::Ended { reason } => write!(f, "the instance has ended: {reason}"),
            Self::Instance(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::File { error, .. } | Self::Host { error, .. } => Some(error),
            Self::Link { error, .. } => Some(error),
            Self::Refused(error) => Some(error),
            Self::Dependency { cause, .. } => Some(cause),
            Self::Instance(error) => Some(error),
            _ => None,
        }
    }
}
