//! Whether a module may be linked here: built for this kernel, against these exports, signed as wanted.

use crate::error::LinkError;
use crate::image::{Binding, Definition, Image};
use crate::metadata::linux::{Modinfo, Signature, signature, versions};
use alloc::string::{String, ToString};
use core::fmt;

/// What is known of an export before it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Provider<'a> {
    /// Who exports it.
    pub owner: &'a str,
    /// The checksum of its type; `None` if the owner has none.
    pub crc: Option<u32>,
    /// True if only GPL modules may use it.
    pub gpl: bool,
    /// The namespace that users have to import; empty for none.
    pub namespace: &'a str,
}

/// Which signatures are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SignaturePolicy {
    /// None; one that is there is not looked at.
    #[default]
    Ignore,
    /// Every file has to carry one. Whether it is any good only a holder of keys can tell.
    Required,
}

/// What modules have to fit.
#[derive(Clone, Copy, Debug, Default)]
pub struct Admission<'a> {
    /// The `vermagic` they must have; `None` for any.
    pub vermagic: Option<&'a str>,
    /// Which signatures they must have.
    pub signature: SignaturePolicy,
}

/// Why a module may not be linked here.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused {
    /// Its file is broken.
    Link(LinkError),
    /// It was built for another kernel.
    Vermagic {
        /// The module.
        module: String,
        /// What it was built for.
        found: String,
        /// What is wanted here.
        wanted: String,
    },
    /// It was built against another version of a type.
    Version {
        /// The module.
        module: String,
        /// The symbol.
        symbol: String,
        /// Who exports it.
        owner: String,
        /// The checksum the module was built against.
        found: u32,
        /// The checksum of the export.
        wanted: u32,
    },
    /// It does not say which version of a type it was built against.
    NoVersion {
        /// The module.
        module: String,
        /// The symbol.
        symbol: String,
    },
    /// It uses what is exported to GPL modules only.
    GplOnly {
        /// The module.
        module: String,
        /// Its license.
        license: String,
        /// The symbol.
        symbol: String,
        /// Who exports it.
        owner: String,
    },
    /// It uses an export of a namespace that it does not import.
    Namespace {
        /// The module.
        module: String,
        /// The symbol.
        symbol: String,
        /// The namespace.
        namespace: String,
    },
    /// It is not signed.
    Unsigned {
        /// The module.
        module: String,
    },
    /// It claims to be signed, and there is no signature.
    BrokenSignature {
        /// The module.
        module: String,
    },
}

impl Admission<'_> {
    /// Checks what the file says of itself; `provider` tells what is known of an export, `None` if nobody exports it (linking
    /// will say so).
    ///
    /// # Errors
    /// [`Refused`], the first reason found.
    pub fn check<'p>(
        &self,
        image: &Image<'_>,
        info: &Modinfo<'_>,
        provider: impl Fn(&str) -> Option<Provider<'p>>,
    ) -> Result<(), Refused> {
        self.signature(image, info)?;
        self.vermagic(info)?;
        checksums(image, info, &provider)?;
        rights(image, info, &provider)
    }

    fn signature(&self, image: &Image<'_>, info: &Modinfo<'_>) -> Result<(), Refused> {
        let module = || info.name().to_string();
        match (self.signature, signature(image.bytes())) {
            (SignaturePolicy::Ignore, _) | (SignaturePolicy::Required, Signature::Appended { .. }) => Ok(()),
            (SignaturePolicy::Required, Signature::None) => Err(Refused::Unsigned { module: module() }),
            (SignaturePolicy::Required, Signature::Broken) => Err(Refused::BrokenSignature { module: module() }),
        }
    }

    fn vermagic(&self, info: &Modinfo<'_>) -> Result<(), Refused> {
        let found = info.vermagic().unwrap_or("").trim_end();
        match self.vermagic.map(str::trim_end) {
            Some(wanted) if wanted != found => {
                Err(Refused::Vermagic { module: info.name().into(), found: found.into(), wanted: wanted.into() })
            }
            _ => Ok(()),
        }
    }
}

fn checksums<'p>(image: &Image<'_>, info: &Modinfo<'_>, provider: &impl Fn(&str) -> Option<Provider<'p>>) -> Result<(), Refused> {
    for version in versions(image).map_err(Refused::Link)? {
        let Some(Provider { owner, crc: Some(wanted), .. }) = provider(version.name) else { continue };
        if wanted != version.crc {
            return Err(Refused::Version {
                module: info.name().into(),
                symbol: version.name.into(),
                owner: owner.into(),
                found: version.crc,
                wanted,
            });
        }
    }
    Ok(())
}

fn rights<'p>(image: &Image<'_>, info: &Modinfo<'_>, provider: &impl Fn(&str) -> Option<Provider<'p>>) -> Result<(), Refused> {
    let gpl = info.is_gpl();
    let versioned = versions(image).map_err(Refused::Link)?.next().is_some();
    for symbol in image.symbols() {
        if symbol.definition != Definition::Undefined || symbol.binding == Binding::Local || symbol.name.is_empty() {
            continue;
        }
        let Some(export) = provider(symbol.name) else { continue };
        let (module, name) = (|| info.name().to_string(), || symbol.name.to_string());
        if export.gpl && !gpl {
            let license = info.get("license").unwrap_or("").to_string();
            return Err(Refused::GplOnly { module: module(), license, symbol: name(), owner: export.owner.into() });
        }
        if !export.namespace.is_empty() && !info.imported_namespaces().any(|namespace| namespace == export.namespace) {
            let namespace = export.namespace.to_string();
            return Err(Refused::Namespace { module: module(), symbol: name(), namespace });
        }
        if export.crc.is_some() && !versioned {
            return Err(Refused::NoVersion { module: module(), symbol: name() });
        }
    }
    Ok(())
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link(error) => error.fmt(f),
            Self::Vermagic { module, found, wanted } => write!(
                f,
                "{module} was built for \"{found}\", this kernel is \"{wanted}\": install the module package of this kernel, or \
                 rebuild the module against its headers"
            ),
            Self::Version { module, symbol, owner, found, wanted } => write!(
                f,
                "{module} was built against another version of {symbol} (checksum {found:#010x}, {owner} exports {wanted:#010x}): \
                 rebuild {module} against the headers of the kernel that {owner} comes from"
            ),
            Self::NoVersion { module, symbol } => write!(
                f,
                "{module} does not say which version of {symbol} it was built against: rebuild it with CONFIG_MODVERSIONS and the \
                 kernel's Module.symvers"
            ),
            Self::GplOnly { module, license, symbol, owner } => write!(
                f,
                "{module} has license \"{license}\" and uses {symbol}, which {owner} exports to GPL modules only: use a module \
                 under a compatible license, or one that does without the symbol"
            ),
            Self::Namespace { module, symbol, namespace } => write!(
                f,
                "{module} uses {symbol} of namespace {namespace}, which it does not import: add MODULE_IMPORT_NS({namespace}) to \
                 its source"
            ),
            Self::Unsigned { module } => {
                write!(f, "{module} is not signed, and the policy wants signatures: sign it, or relax the signature policy")
            }
            Self::BrokenSignature { module } => write!(
                f,
                "{module} ends like a signed module, but what stands before the mark is no signature: the file is damaged or was \
                 changed after signing; install it again"
            ),
        }
    }
}

impl core::error::Error for Refused {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Link(error) => Some(error),
            _ => None,
        }
    }
}
