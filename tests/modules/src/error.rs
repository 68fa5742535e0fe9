use std::fmt;
use std::path::PathBuf;

/// Why modules could not be built.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// There is no such module.
    Unknown(String),
    /// A file could not be read or written.
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// The C compiler could not be started.
    NoCompiler(std::io::Error),
    /// The C compiler failed.
    Compiler {
        /// The module.
        module: String,
        /// What it printed.
        output: String,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => write!(f, "no sample module is called {name}"),
            Self::Io { path, error } => write!(f, "{}: {error}", path.display()),
            Self::NoCompiler(error) => write!(f, "cannot start the C compiler gcc: {error}"),
            Self::Compiler { module, output } => write!(f, "compiling module {module} failed:\n{output}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { error, .. } | Self::NoCompiler(error) => Some(error),
            Self::Unknown(_) | Self::Compiler { .. } => None,
        }
    }
}
