//! Loading: a module and what it depends on, with whole roll-back.

use super::{Exported, Id, Module, Offered, Request, Stage, Trigger, tree};
use crate::Error;
use crate::arch;
use crate::kern::set_parameters;
use crate::kernel::Kernel;
use alloc::boxed::Box;
use alloc::ffi::CString;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ffi::CStr;
use rumpload::Flavour;
use rumpload::error::LinkError;
use rumpload::image::Image;
use rumpload::linux::{Admission, Provider};
use rumpload::load::{Linked, Options};
use rumpload::metadata::linux::{Modinfo, ThisModule, exports};
use rumpload::rename::Name;
use rumpload::resolve::{Resolved, Scope, SymbolKind};
use rumpload::{Class, Machine};

/// Most modules that one request may bring in.
const MAX_REQUEST: usize = 64;
const THIS_MODULE: &str = ".gnu.linkonce.this_module";
const PARAMETERS: &str = "__param";

/// What starting a linked module needs. Holds nothing that would be missed if its code never came back.
struct Ready {
    id: Id,
    init: Option<usize>,
    /// Address and bytes of its parameters.
    parameters: (usize, usize),
}

/// Where undefined symbols of a module are looked up, one at a time.
struct Names<'k>(&'k Kernel);

impl Scope for Names<'_> {
    fn lookup(&self, name: Name<'_>) -> Option<Resolved> {
        self.0.resolved(name.base)
    }
}

impl Kernel {
    /// Loads a module and what it depends on.
    ///
    /// # Errors
    /// [`Error`]. What the request brought in is unloaded again.
    pub fn load(&self, name: &str) -> Result<(), Error> {
        self.load_with(name, &[])
    }

    /// As [`load`](Self::load), with parameters of the module.
    ///
    /// # Errors
    /// As [`load`](Self::load); [`Error::Parameter`], [`Error::Invalid`] for a value with a NUL in it.
    pub fn load_with(&self, name: &str, parameters: &[(&str, &str)]) -> Result<(), Error> {
        let own =
            |&(name, value)| Ok((name, CString::new(value).map_err(|_| Error::Invalid("a parameter's value holds a NUL"))?));
        let owned = parameters.iter().map(own).collect::<Result<Vec<(&str, CString)>, Error>>()?;
        let parameters: Vec<(&str, &CStr)> = owned.iter().map(|(name, value)| (*name, value.as_c_str())).collect();
        self.permit(name, |name| self.instance().config().policy.explicit(name))?;
        if self.registry.lock().named(name).is_some_and(|module| module.stage == Stage::Live) {
            return Err(Error::Exists { module: name.to_string() });
        }
        self.enter(|| self.load_tree(name, &parameters))?
    }

    /// Brings in what `trigger` asks for. What is there already is no error.
    ///
    /// # Errors
    /// [`Error::NoProvider`] if no module offers it, [`Error::Policy`], or why the module could not be loaded; of several that
    /// offer it, the reason is that of the first.
    pub fn autoload(&self, trigger: Trigger<'_>) -> Result<(), Error> {
        let store = &*self.instance().host().store;
        let (wanted, modules) = match trigger {
            Trigger::Symbol(symbol) if self.symbol(symbol).is_some() => return Ok(()),
            Trigger::Algorithm(name) if self.is_registered(name) => return Ok(()),
            Trigger::Charset(name) if self.has_charset(name) => return Ok(()),
            Trigger::Symbol(symbol) => (symbol, self.tree.lock().exporter(store, symbol).into_iter().collect()),
            Trigger::Algorithm(name) => (name, self.tree.lock().serving(store, &alloc::format!("crypto-{name}"))),
            Trigger::Charset(name) => (name, Vec::from([alloc::format!("nls_{name}")])),
            Trigger::Module(name) => (name, Vec::from([name.to_string()])),
        };
        let mut first = None;
        for module in &modules {
            let trigger = rumpload::Trigger::Module { name: module, class: Class::Any };
            let loaded = self
                .permit(module, |name| self.instance().config().policy.autoload(&trigger, name))
                .and_then(|()| self.enter(|| self.load_tree(module, &[]))?);
            match loaded {
                Ok(()) => return Ok(()),
                Err(error) => first = first.or(Some(error)),
            }
        }
        Err(first.unwrap_or_else(|| Error::NoProvider { wanted: wanted.to_string() }))
    }

    fn permit(&self, name: &str, ask: impl Fn(&str) -> Result<(), rumpload::registry::Refusal>) -> Result<(), Error> {
        ask(name).map_err(|why| Error::Policy { module: name.to_string(), why })
    }

    /// Runs inside. A module that is live already is no error.
    fn load_tree(&self, name: &str, parameters: &[(&str, &CStr)]) -> Result<(), Error> {
        let order = self.order(name)?;
        self.registry.lock().requests.push(Request { order, brought: Vec::new() });
        let started = self.start_all(name, parameters);
        let request = self.registry.lock().requests.pop().unwrap_or_default();
        started.inspect_err(|_| {
            for &id in request.brought.iter().rev() {
                // What somebody else uses by now stays.
                let _ = self.unload_id(id);
            }
        })
    }

    /// The modules to start for `name`, each after those it depends on.
    fn order(&self, name: &str) -> Result<Vec<String>, Error> {
        /// What is still to do on the way down.
        enum Step {
            Visit(String, Option<String>),
            Done(String),
        }
        let mut order: Vec<String> = Vec::new();
        let mut path: Vec<String> = Vec::new();
        let mut steps = Vec::from([Step::Visit(name.replace('-', "_"), None)]);
        while let Some(step) = steps.pop() {
            let (name, wanted_by) = match step {
                Step::Done(name) => {
                    path.pop();
                    order.push(name);
                    continue;
                }
                Step::Visit(name, wanted_by) => (name, wanted_by),
            };
            let explain = |error: Error| match wanted_by {
                Some(module) => Error::Dependency { module, required: name.clone(), cause: Box::new(error) },
                None => error,
            };
            let stage = self.registry.lock().named(&name).map(|module| (module.stage, module.references));
            match stage {
                Some((Stage::Live, _)) => continue,
                Some((Stage::Coming, _)) => return Err(explain(Error::Cycle { module: name.clone() })),
                Some((Stage::Going, references)) => {
                    return Err(explain(Error::Busy { module: name.clone(), references }));
                }
                None if order.contains(&name) => continue,
                None if path.contains(&name) => return Err(explain(Error::Cycle { module: name.clone() })),
                None if order.len() + path.len() == MAX_REQUEST => {
                    return Err(explain(Error::Invalid("a module depends on more modules than any does")));
                }
                None => {}
            }
            let bytes = self.read_module(&name).map_err(explain)?.1;
            let link = |error| Error::Link { module: name.clone(), error };
            let image = Image::parse(&bytes).map_err(link)?;
            let info = Modinfo::read(&image).map_err(link)?;
            path.push(name.clone());
            steps.push(Step::Done(name.clone()));
            let mut required: Vec<&str> = info.depends().collect();
            required.reverse();
            steps.extend(required.into_iter().map(|required| Step::Visit(required.replace('-', "_"), Some(name.clone()))));
        }
        Ok(order)
    }

    /// The path and bytes of the module `name`.
    fn read_module(&self, name: &str) -> Result<(String, Vec<u8>), Error> {
        let path = self.tree.lock().path(name).map(ToString::to_string);
        let path = path.ok_or_else(|| Error::NotFound { module: name.to_string() })?;
        let bytes = tree::read(&*self.instance().host().store, &path)?;
        Ok((path, bytes))
    }

    /// Starts the modules of the innermost request, in order; parameters are for the last one.
    fn start_all(&self, wanted: &str, parameters: &[(&str, &CStr)]) -> Result<(), Error> {
        let total = self.registry.lock().requests.last().map_or(0, |request| request.order.len());
        for index in 0..total {
            let last = index + 1 == total;
            let started = self.start(index, if last { parameters } else { &[] });
            if let Err(error) = started {
                let name = self.registry.lock().requests.last().and_then(|request| request.order.get(index).cloned());
                return Err(match name {
                    Some(required) if !last => Error::Dependency { module: wanted.to_string(), required, cause: Box::new(error) },
                    _ => error,
                });
            }
        }
        Ok(())
    }

    /// Links and starts one module of the innermost request.
    fn start(&self, index: usize, parameters: &[(&str, &CStr)]) -> Result<(), Error> {
        let Some(ready) = self.link_one(index)? else { return Ok(()) };
        // From here on the registry owns the module; nothing of this frame would be missed if its code never came back.
        let set = match parameters {
            [] => Ok(()),
            // SAFETY: the section is that of a linked module, which the registry keeps.
            _ => unsafe { set_parameters(ready.parameters.0, ready.parameters.1, parameters) },
        };
        if let Err((parameter, errno)) = set {
            let module = self.discard(ready.id);
            return Err(Error::Parameter { module, parameter: parameter.to_string(), errno });
        }
        // SAFETY: the address is that of the init routine of a linked and finalized module, which takes no argument.
        let answer = ready.init.map_or(0, |init| unsafe { arch::call(init, &[]) as i32 });
        if answer < 0 {
            let module = self.discard(ready.id);
            return Err(Error::Init { module, errno: answer.wrapping_neg() });
        }
        self.go_live(ready.id)
    }

    /// Links module `index` of the innermost request and hands it over to the registry; `None` if it is live by now.
    fn link_one(&self, index: usize) -> Result<Option<Ready>, Error> {
        let name = {
            let registry = self.registry.lock();
            let name = registry.requests.last().and_then(|request| request.order.get(index).cloned());
            let Some(name) = name else { return Ok(None) };
            match registry.named(&name).map(|module| module.stage) {
                Some(Stage::Live) => return Ok(None),
                Some(_) => return Err(Error::Cycle { module: name }),
                None => name,
            }
        };
        let (_, bytes) = self.read_module(&name)?;
        let link = |error: LinkError| Error::Link { module: name.clone(), error };
        let image = Image::parse(&bytes).map_err(link)?;
        let info = Modinfo::read(&image).map_err(link)?;
        if !super::same_name(info.name(), &name) {
            return Err(Error::WrongName { wanted: name, found: info.name().to_string() });
        }
        let this = ThisModule::read(&image).map_err(link)?;
        self.admit(&image, &info)?;
        let required = self.required(&name, &info)?;
        let linked = self.link_image(&image).map_err(link)?;
        let offered = offered(&image, &linked).map_err(link)?;
        self.check_duplicates(info.name(), &offered)?;
        Ok(Some(self.register(info.name(), &this, linked, required, offered)))
    }

    /// Refuses a module that exports what is exported already.
    fn check_duplicates(&self, name: &str, offered: &[(String, Offered)]) -> Result<(), Error> {
        let taken = offered.iter().filter(|(symbol, _)| self.resolved(symbol).is_some());
        let symbols: Vec<String> = taken.map(|(symbol, _)| symbol.clone()).collect();
        if symbols.is_empty() { Ok(()) } else { Err(Error::Redefined { module: name.to_string(), symbols }) }
    }

    /// Checks what the file says of itself against what is exported.
    fn admit(&self, image: &Image<'_>, info: &Modinfo<'_>) -> Result<(), Error> {
        if image.machine() != Machine::X86_64 {
            let found = rumpload::linux::Refused::Vermagic {
                module: info.name().to_string(),
                found: alloc::format!("{} ({})", info.vermagic().unwrap_or(""), image.machine().name()),
                wanted: self.vermagic().to_string(),
            };
            return Err(Error::Refused(found));
        }
        let admission = Admission { vermagic: Some(self.vermagic()), ..Admission::default() };
        let registry = self.registry.lock();
        let provider = |name: &str| {
            registry.exports.get(name).map(|export| Provider {
                owner: &export.owner_name,
                crc: export.crc,
                gpl: export.gpl,
                namespace: &export.namespace,
            })
        };
        admission.check(image, info, provider).map_err(Error::Refused)
    }

    /// The live modules that `info` says it depends on.
    fn required(&self, name: &str, info: &Modinfo<'_>) -> Result<Vec<Id>, Error> {
        let registry = self.registry.lock();
        let mut required = Vec::new();
        for wanted in info.depends() {
            match registry.named(wanted).filter(|module| module.stage == Stage::Live) {
                Some(module) if !required.contains(&module.id) => required.push(module.id),
                Some(_) => {}
                None => {
                    let cause = Box::new(Error::NotActive { module: wanted.to_string() });
                    return Err(Error::Dependency { module: name.to_string(), required: wanted.to_string(), cause });
                }
            }
        }
        Ok(required)
    }

    fn link_image(&self, image: &Image<'_>) -> Result<Linked, LinkError> {
        let config = self.instance().config();
        let options = Options {
            flavour: Flavour::Linux,
            namespace: &config.namespace,
            placement: config.placement,
            per_cpu: crate::kern::per_cpu_block(self) as u64,
        };
        let mut linker = core::mem::take(&mut *self.linker.lock());
        let linked = linker.link_as(image, options, &Names(self), &self.instance().host().memory);
        *self.linker.lock() = linker;
        linked
    }

    fn register(
        &self,
        name: &str,
        this: &ThisModule,
        linked: Linked,
        required: Vec<Id>,
        offered: Vec<(String, Offered)>,
    ) -> Ready {
        let at = |spot: Option<(rumpload::address::SectionIndex, u64)>| {
            spot.and_then(|(section, offset)| linked.address(section, offset)).map(|address| address.get() as usize)
        };
        let place = |section: &str| linked.section(section).map_or((0, 0), |(at, size)| (at.get(), size));
        let (init, exit) = (at(this.init), at(this.exit));
        let (this, parameters) = (place(THIS_MODULE), place(PARAMETERS));
        let discarded = linked.init_segments().collect();
        let mut registry = self.registry.lock();
        registry.last_id += 1;
        let id = Id(registry.last_id);
        for &required in &required {
            if let Some(required) = registry.get_mut(required) {
                required.references = required.references.saturating_add(1);
            }
        }
        registry.modules.push(Module {
            id,
            name: name.to_string(),
            stage: Stage::Coming,
            references: 0,
            required,
            init,
            exit,
            this,
            memory: linked.reservation,
            offered,
            discarded,
        });
        Ready { id, init, parameters: (parameters.0 as usize, parameters.1 as usize) }
    }

    /// Publishes what a started module exports, and gives back what only its start needed.
    fn go_live(&self, id: Id) -> Result<(), Error> {
        let mut registry = self.registry.lock();
        let Some(module) = registry.get_mut(id) else { return Ok(()) };
        for part in core::mem::take(&mut module.discarded) {
            // Memory that cannot be given back early goes with the module.
            let _ = module.memory.discard(part);
        }
        module.stage = Stage::Live;
        let name = module.name.clone();
        for (symbol, Offered { resolved, crc, gpl, namespace }) in core::mem::take(&mut module.offered) {
            let exported = Exported { resolved, crc, gpl, namespace, owner: id, owner_name: name.clone() };
            // A symbol that another module published in between stays that module's.
            registry.exports.entry(symbol).or_insert(exported);
        }
        if let Some(request) = registry.requests.last_mut() {
            request.brought.push(id);
        }
        Ok(())
    }

    /// Forgets a module that did not start; gives its name.
    fn discard(&self, id: Id) -> String {
        let module = self.registry.lock().remove(id);
        module.map_or_else(String::new, |module| {
            self.forget(&module);
            module.name
        })
    }
}

/// The symbols that a linked module exports.
fn offered(image: &Image<'_>, linked: &Linked) -> Result<Vec<(String, Offered)>, LinkError> {
    let mut offered = Vec::new();
    exports(image, |export| {
        // What is exported from a section that is not loaded nobody can use.
        let Some(value) = linked.address(export.spot.0, export.spot.1) else { return };
        let kind = if export.is_function { SymbolKind::Function } else { SymbolKind::Data };
        let (crc, gpl, namespace) = (export.crc, export.gpl, export.namespace.to_string());
        offered.push((export.name.to_string(), Offered { resolved: Resolved { value, kind }, crc, gpl, namespace }));
    })?;
    Ok(offered)
}
