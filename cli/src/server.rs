//! A server in this process: a NetBSD kernel whose modules come from a directory of the host.

use crate::traps;
use anyhow::{Context, Result};
use rumpload::resource::{Console, Host};
use rumpload::{Config, Machine};
use rumpload_base::abi::Abi;
use rumpload_base::{Boot, Kernel, Trace};
use rumpload_hosted::{FaultGuard, catch_faults, host};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A booted kernel. Faults of module code end it instead of the process.
pub struct Server {
    pub kernel: Arc<Kernel>,
    /// The host's directory of modules.
    pub modules: PathBuf,
    traced: bool,
    _faults: FaultGuard,
}

/// Messages of modules that nobody wants to see.
#[derive(Debug)]
struct Quiet;

impl Console for Quiet {
    fn write(&self, _text: &str) {}
}

/// What is said on standard error besides errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Messages {
    /// What modules print.
    Shown,
    /// Nothing.
    Hidden,
    /// What modules print, and each call they make.
    Traced,
}

impl Server {
    /// Boots a kernel for modules of this program's own machine, with `modules` at the module path and autoload on.
    pub fn boot(modules: &Path, messages: Messages) -> Result<Self> {
        let abi = Abi::native().context("modules of this machine cannot be run: there is no table of its kernel's layouts")?;
        let mut host = host(modules).with_context(|| format!("module directory {}", modules.display()))?;
        if messages == Messages::Hidden {
            host.console = Arc::new(Quiet);
        }
        Self::with_host(abi, host, modules, if messages == Messages::Traced { Trace::Log } else { Trace::Off })
    }

    fn with_host(abi: &'static Abi, host: Host, modules: &Path, trace: Trace) -> Result<Self> {
        let machine = if abi.pointer() == 8 { Machine::X86_64 } else { Machine::X86 };
        let mut boot = Boot::new(Config::netbsd(abi.version(), machine), abi);
        boot.trace = trace;
        let kernel = Kernel::boot(boot, host).context("starting the kernel")?;
        let instance = kernel.instance();
        instance.map_modules("").with_context(|| format!("mapping the module directory to {}", instance.module_base()))?;
        instance.set_autoload(true);
        let faults = catch_faults(Arc::clone(&kernel), Kernel::instance).context("catching faults of module code")?;
        Ok(Self { kernel, modules: modules.to_owned(), traced: trace == Trace::Log, _faults: faults })
    }

    /// In a trace, says which declared traps the module `name` and those it requires link against.
    pub fn tell_traps(&self, name: &str) {
        if self.traced {
            for (module, trap) in traps::of_module(&self.modules, name) {
                eprintln!("{module} links against the declared trap {}: {}", trap.name, trap.reason);
            }
        }
    }
}
