//! The loader and the base's services, by small modules that are compiled here in the form of stock ones.
#![cfg(target_arch = "x86_64")]

mod compile;
mod loading;
mod services;

use compile::Modules;
use rumpload::resource::{Console, Host};
use rumpload_base_linux::{Boot, Error, Kernel};
use rumpload_hosted::{GsBase, host};
use std::sync::{Arc, Mutex};

/// What was printed.
#[derive(Default)]
struct Paper(Mutex<String>);

impl Console for Paper {
    fn write(&self, text: &str) {
        self.0.lock().unwrap().push_str(text);
    }
}

/// A kernel, its modules, and what it prints.
struct Bench {
    kernel: Arc<Kernel>,
    paper: Arc<Paper>,
    _modules: Modules,
}

impl Bench {
    /// Modules as given: name, source, and definitions for the compiler.
    fn new(modules: &[(&str, &str, &[&str])]) -> Self {
        let made = Modules::new();
        modules.iter().for_each(|(name, source, definitions)| made.compile(name, source, definitions));
        Self::boot(made).unwrap()
    }

    fn boot(modules: Modules) -> Result<Self, Error> {
        let paper = Arc::new(Paper::default());
        let host = Host { console: paper.clone(), ..host(modules.path()).unwrap() };
        let kernel = Kernel::boot(Boot::new(Arc::new(GsBase::new())), host)?;
        Ok(Self { kernel, paper, _modules: modules })
    }

    fn call(&self, symbol: &str, arguments: &[u64]) -> Result<u64, Error> {
        // SAFETY: the tests pass what the function takes.
        unsafe { self.kernel.call(symbol, arguments) }
    }

    /// What was printed since the last time.
    fn printed(&self) -> String {
        std::mem::take(&mut self.paper.0.lock().unwrap())
    }

    fn names(&self) -> Vec<String> {
        self.kernel.modules().into_iter().map(|module| module.name).collect()
    }
}
